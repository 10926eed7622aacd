//! What kind of file a Go program is and what goinstr reads it from, for `goinstr inspect`.

use super::moduledata::PclntabSource;
use super::{GoBinary, dwarf};

/// How the program was linked, and what of the usual sources is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolSources {
    /// How the function table was found.
    pub pclntab: PclntabSource,
    /// The Go minor versions that the shape of the tables allows; the upper end is open
    /// (`u32::MAX`) for the newest known.
    pub shape: (u32, u32),
    pub section_headers: bool,
    pub symbol_table: bool,
    pub dwarf: bool,
    /// A position-independent executable or a shared object.
    pub position_independent: bool,
    /// It names a dynamic loader or is a shared object: libraries are loaded into it.
    pub dynamic: bool,
    /// It was linked with C code, by Go's own linker or another.
    pub cgo: bool,
}

impl SymbolSources {
    /// Neither symbol table nor DWARF.
    pub fn stripped(&self) -> bool {
        !self.symbol_table && !self.dwarf
    }
}

impl GoBinary {
    pub fn symbol_sources(&self) -> SymbolSources {
        // The assembly of `runtime/cgo`, which is linked in exactly when cgo is, has this entry
        // in every version and architecture.
        let cgo = self
            .functions()
            .iter()
            .any(|function| self.name(function) == "crosscall2");
        SymbolSources {
            pclntab: self.module.source,
            shape: self.module.versions,
            section_headers: !self.elf.sections().is_empty(),
            symbol_table: self.symtab.is_some(),
            dwarf: dwarf::present(&self.elf),
            position_independent: self.elf.position_independent(),
            dynamic: self.elf.linked_dynamically(),
            cgo,
        }
    }
}
