//! Go's register ABI on amd64 (Go's `src/cmd/compile/abi-internal.md`): g in R14, first argument in RAX.

use core::ptr;

use aya_ebpf::{helpers::bpf_probe_read_user, programs::ProbeContext};

/// Address of the current `runtime.g`.
#[inline(always)]
pub fn g(ctx: &ProbeContext) -> u64 {
    // SAFETY: the context of a uprobe program is the thread's saved registers; the verifier checks the access.
    unsafe { (*ctx.regs).r14 }
}

/// The stack pointer before the probed instruction.
#[inline(always)]
pub fn stack_pointer(ctx: &ProbeContext) -> u64 {
    // SAFETY: as in `g`.
    unsafe { (*ctx.regs).rsp }
}

/// The first integer argument.
#[inline(always)]
pub fn first_argument(ctx: &ProbeContext) -> u64 {
    // SAFETY: as in `g`.
    unsafe { (*ctx.regs).rax }
}

/// Address of the probed instruction.
#[inline(always)]
pub fn instruction(ctx: &ProbeContext) -> u64 {
    // SAFETY: as in `g`.
    unsafe { (*ctx.regs).rip }
}

/// Where the function will return to, at an entry site: nothing has been pushed yet.
#[inline(always)]
pub fn return_address(ctx: &ProbeContext) -> Option<u64> {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_user(stack_pointer(ctx) as *const u64).ok() }
}

/// Where the function will return to, where its frame is gone or not yet there, and the place of that
/// on the stack. `sp` is the stack pointer.
#[inline(always)]
pub fn return_address_at(_: &ProbeContext, sp: u64) -> Option<(u64, u64)> {
    // SAFETY: the helper checks the address.
    let address = unsafe { bpf_probe_read_user(sp as *const u64).ok()? };
    Some((address, sp))
}

/// The frame pointer: where the function that runs has no frame, its caller's.
#[inline(always)]
pub fn frame_pointer(ctx: &ProbeContext) -> u64 {
    // SAFETY: as in `g`.
    unsafe { (*ctx.regs).rbp }
}

/// The third integer argument.
#[inline(always)]
pub fn third_argument(ctx: &ProbeContext) -> u64 {
    // SAFETY: as in `g`.
    unsafe { (*ctx.regs).rcx }
}

/// Goes on elsewhere, with another stack pointer. Only where the kernel lets a program write registers.
#[inline(always)]
pub fn jump(ctx: &ProbeContext, instruction: u64, stack_pointer: u64) {
    // SAFETY: as in `g`; volatile, because nothing here reads it again.
    unsafe {
        ptr::write_volatile(&raw mut (*ctx.regs).rip, instruction);
        ptr::write_volatile(&raw mut (*ctx.regs).rsp, stack_pointer);
    }
}

/// Stores the integer registers of arguments and results, in the ABI's order, to where
/// `REGISTERS` words have room.
///
/// # Safety
/// `to` is valid and aligned.
#[inline(always)]
pub unsafe fn arguments(ctx: &ProbeContext, to: *mut u64) {
    // SAFETY: as in `g`, and by this function's own contract.
    unsafe {
        let regs = &*ctx.regs;
        *to = regs.rax;
        *to.add(1) = regs.rbx;
        *to.add(2) = regs.rcx;
        *to.add(3) = regs.rdi;
        *to.add(4) = regs.rsi;
        *to.add(5) = regs.r8;
        *to.add(6) = regs.r9;
        *to.add(7) = regs.r10;
        *to.add(8) = regs.r11;
    }
}
