//! The ELF file: its segments and sections, and bounded reads at file offsets and addresses.
//!
//! In: an open file. Out: [`Elf`]. Nothing is mapped: a file that is cut short while it is read
//! gives an error and not a SIGBUS. Format: System V ABI, `elf(5)`; headers parsed by `object`.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use object::LittleEndian;
use object::elf;
use object::read::ReadCache;
use object::read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _};

use super::error::{BinaryError, Fault};
use super::relocation::Relocations;
use super::{Arch, FileOffset, Vaddr};

/// Most bytes that one read may ask for, whatever the file says and however large (or sparse) it is.
/// The largest table seen is the pclntab of a 400 MB program, a tenth of this.
const READ_LIMIT: u64 = 512 << 20;

/// Most program headers looked at; Go's linker writes about ten, GNU ld about fifteen.
const SEGMENT_LIMIT: usize = 1024;

/// Most section headers looked at; Go writes about thirty, `-ffunction-sections` in C code some thousands.
const SECTION_LIMIT: usize = 65536;

/// No address of a program is above this: the upper half is the kernel's on both architectures.
const USER_SPACE: u64 = 1 << 63;

/// A PT_LOAD segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub address: u64,
    pub offset: u64,
    pub file_size: u64,
    pub writable: bool,
}

/// A section header.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub name: String,
    pub address: u64,
    pub offset: u64,
    pub size: u64,
    /// Whether it takes room in the file (not SHT_NOBITS).
    pub in_file: bool,
    pub compressed: bool,
}

/// An ELF file of a kind that goinstr measures.
#[derive(Debug)]
pub(super) struct Elf {
    file: File,
    size: u64,
    arch: Arch,
    /// ET_DYN: a PIE or a shared object, whose addresses the loader shifts.
    position_independent: bool,
    interpreted: bool,
    entry: u64,
    cut_short: bool,
    segments: Vec<Segment>,
    sections: Vec<Section>,
    relocations: Relocations,
}

impl Elf {
    /// Reads the headers. Section headers are optional: missing or nonsensical ones count as none.
    pub fn open(path: &Path) -> Result<Self, BinaryError> {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = opened.map_err(|source| BinaryError::Open {
            path: path.to_owned(),
            source,
        })?;
        if !metadata.is_file() {
            return Err(BinaryError::NotElf {
                path: path.to_owned(),
            });
        }
        let size = metadata.len();
        let arch = supported(&file, path)?;
        let cache = ReadCache::new(&file);
        let damaged = |what| Fault::Damaged(what).on(path);

        let header = elf::FileHeader64::<LittleEndian>::parse(&cache)
            .map_err(|_| damaged("its ELF header is cut short"))?;
        let endian = LittleEndian;
        let headers = header
            .program_headers(endian, &cache)
            .map_err(|_| damaged("its program headers lie outside the file"))?;
        let mut segments = Vec::new();
        let mut dynamic = None;
        let mut interpreted = false;
        let mut cut_short = false;
        for header in headers.iter().take(SEGMENT_LIMIT) {
            let (offset, file_size) = header.file_range(endian);
            if header.p_type(endian) == elf::PT_DYNAMIC {
                dynamic = Some((offset, file_size));
            }
            interpreted |= header.p_type(endian) == elf::PT_INTERP;
            if header.p_type(endian) == elf::PT_LOAD {
                let flags = header.p_flags(endian).0;
                let end = header.p_vaddr(endian).checked_add(file_size);
                if end.is_none_or(|end| end > USER_SPACE) {
                    return Err(damaged("a segment lies where no program can be loaded"));
                }
                cut_short |= offset.saturating_add(file_size) > size;
                segments.push(Segment {
                    address: header.p_vaddr(endian),
                    offset,
                    // What lies past the end of the file can't be read whatever the header says.
                    file_size: file_size.min(size.saturating_sub(offset)),
                    writable: flags & elf::PF_W.0 != 0,
                });
            }
        }
        if segments.is_empty() {
            return Err(damaged("it has no loadable segment"));
        }
        let mut sections = Vec::new();
        if let Ok(table) = header.sections(endian, &cache) {
            for section in table.iter().take(SECTION_LIMIT) {
                let name = table.section_name(endian, section).unwrap_or_default();
                sections.push(Section {
                    name: String::from_utf8_lossy(name).into_owned(),
                    address: section.sh_addr(endian),
                    offset: section.sh_offset(endian),
                    size: section.sh_size(endian),
                    in_file: section.sh_type(endian) != elf::SHT_NOBITS,
                    compressed: section.sh_flags(endian).0 & elf::SHF_COMPRESSED.0 != 0,
                });
            }
        }
        let position_independent = header.e_type(endian) == elf::ET_DYN;
        let entry = header.e_entry(endian);
        drop(cache);
        let mut elf = Self {
            file,
            size,
            arch,
            position_independent,
            interpreted,
            entry,
            cut_short,
            segments,
            sections,
            relocations: Relocations::default(),
        };
        if let Some((offset, size)) = dynamic {
            elf.relocations = Relocations::of_dynamic(&elf, offset, size);
        }
        Ok(elf)
    }

    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// Whether the file ends before its segments do.
    pub fn cut_short(&self) -> bool {
        self.cut_short
    }

