//! libFuzzer guides `build_info`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| goinstr_fuzz::build_info(input));
