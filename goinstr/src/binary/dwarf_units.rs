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

#[cfg(test)]
mod tests {
    use super::*;

    /// Two tables of one abbreviation each: a unit without children or attributes (DWARF 4, 7.5.3).
    const TABLES: [u8; 12] = [1, 0x11, 0, 0, 0, 0, 1, 0x11, 0, 0, 0, 0];

    /// Which of the units have abbreviations whose tables begin there, and whether the first two share one.
    fn read(begins: &[u32]) -> (Vec<bool>, bool) {
        let mut info = Vec::new();
        for begin in begins {
            info.extend(8_u32.to_le_bytes());
            info.extend(4_u16.to_le_bytes());
            info.extend(begin.to_le_bytes());
            info.extend([8, 1]);
        }
        let section = |id: gimli::SectionId| match id {
            gimli::SectionId::DebugInfo => &info[..],
            gimli::SectionId::DebugAbbrev => &TABLES[..],
            _ => &[],
        };
        let load = |id| Ok::<_, ()>(EndianSlice::new(section(id), LittleEndian));
        let dwarf = Dwarf::load(load).unwrap();
        let units = Units::of(&dwarf);
        let tables: Vec<_> = units
            .headers
            .iter()
            .map(|header| units.abbreviations(header))
            .collect();
        let shared = match &tables[..] {
            [Some(one), Some(other), ..] => Arc::ptr_eq(one, other),
            _ => false,
        };
        (tables.iter().map(Option::is_some).collect(), shared)
    }

    #[test]
    fn a_table_is_read_once_and_ends_where_the_next_begins() {
        assert_eq!(read(&[0, 0, 6]), (vec![true, true, true], true));
        assert_eq!(read(&[0, 6]), (vec![true, true], false));
        // One in the other: each byte is of one table only.
        assert!(!read(&[0, 3]).0[0]);
        assert!(!read(&[13]).0[0]);
    }
}
