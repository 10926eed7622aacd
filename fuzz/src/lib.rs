//! What goinstr reads from untrusted bytes, each as a function that takes any bytes, asks all that
//! can be asked, and panics where goinstr breaks a promise.
//!
//! `fuzz_targets/` has libFuzzer guide them (`cargo xtask fuzz`, or cargo-fuzz with
//! `--features guided`); `tests/replay.rs` goes through the corpora without it.

mod build_info;
mod code_walk;
mod dwarf;
mod elf;
mod program;
mod tables;

pub use build_info::build_info;
pub use code_walk::code_walk;
pub use dwarf::dwarf;
pub use elf::elf;
pub use tables::{inline_tree, moduledata, pclntab};

/// A target: any bytes must pass.
pub type Target = fn(&[u8]);

/// All targets, by the name of their binary and of their corpus.
pub const TARGETS: [(&str, Target); 7] = [
    ("build_info", build_info),
    ("code_walk", code_walk),
    ("dwarf", dwarf),
    ("elf", elf),
    ("inline_tree", inline_tree),
    ("moduledata", moduledata),
    ("pclntab", pclntab),
];
