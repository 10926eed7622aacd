//! Any bytes as build info.
//!
//! Input: the section's bytes behind its magic.

use crate::program::Program;

pub fn build_info(input: &[u8]) {
    let mut program = Program::default();
    program.append_go(&[0; 8], &[0; 64]);
    let blob = [b"\xff Go buildinf:", input].concat();
    program.section(".go.buildinfo", &blob, 2);
    if let Some(binary) = program.open() {
        let _ = (binary.go_minor(), binary.main_package_prefixes());
    }
}
