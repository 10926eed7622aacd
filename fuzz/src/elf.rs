//! Any bytes as a whole file.

use crate::program::{ask_functions, open};

pub fn elf(input: &[u8]) {
    if let Some(binary) = open(input) {
        ask_functions(&binary);
    }
}
