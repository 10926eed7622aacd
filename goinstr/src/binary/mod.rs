//! What the target's file says: ELF, build info, pclntab, moduledata, decoded code.

mod address;
mod arch;
pub mod code;
mod layout;

pub use address::{FileOffset, Vaddr};
pub use arch::Arch;
pub use layout::{LayoutSource, RecoverySp, RuntimeLayout};
