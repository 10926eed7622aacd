//! libFuzzer guides `pclntab`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| goinstr_fuzz::pclntab(input));