    /// Address of the program's first instruction.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// Device and inode of the file.
    pub fn identity(&self) -> std::io::Result<(u64, u64)> {
        let metadata = self.file.metadata()?;
        Ok((metadata.dev(), metadata.ino()))
    }

    pub fn position_independent(&self) -> bool {
        self.position_independent
    }

    /// Whether a dynamic loader loads libraries for it: it names the loader (PT_INTERP), or, as a
    /// shared object does, only the libraries.
    pub fn linked_dynamically(&self) -> bool {
        self.interpreted || self.relocations.needs_libraries
    }

    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The first section of this name that has bytes in the file.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections
            .iter()
            .find(|section| section.name == name && section.in_file)
    }

    /// The raw bytes of a section (still compressed if it is).
    pub fn section_bytes(&self, section: &Section) -> Result<Vec<u8>, Fault> {
        self.read_at(section.offset, section.size, "a section")
    }

    /// `size` bytes at a file offset. Nothing is allocated for what the file doesn't hold.
    pub fn read_at(&self, offset: u64, size: u64, what: &'static str) -> Result<Vec<u8>, Fault> {
        let end = offset
            .checked_add(size)
            .filter(|end| *end <= self.size && size <= READ_LIMIT);
        if end.is_none() {
            return Err(Fault::Damaged("a table reaches past the end of the file"));
        }
        let mut bytes = vec![0; size as usize];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(|source| Fault::Read(what, source))?;
        Ok(bytes)
    }

    /// The file offset of an address that has bytes in the file: what a uprobe is placed at.
    /// Address and offset differ by another amount in each segment.
    pub fn file_offset(&self, at: Vaddr) -> Option<FileOffset> {
        let segment = self.segment_of(at.0)?;
        Some(FileOffset(
            segment.offset.checked_add(at.0 - segment.address)?,
        ))
    }

    /// How many bytes the file holds from this address to the end of its segment.
    pub fn room_at(&self, address: u64) -> u64 {
        self.segment_of(address)
            .map_or(0, |segment| segment.file_size - (address - segment.address))
    }

    fn segment_of(&self, address: u64) -> Option<&Segment> {
        self.segments.iter().find(|s| {
            address
                .checked_sub(s.address)
                .is_some_and(|inside| inside < s.file_size)
        })
    }

    /// `size` bytes at an address as the file has them, without relocation: right for code and
    /// for tables that hold no addresses.
    pub fn read_raw(&self, address: u64, size: u64) -> Result<Vec<u8>, Fault> {
        if size > self.room_at(address) {
            return Err(Fault::Damaged(
                "a table reaches past the end of its segment",
            ));
        }
        let at = self
            .file_offset(Vaddr(address))
            .ok_or(Fault::Damaged("an address lies in no segment"))?;
        self.read_at(at.0, size, "a segment")
    }

    /// `size` bytes at an address as the loader leaves them at bias 0: with RELATIVE relocations.
    pub fn read(&self, address: u64, size: u64) -> Result<Vec<u8>, Fault> {
        let mut bytes = self.read_raw(address, size)?;
        self.relocations.apply(self, address, &mut bytes)?;
        Ok(bytes)
    }

    /// As [`Elf::read`], but as many bytes as there are up to `size`.
    pub fn read_up_to(&self, address: u64, size: u64) -> Result<Vec<u8>, Fault> {
        self.read(address, size.min(self.room_at(address)))
    }

    pub fn relocations(&self) -> &Relocations {
        &self.relocations
    }
}

/// Tells, before anything else is believed, whether this is a file that goinstr can measure.
fn supported(file: &File, path: &Path) -> Result<Arch, BinaryError> {
    let path = path.to_owned();
    let mut ident = [0; 20];
    if file.read_exact_at(&mut ident, 0).is_err() || !ident.starts_with(b"\x7fELF") {
        return Err(BinaryError::NotElf { path });
    }
    let machine = u16::from_le_bytes([ident[18], ident[19]]);
    let what = match (ident[4], ident[5]) {
        (2, 1) if machine == elf::EM_X86_64.0 => return Ok(Arch::X86_64),
        (2, 1) if machine == elf::EM_AARCH64.0 => return Ok(Arch::Aarch64),
        (1, _) => "a 32-bit ELF file".to_owned(),
        (_, 2) => "a big-endian ELF file".to_owned(),
        (2, 1) => format!("an ELF file for machine {machine}"),
        _ => "an ELF file of an unknown class".to_owned(),
    };
    Err(BinaryError::UnsupportedElf { path, what })
}
