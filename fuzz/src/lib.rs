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
mod recording;
mod ring_record;
mod saved_coverage;
mod tables;
mod type_name;
mod values;

pub use build_info::build_info;
pub use code_walk::code_walk;
pub use dwarf::dwarf;
pub use elf::elf;
pub use recording::recording;
pub use ring_record::ring_record;
pub use saved_coverage::saved_coverage;
pub use tables::{inline_tree, moduledata, pclntab};
pub use type_name::type_name_of;
pub use values::values_of;

/// A target: any bytes must pass.
pub type Target = fn(&[u8]);

/// All targets, by the name of their binary and of their corpus.
pub const TARGETS: [(&str, Target); 12] = [
    ("build_info", build_info),
    ("code_walk", code_walk),
    ("dwarf", dwarf),
    ("elf", elf),
    ("inline_tree", inline_tree),
    ("moduledata", moduledata),
    ("pclntab", pclntab),
    ("recording", recording),
    ("ring_record", ring_record),
    ("saved_coverage", saved_coverage),
    ("type_name", type_name_of),
    ("values", values_of),
];
