//! What the target's file says: ELF, build info, pclntab, moduledata, decoded code.

mod address;
pub mod code;
mod layout;

pub use address::{FileOffset, Vaddr};
pub use layout::{LayoutSource, RecoverySp, RuntimeLayout};
