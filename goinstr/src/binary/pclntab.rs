//! pclntab: the table of functions that the runtime itself walks stacks with, so never stripped.
//!
//! In: the table's bytes and the text start from moduledata. Out: [`Pclntab`] (names, files,
//! function records). Format: `src/runtime/symtab.go` (`pcHeader`, `functab`) and `runtime2.go`
//! (`_func`) of each Go version; `debug/gosym` reads the same.

use super::Arch;
use super::error::Fault;
use super::field::{c_string, u8_at, u32_at, u64_at};
use super::pcvalue::PcValues;

/// Longest name looked at. Generic instantiations reach some thousand bytes.
const NAME_LIMIT: usize = 1 << 16;

/// The layouts of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Format {
    /// Go 1.16 and 1.17: absolute entries of 8 bytes, no text start.
    Go116,
    /// Go 1.18 and 1.19: entries relative to the text start, 4 bytes.
    Go118,
    /// Since Go 1.20: as before, and `_func.startLine`.
    Go120,
}

impl Format {
    /// Size of `_func` before its pcdata.
    fn record_size(self) -> usize {
        match self {
            Format::Go118 => 40,
            Format::Go116 | Format::Go120 => 44,
        }
    }

    /// Size of an entry of the function table: the function's address and its record's place.
    fn functab_entry(self) -> usize {
        if self == Format::Go116 { 16 } else { 8 }
    }

    /// Bytes from `_func.entry` to `_func.nameOff`.
    fn name_at(self) -> usize {
        if self == Format::Go116 { 8 } else { 4 }
    }
}

/// Smallest distance of two instructions: the unit of the table's pc deltas.
fn quantum(arch: Arch) -> u8 {
    match arch {
        Arch::X86_64 => 1,
        Arch::Aarch64 => 4,
    }
}

/// `pcHeader`: offsets are from the table's start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub format: Format,
    pub functions: u64,
    pub funcname: u64,
    cu: u64,
    file: u64,
    pctab: u64,
    functab: u64,
}

impl Header {
    /// Bytes to have for [`Header::parse`].
    pub const SIZE: u64 = 72;

    /// Where [`Header::mark`] stands.
    pub const MARKED: usize = 1;

    /// What a table begins with, behind the first byte: the rest of its magic, two zeros, instruction
    /// size, pointer size.
    pub fn mark(arch: Arch) -> [u8; 7] {
        [0xff, 0xff, 0xff, 0, 0, quantum(arch), 8]
    }

    /// Whether bytes can be the start of a table.
    pub fn begins(bytes: &[u8], arch: Arch) -> bool {
        matches!(bytes, [0xf0 | 0xf1 | 0xfa, rest @ ..] if rest.starts_with(&Self::mark(arch)))
    }

    pub fn parse(bytes: &[u8], arch: Arch) -> Option<Self> {
        if !Self::begins(bytes, arch) {
            return None;
        }
        let format = match u8_at(bytes, 0)? {
            0xfa => Format::Go116,
            0xf0 => Format::Go118,
            _ => Format::Go120,
        };
        // Since 1.18 the text start stands before the offsets (0 since 1.26: moduledata has it).
        let offsets = if format == Format::Go116 { 24 } else { 32 };
        let word = |i: usize| u64_at(bytes, offsets + 8 * i);
        Some(Self {
            format,
            functions: u64_at(bytes, 8)?,
            funcname: word(0)?,
            cu: word(1)?,
            file: word(2)?,
            pctab: word(3)?,
            functab: word(4)?,
        })
    }

    /// Whether counts and offsets can belong to a table of at most `room` bytes.
    pub fn plausible(&self, room: u64) -> bool {
        let entry = self.format.functab_entry() as u64;
        let table = self
            .functions
            .checked_mul(entry)
            .and_then(|size| size.checked_add(self.functab));
        self.functions > 0
            && table.is_some_and(|end| end < room)
            && [self.funcname, self.cu, self.file, self.pctab]
                .iter()
                .all(|at| (32..room).contains(at))
    }

