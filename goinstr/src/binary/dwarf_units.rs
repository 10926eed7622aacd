//! DWARF: the units of a program, and the table of abbreviations of each, read once.
//!
//! In: `.debug_info` and `.debug_abbrev`. Out: [`Units`]. Many units share a table (all of Go's do), and tables
//! stand one behind the other: each is read up to where the next begins. So all of them take no more time and
//! memory than their section is large, whatever the units say.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use gimli::{
    Abbreviations, DebugAbbrev, DebugAbbrevOffset, Dwarf, EndianSlice, LittleEndian, Section as _,
    UnitHeader,
};

/// Units that are looked at. Kubernetes has some 3,000, a program with much C in it ten times as many.
const UNITS: usize = 1 << 18;

/// Largest section of abbreviations: Go's linker writes one table of some kilobytes, C a small one a unit.
const SECTION_LIMIT: usize = 16 << 20;

type Slice<'s> = EndianSlice<'s, LittleEndian>;

/// The units of a program.
pub(super) struct Units<'s> {
    /// By where they begin in `.debug_info`, ascending.
    pub headers: Vec<UnitHeader<Slice<'s>>>,
    section: &'s [u8],
    /// Where tables begin, ascending.
    begins: Vec<usize>,
    tables: RefCell<HashMap<usize, Option<Arc<Abbreviations>>>>,
}

impl<'s> Units<'s> {
    /// Looks through the units, and at nothing in them.
    pub fn of(dwarf: &Dwarf<Slice<'s>>) -> Self {
        let mut headers = Vec::new();
        let mut units = dwarf.units();
        while let (Ok(Some(header)), true) = (units.next(), headers.len() < UNITS) {
            headers.push(header);
        }
        let section = dwarf.debug_abbrev.reader().slice();
        let section = match section.len() {
            ..=SECTION_LIMIT => section,
            _ => &[],
        };
        let mut begins: Vec<usize> = headers.iter().map(begin).collect();
        begins.sort_unstable();
        begins.dedup();
        Self {
            headers,
            section,
            begins,
            tables: RefCell::default(),
        }
    }

    /// The abbreviations of a unit; `None` where they can't be read.
    pub fn abbreviations(&self, unit: &UnitHeader<Slice<'s>>) -> Option<Arc<Abbreviations>> {
        let begin = begin(unit);
        let mut tables = self.tables.borrow_mut();
        let read = || {
            let next = self.begins.partition_point(|other| *other <= begin);
            let end = self.begins.get(next).copied().unwrap_or(usize::MAX);
            let bytes = self.section.get(begin..end.min(self.section.len()))?;
            let table = DebugAbbrev::new(bytes, LittleEndian);
            table.abbreviations(DebugAbbrevOffset(0)).ok().map(Arc::new)
        };
        tables.entry(begin).or_insert_with(read).clone()
    }
}

fn begin(unit: &UnitHeader<Slice<'_>>) -> usize {
    unit.debug_abbrev_offset().0
}
