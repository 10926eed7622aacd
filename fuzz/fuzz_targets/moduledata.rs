//! Any bytes as what a program's data holds beside its moduledata, tables and all: the search ends.
//!
//! Input: 8 bytes of choices, then bytes that stand in the data as they are.

#![no_main]

use goinstr_fuzz::{Program, ask_functions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choices, body)) = input.split_first_chunk() else {
        return;
    };
    let mut program = Program::default();
    program.append(body);
    program.section(".gopclntab", body, 2);
    if choices[0] & 0x80 != 0 {
        program.append_go(choices, body);
    }
    if let Some(binary) = program.open() {
        ask_functions(&binary);
    }
});
