//! Any bytes as the inline trees of a program: the index is built and every name in it is there.
//!
//! Input: as for `pclntab`.

#![no_main]

use goinstr_fuzz::Program;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choices, body)) = input.split_first_chunk() else {
        return;
    };
    let mut program = Program::default();
    program.append_go(choices, body);
    let Some(binary) = program.open() else { return };
    for (_, callers) in binary.inlined_only() {
        assert!((1..=binary.functions().len()).contains(&callers));
    }
    binary.inlined_into("main.main");
});
