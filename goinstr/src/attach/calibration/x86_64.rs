//! Empty functions whose probes are like those of Go functions on amd64.

use std::arch::{asm, naked_asm};

/// Begins like a Go function after its stack check: `push %rbp` is emulated by the kernel.
#[unsafe(naked)]
pub extern "C" fn emulated() {
    naked_asm!("push rbp", "mov rbp, rsp", "pop rbp", "ret");
}

/// Begins like a function without a frame pointer: the instruction is single-stepped.
#[unsafe(naked)]
pub extern "C" fn stepped() {
    naked_asm!("sub rsp, 8", "add rsp, 8", "ret");
}

/// As [`emulated`], at an address of its own.
#[unsafe(naked)]
pub extern "C" fn entry_only() {
    naked_asm!("push rbp", "mov rbp, rsp", "pop rbp", "ret", "nop");
}

/// Addresses of a function's first instruction and of its return.
pub fn sites(function: extern "C" fn()) -> (u64, u64) {
    let entry = function as usize as u64;
    let length = if function as usize == stepped as extern "C" fn() as usize {
        8
    } else {
        5
    };
    (entry, entry + length)
}

/// Calls a function as Go code does: with a g in R14.
#[inline(always)]
pub fn call(function: extern "C" fn(), g: *const u64) {
    // SAFETY: the functions above leave the stack and all registers as they were.
    unsafe { asm!("call {}", in(reg) function, in("r14") g, clobber_abi("C")) };
}
