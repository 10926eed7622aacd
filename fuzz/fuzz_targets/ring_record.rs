//! libFuzzer guides `ring_record`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| goinstr_fuzz::ring_record(input));
