//! libFuzzer guides `code_walk`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| goinstr_fuzz::code_walk(input));
