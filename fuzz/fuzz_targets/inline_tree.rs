//! libFuzzer guides `inline_tree`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| goinstr_fuzz::inline_tree(input));
