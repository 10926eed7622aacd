//! moduledata: the runtime's root record of one Go module, and how it and its pclntab are found.
//!
//! In: the ELF file. Out: [`ModuleData`]. Nothing but the tables themselves is relied on: a
//! section by name is only a first guess, the proof of a pclntab is a moduledata that points to it.
//! Format: `src/runtime/symtab.go`, `type moduledata`, of each Go version.

use memchr::memmem::Finder;

use super::elf::Elf;
use super::error::Fault;
use super::field::{u32_at, u64_at};
use super::pclntab::{Format, Header};

/// Sections that begin with the table: of executables, and of position-independent ones up to Go 1.25.
const SECTIONS: [&str; 2] = [".gopclntab", ".data.rel.ro.gopclntab"];

/// Bytes that a search reads at once.
const CHUNK: u64 = 1 << 20;

/// Bytes that a search goes through: Go's linker makes no larger program. A file may claim any size, and
/// be sparse.
const SEARCH_LIMIT: u64 = 2 << 30;

/// Consistent tables without a moduledata that a search passes over: a program may embed others.
/// Each costs a search of its own.
const TABLE_LIMIT: usize = 16;

/// Places that may hold the address of one table.
const PLACE_LIMIT: usize = 4096;

/// Bytes of moduledata that are read: up to `gofunc` and what follows it, in every version.
const SIZE: u64 = 384;

/// Bytes by which what is searched for is recognised, and how far behind its beginning they stand.
struct Mark {
    offset: usize,
    bytes: Vec<u8>,
}

impl Mark {
    fn at(offset: usize, bytes: &[u8]) -> Self {
        Self {
            offset,
            bytes: bytes.to_vec(),
        }
    }
}

/// How the table was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PclntabSource {
    /// By the name of its section.
    Section(&'static str),
    /// By a search through the segments: the section headers are gone or name none.
    Scan,
}

/// The fields of `moduledata` that goinstr uses. Addresses are those of the file.
#[derive(Clone, Debug)]
pub(super) struct ModuleData {
    pub source: PclntabSource,
    /// The table's address and size.
    pub pclntab: u64,
    pub pclntab_size: u64,
    pub text: u64,
    /// Start and end of the data, noptrdata, bss and noptrbss of the module.
    pub variables: [(u64, u64); 4],
    /// What funcdata is relative to; `None` up to Go 1.17.
    pub gofunc: Option<u64>,
    /// What names of types are relative to; `None` up to Go 1.17.
    pub types: Option<u64>,
    /// The Go minor versions whose moduledata looks like this one.
    pub versions: (u32, u32),
}

