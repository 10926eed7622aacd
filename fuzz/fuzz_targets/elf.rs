//! Any bytes as a whole file.

#![no_main]

use goinstr_fuzz::{ask_functions, open};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Some(binary) = open(input) {
        ask_functions(&binary);
    }
});
