//! The symbol table: only adds to what pclntab says, and is gone from most production binaries.
//!
//! In: `.symtab` (also `.dynsym` of a shared object). Out: functions that pclntab doesn't have
//! (C code), and the addresses of named objects. Format: System V ABI, `Elf64_Sym`.

use object::elf;

use super::elf::{Elf, Section};
use super::field::{c_string, u8_at, u16_at, u32_at, u64_at};

const ENTRY: usize = 24;

/// One symbol with a name and an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol<'a> {
    pub name: &'a str,
    pub address: u64,
    pub size: u64,
    pub is_function: bool,
}

/// The bytes of a symbol table and of its strings.
#[derive(Debug)]
pub(super) struct Symtab {
    entries: Vec<u8>,
    strings: Vec<u8>,
}

impl Symtab {
    /// `None` if the file has no symbol table that can be read.
    pub fn of(elf: &Elf) -> Option<Self> {
        let read = |symbols: &str, strings: &str| {
            let bytes = |name| {
                elf.section(name)
                    .and_then(|s: &Section| elf.section_bytes(s).ok())
            };
            let entries: Vec<u8> = bytes(symbols)?;
            (entries.len() > ENTRY).then_some(Self {
                entries,
                strings: bytes(strings)?,
            })
        };
        read(".symtab", ".strtab")
    }

    /// The symbols that are defined here and have a name.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol<'_>> {
        self.entries.chunks_exact(ENTRY).filter_map(|entry| {
            let kind = elf::SymbolType(u8_at(entry, 4)? & 15);
            if u16_at(entry, 6)? == 0 {
                return None;
            }
            let name = c_string(&self.strings, u32_at(entry, 0)? as usize)?;
            Some(Symbol {
                name: std::str::from_utf8(name)
                    .ok()
                    .filter(|name| !name.is_empty())?,
                address: u64_at(entry, 8)?,
                size: u64_at(entry, 16)?,
                is_function: kind == elf::STT_FUNC,
            })
        })
    }

    /// The address of the first symbol of this name.
    pub fn address_of(&self, name: &str) -> Option<u64> {
        self.symbols()
            .find(|symbol| symbol.name == name)
            .map(|symbol| symbol.address)
    }
}
