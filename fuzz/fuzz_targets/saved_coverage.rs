//! libFuzzer guides `saved_coverage`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| goinstr_fuzz::saved_coverage(input));
