//! Any bytes as a function's code: goinstr finds its sites or says why not, and the sites are on
//! the instructions that the bytes are made of.
//!
//! Input: one byte of choices (bit 0: arm64, bit 1: assembly, bits 2 to 4: instructions that preemption
//! goes back over), 8 bytes of address, the code.

use goinstr::binary::{
    Arch, Vaddr,
    code::{FunctionFacts, blocks, call_sites, emulated, entry, find_call},
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
        restartable: Vec::from_iter((*choices >> 2 & 7 > 0).then(|| {
            let instructions = u64::from(*choices >> 2 & 7);
            start..start.saturating_add(4 * instructions)
        })),
    };

    find_call(arch, code, Vaddr(start), Vaddr(start));
    emulated(arch, code);
    blocks_are_in_order(arch, code, start);
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
    if start.checked_add(code.len() as u64).is_none() || !facts.restartable.is_empty() {
        return;
    }
    if let Ok(moved) = call_sites(arch, code, Vaddr(0x40_0000), &facts) {
        assert_eq!(moved.exits.len(), exits.len());
        assert_eq!(moved.entry.address.0 - 0x40_0000, entry);
    }
}

/// Each block with its site within, none in another, none dominated by itself. The first addresses are
/// taken for the beginnings of lines, too.
fn blocks_are_in_order(arch: Arch, code: &[u8], start: u64) {
    let _ = entry(arch, code, Vaddr(start));
    let leaders = [0, 4, 8].map(|at| start.wrapping_add(at));
    let Ok(found) = blocks(arch, code, Vaddr(start), &leaders, 1) else {
        return;
    };
    assert!(found.entry < found.blocks.len(), "no entry");
    let offset = |at: Vaddr| at.0.wrapping_sub(start);
    let mut last = 0;
    for (index, block) in found.blocks.iter().enumerate() {
        let (begin, end) = (offset(block.start), offset(block.end));
        assert!(last <= begin && begin < end, "blocks out of order");
        assert!(end <= code.len() as u64, "a block outside the function");
        let inside = |site: Vaddr| (begin..end).contains(&offset(site));
        // Of the first block, what can be probed may stand in the next one, which no call goes without.
        assert!(
            index == found.entry || block.site.is_none_or(inside),
            "a site outside its block"
        );
        assert_ne!(block.dominator, Some(index), "dominated by itself");
        last = end;
    }
}