    /// Offset of the function table's first entry, and its size; the record's place is its second half.
    pub fn first_entry(&self) -> (u64, u64) {
        (self.functab, self.format.functab_entry() as u64)
    }
}

/// The whole table.
#[derive(Debug)]
pub(super) struct Pclntab {
    bytes: Vec<u8>,
    header: Header,
    arch: Arch,
    /// `moduledata.text`, which the entries are relative to. Never the header's, which is 0 since 1.26.
    text: u64,
}

/// One function's `_func`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    table: &'a Pclntab,
    /// Offset of the record in the table's bytes.
    at: usize,
    /// Bytes of the function.
    pub size: u64,
}

/// A function of the table before anything of its record was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub entry: u64,
    pub end: u64,
    /// Offset of the record in the table's bytes.
    pub record: u32,
}

impl Pclntab {
    /// Takes the bytes of a table whose header was found plausible.
    pub fn new(bytes: Vec<u8>, arch: Arch, text: u64) -> Result<Self, Fault> {
        let header = Header::parse(&bytes, arch)
            .filter(|header| header.plausible(bytes.len() as u64))
            .ok_or(Fault::Damaged(
                "the header of its function table contradicts itself",
            ))?;
        Ok(Self {
            bytes,
            header,
            arch,
            text,
        })
    }

    pub fn format(&self) -> Format {
        self.header.format
    }

    /// The functions in order of address; the last entry of the file's table only ends the one before.
    pub fn entries(&self) -> Result<Vec<Entry>, Fault> {
        let step = self.header.format.functab_entry();
        let half = step / 2;
        let functab = self.header.functab as usize;
        let word = |at: usize| {
            if half == 8 {
                u64_at(&self.bytes, at)
            } else {
                u32_at(&self.bytes, at).map(u64::from)
            }
        };
        let base = if half == 8 { 0 } else { self.text };
        // `plausible` held the count against the number of bytes.
        let mut entries = Vec::with_capacity(self.header.functions as usize);
        for i in 0..self.header.functions as usize {
            let at = functab + i * step;
            let read = || Some((word(at)?, word(at + half)?, word(at + step)?));
            let (start, record, next) =
                read().ok_or(Fault::Damaged("its function table is cut short"))?;
            let (entry, end) = (base.wrapping_add(start), base.wrapping_add(next));
            if end < entry {
                return Err(Fault::Damaged(
                    "its function table is not in order of address",
                ));
            }
            let record = (functab as u64).checked_add(record);
            let record = record
                .and_then(|at| u32::try_from(at).ok())
                .filter(|at| (*at as usize) < self.bytes.len())
                .ok_or(Fault::Damaged("a function's record lies outside its table"))?;
            entries.push(Entry { entry, end, record });
        }
        Ok(entries)
    }

    /// The record at an offset that [`Pclntab::entries`] gave.
    pub fn record(&self, at: u32, size: u64) -> Record<'_> {
        Record {
            table: self,
            at: at as usize,
            size,
        }
    }

    /// The name at an offset in the name table. Go names are UTF-8; what isn't is not a name.
    pub fn name(&self, offset: u32) -> Option<&str> {
        self.text_at(self.header.funcname, u64::from(offset))
    }

    /// The path of a file of a compilation unit.
    fn file(&self, cu: u32, file: i32) -> Option<&str> {
        let index = u64::from(cu).checked_add(u64::try_from(file).ok()?)?;
        let at = self.header.cu.checked_add(index.checked_mul(4)?)?;
        let offset = u32_at(&self.bytes, usize::try_from(at).ok()?)?;
        // The linker writes this for files that only dead code came from.
        if offset == u32::MAX {
            return None;
        }
        self.text_at(self.header.file, u64::from(offset))
    }

    fn text_at(&self, table: u64, offset: u64) -> Option<&str> {
        let at = usize::try_from(table.checked_add(offset)?).ok()?;
        let end = at.saturating_add(NAME_LIMIT).min(self.bytes.len());
        std::str::from_utf8(c_string(self.bytes.get(..end)?, at)?).ok()
    }
}