impl ModuleData {
    /// Finds the module of the file. `None`: this is no Go program.
    pub fn find(elf: &Elf) -> Result<Option<Self>, Fault> {
        for name in SECTIONS {
            let Some(section) = elf.section(name) else {
                continue;
            };
            if let Some(header) = header_at(elf, section.address)? {
                let source = PclntabSource::Section(name);
                let found = Self::of_table(elf, section.address, header, source)?;
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        let mut tables = 0;
        let mut found = None;
        search(
            elf,
            |_| true,
            &Mark::at(Header::MARKED, &Header::mark(elf.arch())),
            |address, bytes| {
                if Header::begins(bytes, elf.arch())
                    && let Some(header) = header_at(elf, address)?
                {
                    tables += 1;
                    found = Self::of_table(elf, address, header, PclntabSource::Scan)?;
                }
                Ok(found.is_some() || tables >= TABLE_LIMIT)
            },
        )?;
        Ok(found)
    }

    /// The module that points to the pclntab at this address.
    fn of_table(
        elf: &Elf,
        table: u64,
        header: Header,
        source: PclntabSource,
    ) -> Result<Option<Self>, Fault> {
        for place in places(elf, table, table.wrapping_add(header.funcname))? {
            let bytes = elf.read_up_to(place, SIZE)?;
            if let Some(found) = Self::parse(&bytes, table, header, source, elf) {
                // Addresses of functions would be wrong. Go's linker does it for 32-bit ARM,
                // PPC64 and macOS only (`splitTextSections` in `cmd/link/internal/ld/data.go`).
                if found.text_is_split(&bytes, elf) {
                    return Err(Fault::Unsupported("a program with several text sections"));
                }
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Whether `textsectmap` has several entries, each of `vaddr`, `end` and `baseaddr`: then what
    /// is an offset from the text start goes through it.
    fn text_is_split(&self, bytes: &[u8], elf: &Elf) -> bool {
        let (oldest, newest) = self.versions;
        let at = match (oldest, newest) {
            (..18, _) => return false,
            (18, _) => 312,
            (20, _) => 328,
            (26, _) => 336,
            _ => 360,
        };
        let word = |i: usize| u64_at(bytes, at + 8 * i);
        let (Some(map), Some(length), Some(capacity)) = (word(0), word(1), word(2)) else {
            return false;
        };
        // A field that moved in a newer Go would be anything: believed only if it fits.
        (2..1 << 16).contains(&length)
            && length == capacity
            && elf.read(map, 24).is_ok_and(|first| {
                u64_at(&first, 0) == Some(0) && u64_at(&first, 16) == Some(self.text)
            })
    }

    fn parse(
        bytes: &[u8],
        pclntab: u64,
        header: Header,
        source: PclntabSource,
        elf: &Elf,
    ) -> Option<Self> {
        let word = |at| u64_at(bytes, at);
        // `pclntable` is the last of the tables that the header has offsets of.
        let pclntab_end = word(104)?.checked_add(word(112)?)?;
        let pclntab_size = pclntab_end.checked_sub(pclntab)?;
        let (text, etext) = (word(176)?, word(184)?);
        if pclntab_size > elf.room_at(pclntab) || text >= etext || elf.room_at(text) == 0 {
            return None;
        }
        let variable = |at| Some((word(at)?, word(at + 8)?));
        let variables = [
            variable(192)?,
            variable(208)?,
            variable(224)?,
            variable(240)?,
        ];
        // Since 1.26 funcdata lies behind pclntable, before `epclntab`; 1.27 has three words more
        // before it. Where neither holds it is the layout of 1.20 to 1.25.
        let behind = |at| {
            let (gofunc, epclntab) = (word(at)?, word(at + 8)?);
            (gofunc >= pclntab_end
                && gofunc <= epclntab
                && epclntab - pclntab <= elf.room_at(pclntab))
            .then_some(gofunc)
        };
        let (gofunc, versions) = match header.format {
            Format::Go116 => (None, (16, 17)),
            Format::Go118 => (Some(word(304)?), (18, 19)),
            Format::Go120 => match (behind(320), behind(344)) {
                (Some(gofunc), _) => (Some(gofunc), (26, 26)),
                (None, Some(gofunc)) => (Some(gofunc), (27, u32::MAX)),
                (None, None) => (Some(word(320)?), (20, 25)),
            },
        };
        let types = match header.format {
            Format::Go116 => None,
            Format::Go118 => word(280),
            Format::Go120 => word(296),
        };
        Some(Self {
            source,
            pclntab,
            pclntab_size,
            text,
            variables,
            gofunc,
            types,
            versions,
        })
    }
}

/// The header at this address, if what stands there is consistent.
fn header_at(elf: &Elf, address: u64) -> Result<Option<Header>, Fault> {
    let Ok(bytes) = elf.read_raw(address, Header::SIZE) else {
        return Ok(None);
    };
    let room = elf.room_at(address);
    let Some(header) = Header::parse(&bytes, elf.arch()).filter(|header| header.plausible(room))
    else {
        return Ok(None);
    };
    // The first function's record repeats its entry.
    let (functab, step) = header.first_entry();
    let Ok(first) = elf.read(address + functab, step) else {
        return Ok(None);
    };
    let (entry, record) = if step == 16 {
        (u64_at(&first, 0), u64_at(&first, 8))
    } else {
        (
            u32_at(&first, 0).map(u64::from),
            u32_at(&first, 4).map(u64::from),
        )
    };
    let Some(record) = record.and_then(|at| (address + functab).checked_add(at)) else {
        return Ok(None);
    };
    let Ok(again) = elf.read(record, step / 2) else {
        return Ok(None);
    };
    let again = if step == 16 {
        u64_at(&again, 0)
    } else {
        u32_at(&again, 0).map(u64::from)
    };
    Ok((entry == again).then_some(header))
}

/// Where `first` and then `second` are stored, after relocation.
fn places(elf: &Elf, first: u64, second: u64) -> Result<Vec<u64>, Fault> {
    let mut places = Vec::new();
    // The data segment first: that is where it is, in all but hardened links.
    for writable in [true, false] {
        search(
            elf,
            |segment_writable| segment_writable == writable,
            &Mark::at(0, &first.to_le_bytes()),
            |address, bytes| {
                if u64_at(bytes, 8) == Some(second) {
                    places.push(address);
                }
                Ok(places.len() >= PLACE_LIMIT)
            },
        )?;
    }
    if places.is_empty() {
        let relocations = elf.relocations();
        let seconds = relocations.places_of(elf, second, PLACE_LIMIT)?;
        if !seconds.is_empty() {
            let firsts = relocations.places_of(elf, first, PLACE_LIMIT)?;
            places.extend(
                firsts
                    .into_iter()
                    .filter(|at| seconds.contains(&at.wrapping_add(8))),
            );
        }
    }
    Ok(places)
}

/// Visits each 8-aligned address of the segments that `wanted` (told whether it is writable)
/// chooses and where `mark` is, with the file's bytes from there on (at least 16), until `visit` says it
/// is done.
fn search(
    elf: &Elf,
    wanted: impl Fn(bool) -> bool,
    mark: &Mark,
    mut visit: impl FnMut(u64, &[u8]) -> Result<bool, Fault>,
) -> Result<(), Fault> {
    let finder = Finder::new(&mark.bytes);
    let mut left = SEARCH_LIMIT;
    for segment in elf
        .segments()
        .iter()
        .filter(|segment| wanted(segment.writable))
    {
        let mut at = segment.address.next_multiple_of(8) - segment.address;
        while at + 16 <= segment.file_size {
            let size = CHUNK.min(segment.file_size - at);
            let Some(rest) = left.checked_sub(size) else {
                return Ok(());
            };
            left = rest;
            let bytes = elf.read_raw(segment.address + at, size)?;
            let mut from = mark.offset;
            while let Some(found) = bytes.get(from..).and_then(|rest| finder.find(rest)) {
                let begin = from + found - mark.offset;
                if begin.is_multiple_of(8)
                    && bytes.len() - begin >= 16
                    && visit(segment.address + at + begin as u64, &bytes[begin..])?
                {
                    return Ok(());
                }
                // Not behind what was found: the mark may begin again within itself.
                from += found + 1;
            }
            // The last word is looked at again with what follows it.
            at += (size - 8) & !7;
            if size < CHUNK {
                break;
            }
        }
    }
    Ok(())
}
