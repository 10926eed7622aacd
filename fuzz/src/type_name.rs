//! Any bytes as a process' memory: its descriptions of types are read, or not.
//!
//! Input: one byte (the minor version of its Go), one that says where the description is, the memory from
//! [`TYPES`] on.

use goinstr::binary::{type_name, type_package, type_strings};

/// Where the memory begins, and the descriptions of types with it.
const TYPES: u64 = 0x4000;

pub fn type_name_of(input: &[u8]) {
    let Some(([minor, at], memory)) = input.split_first_chunk() else {
        return;
    };
    let read = |address: u64, bytes: &mut [u8]| {
        let from = usize::try_from(address.checked_sub(TYPES)?).ok()?;
        bytes.copy_from_slice(memory.get(from..from.checked_add(bytes.len())?)?);
        Some(())
    };
    let address = TYPES + u64::from(*at);
    for name in [
        type_name(read, TYPES, address),
        type_package(read, TYPES, address),
    ]
    .into_iter()
    .flatten()
    {
        assert!((1..=512).contains(&name.len()), "a name of {}", name.len());
    }
    for (name, offset) in type_strings(read, address, (*minor).into()).unwrap_or_default() {
        assert!(name.len() <= 512 && offset <= 16, "{offset}");
    }
}
