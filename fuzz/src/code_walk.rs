//! Any bytes as a function's code: goinstr finds its sites or says why not, and the sites are on
//! the instructions that the bytes are made of.
//!
//! Input: one byte of choices (bit 0: arm64, bit 1: assembly), 8 bytes of address, the code.

use goinstr::binary::{
    Arch, Vaddr,
    code::{FunctionFacts, call_sites, emulated, find_call},
};

pub fn code_walk(input: &[u8]) {
    let Some((choices, rest)) = input.split_first() else {
        return;
    };
    let Some((address, code)) = rest.split_first_chunk() else {
        return;
    };
    let start = u64::from_le_bytes(*address);
    let arch = if choices & 1 == 0 {
        Arch::X86_64
    } else {
        Arch::Aarch64
    };
    let facts = FunctionFacts {
        assembly: choices & 2 != 0,
        restartable: Vec::new(),
    };

    find_call(arch, code, Vaddr(start), Vaddr(start));
    emulated(arch, code);
    let Ok(sites) = call_sites(arch, code, Vaddr(start), &facts) else {
        return;
    };

    let offset = |site: Vaddr| site.0.wrapping_sub(start);
    let exits: Vec<u64> = sites.exits.iter().map(|exit| offset(*exit)).collect();
    let entry = offset(sites.entry.address);
    assert!(exits.is_sorted());
    assert!(!exits.contains(&entry), "begin and end in one");
    for site in exits.iter().chain([&entry]) {
        assert!((*site as usize) < code.len(), "a site outside the function");
    }
    // Every exit is an instruction that returns, prefixes aside.
    for exit in &exits {
        let alone = &code[*exit as usize..];
        let returns = match arch {
            Arch::X86_64 => alone
                .iter()
                .take(15)
                .any(|byte| matches!(byte, 0xc2 | 0xc3)),
            // RET, RETAA, RETAB
            Arch::Aarch64 => alone[3] == 0xd6 && alone[2] == 0x5f,
        };
        assert!(returns, "an exit that doesn't return");
    }
    // Nothing depends on where the function stands, unless it reaches round the end of addresses.
    if start.checked_add(code.len() as u64).is_none() {
        return;
    }
    if let Ok(moved) = call_sites(arch, code, Vaddr(0x40_0000), &facts) {
        assert_eq!(moved.exits.len(), exits.len());
        assert_eq!(moved.entry.address.0 - 0x40_0000, entry);
    }
}
