//! Any bytes as the tables of a Go program.
//!
//! Input of all three: 8 bytes of choices (version, count, where each table begins), the bytes.

use goinstr::binary::GoBinary;

use crate::program::{Program, ask_functions};

/// The records, names and tables of a function table: every function can be asked everything.
pub fn pclntab(input: &[u8]) {
    if let Some(binary) = around(input) {
        ask_functions(&binary);
    }
}

/// The inline trees: the index is built and every name in it is there.
pub fn inline_tree(input: &[u8]) {
    let Some(binary) = around(input) else { return };
    for (_, callers) in binary.inlined_only() {
        assert!((1..=binary.functions().len()).contains(&callers));
    }
    binary.inlined_into("main.main");
}

/// What the data holds beside the moduledata, tables and all: the search ends.
pub fn moduledata(input: &[u8]) {
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
}

/// The program whose tables are made of the input.
fn around(input: &[u8]) -> Option<GoBinary> {
    let (choices, body) = input.split_first_chunk()?;
    let mut program = Program::default();
    program.append_go(choices, body);
    program.open()
}
