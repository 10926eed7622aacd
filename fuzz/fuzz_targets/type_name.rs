//! libFuzzer guides `type_name`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| goinstr_fuzz::type_name_of(input));
