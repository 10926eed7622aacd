//! Any bytes as the records, names and tables of a function table: every function can be asked
//! everything.
//!
//! Input: 8 bytes of choices (version, count, where each table begins), the bytes.

#![no_main]

use goinstr_fuzz::{Program, ask_functions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choices, body)) = input.split_first_chunk() else {
        return;
    };
    let mut program = Program::default();
    program.append_go(choices, body);
    if let Some(binary) = program.open() {
        ask_functions(&binary);
    }
});
