//! Empty functions whose probes are like those of Go functions on arm64.

use std::arch::{asm, naked_asm};

/// Begins with a branch, which the kernel simulates.
#[unsafe(naked)]
pub extern "C" fn emulated() {
    naked_asm!("b 2f", "2: sub sp, sp, #16", "add sp, sp, #16", "ret");
}

/// Begins like a Go function: the instruction is single-stepped.
#[unsafe(naked)]
pub extern "C" fn stepped() {
    naked_asm!("sub sp, sp, #16", "nop", "add sp, sp, #16", "ret");
}

/// As [`emulated`], at an address of its own.
#[unsafe(naked)]
pub extern "C" fn entry_only() {
    naked_asm!(
        "b 2f",
        "2: sub sp, sp, #16",
        "add sp, sp, #16",
        "ret",
        "nop"
    );
}

/// Addresses of a function's first instruction and of its return.
pub fn sites(function: extern "C" fn()) -> (u64, u64) {
    let entry = function as usize as u64;
    (entry, entry + 12)
}

/// Calls a function as Go code does: with a g in X28.
#[inline(always)]
pub fn call(function: extern "C" fn(), g: *const u64) {
    // SAFETY: the functions above leave the stack and all registers as they were.
    unsafe { asm!("blr {}", in(reg) function, in("x28") g, clobber_abi("C")) };
}