impl<'a> Record<'a> {
    /// The `i`th of the 4-byte fields that follow `entry` in every version.
    fn word(&self, i: usize) -> Option<u32> {
        u32_at(
            &self.table.bytes,
            self.at + self.table.header.format.name_at() + 4 * i,
        )
    }

    pub fn name(&self) -> Option<&'a str> {
        self.table.name(self.word(0)?)
    }

    /// Offset in the name table: equal names have equal offsets.
    pub fn name_offset(&self) -> Option<u32> {
        self.word(0)
    }

    /// `_func.args`: bytes of stack that the arguments take, those in registers with the room kept for them.
    pub fn arguments_size(&self) -> Option<u32> {
        self.word(1).filter(|size| *size <= i32::MAX as u32)
    }

    /// Offset from the entry of the call of `runtime.deferreturn`, if it defers.
    pub fn deferreturn(&self) -> Option<u32> {
        self.word(2).filter(|at| *at != 0)
    }

    /// The table's values of the stack frame's size, by pc.
    pub fn stack_deltas(&self) -> PcValues<'a> {
        self.values(self.word(3).unwrap_or(0))
    }

    /// 0 for what is not Go code: markers, and C functions that were linked in by Go's own linker.
    pub fn pcfile(&self) -> u32 {
        self.word(4).unwrap_or(0)
    }

    pub fn start_line(&self) -> Option<u32> {
        if self.table.header.format < Format::Go120 {
            return None;
        }
        self.word(8)
            .filter(|line| *line != 0 && *line <= i32::MAX as u32)
    }

    /// `_func.flag`; since Go 1.17.
    pub fn flags(&self) -> u8 {
        u8_at(
            &self.table.bytes,
            self.at + self.table.header.format.record_size() - 3,
        )
        .unwrap_or(0)
    }

    /// The table's values of the file number, by pc.
    pub fn files(&self) -> PcValues<'a> {
        self.values(self.pcfile())
    }

    /// The table's values of the line, by pc.
    pub fn lines(&self) -> PcValues<'a> {
        self.values(self.word(5).unwrap_or(0))
    }

    /// The path that a value of [`Record::files`] stands for.
    pub fn file(&self, number: i32) -> Option<&'a str> {
        self.table.file(self.word(7)?, number)
    }

    /// The values of a pcdata table, by pc; empty if the function has none.
    pub fn pcdata(&self, index: u32) -> PcValues<'a> {
        let at = self.at + self.table.header.format.record_size() + 4 * index as usize;
        let count = self.word(6).unwrap_or(0);
        let table = if index < count {
            u32_at(&self.table.bytes, at)
        } else {
            None
        };
        self.values(table.unwrap_or(0))
    }

    /// What `funcdata[index]` holds: an address up to Go 1.17, later an offset from
    /// `moduledata.gofunc`. `None` where the function has none.
    pub fn funcdata(&self, index: u8) -> Option<u64> {
        let format = self.table.header.format;
        let pcdata = usize::try_from(self.word(6)?).ok()?;
        let pcdata_end = self.at + format.record_size() + pcdata.checked_mul(4)?;
        let count = u8_at(&self.table.bytes, self.at + format.record_size() - 1)?;
        if index >= count {
            return None;
        }
        if format == Format::Go116 {
            // Addresses, aligned. The table itself is aligned to more.
            let at = pcdata_end.next_multiple_of(8) + 8 * usize::from(index);
            return u64_at(&self.table.bytes, at).filter(|address| *address != 0);
        }
        let value = u32_at(&self.table.bytes, pcdata_end + 4 * usize::from(index))?;
        (value != u32::MAX).then_some(u64::from(value))
    }

    fn values(&self, table: u32) -> PcValues<'a> {
        let start = self.table.header.pctab.saturating_add(u64::from(table));
        // Offset 0 means "no table".
        let bytes = (table != 0)
            .then(|| self.table.bytes.get(start as usize..))
            .flatten();
        PcValues::new(bytes.unwrap_or(&[]), quantum(self.table.arch), self.size)
    }
}
