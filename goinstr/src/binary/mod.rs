//! What the target's file says: ELF, build info, pclntab, moduledata, decoded code.
//!
//! [`GoBinary`] is the whole; the files below it are one format each.

mod address;
mod arch;
mod build_info;
pub mod code;
mod context_layout;
mod debug_types;
mod dwarf;
mod dwarf_units;
mod elf;
mod error;
mod field;
mod frames;
mod function;
mod go_binary;
mod go_type;
#[cfg(test)]
mod hostile;
mod inline;
mod layout;
mod line;
mod moduledata;
pub mod names;
mod pclntab;
mod pcvalue;
mod relocation;
mod sites;
mod source;
mod sources;
mod stacks;
mod symtab;
#[cfg(test)]
mod tests;
mod type_name;
mod verify;
mod version;
mod wait_reason;
mod walked;

pub use address::{FileOffset, Vaddr};
pub use arch::Arch;
pub use build_info::{BuildInfo, Module};
pub use debug_types::{DebugSections, DebugTypes};
pub use error::BinaryError;
pub use frames::SourceFrame;
pub use function::Function;
pub use go_binary::GoBinary;
pub use go_type::{Field, GoKind, GoType, Parameter, SeenRegister, Signature, TypeRef, TypeSource};
pub use layout::{LayoutSource, RecoverySp, RuntimeLayout};
pub use line::Location;
pub use moduledata::PclntabSource;
pub use source::{Inlined, Source, Span};
pub use sources::SymbolSources;
pub use stacks::{GoStatus, GoroutineState, Snapshot, goroutines};
pub use type_name::{type_name, type_package, type_strings};
pub use verify::{
    LayoutDoubt, load_bias, prove_layout, prove_layout_patiently, verify_layout,
    verify_layout_patiently,
};
pub use walked::{StackReader, Walked, WalkedStack};
