//! The kernel side of goinstr.

#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![expect(
    internal_features,
    reason = "the BPF target spec hides core's atomic methods: no compare-and-swap before v3"
)]

use aya_ebpf::{
    macros::{map, uprobe},
    maps::Array,
    programs::ProbeContext,
};
use core::intrinsics::{AtomicOrdering, atomic_xadd};

#[map]
static HITS: Array<u64> = Array::with_max_entries(2, 0);

#[uprobe]
pub fn entry(_ctx: ProbeContext) -> u32 {
    let (Some(hits), Some(before)) = (HITS.get_ptr_mut(0), HITS.get_ptr_mut(1)) else {
        return 0;
    };
    // Not Relaxed: LLVM 22 turns that into an add without a result, and the register keeps the
    // operand.
    // SAFETY: both point into an array map's values, aligned to 8 and alive as long as the map.
    unsafe { *before = atomic_xadd::<u64, u64, { AtomicOrdering::AcqRel }>(hits, 1) };
    0
}

// SAFETY: the section name the kernel looks for, defined once.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
