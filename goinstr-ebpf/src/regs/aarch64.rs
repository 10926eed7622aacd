//! Go's register ABI on arm64 (Go's `src/cmd/compile/abi-internal.md`): g in X28, first argument in X0.

use aya_ebpf::programs::ProbeContext;

/// Address of the current `runtime.g`.
#[inline(always)]
pub fn g(ctx: &ProbeContext) -> u64 {
    // SAFETY: the context of a uprobe program is the thread's saved registers; the verifier checks the access.
    unsafe { (*ctx.regs).regs[28] }
}

/// The stack pointer before the probed instruction.
#[inline(always)]
pub fn stack_pointer(ctx: &ProbeContext) -> u64 {
    // SAFETY: as in `g`.
    unsafe { (*ctx.regs).sp }
}

/// The first integer argument.
#[inline(always)]
pub fn first_argument(ctx: &ProbeContext) -> u64 {
    // SAFETY: as in `g`.
    unsafe { (*ctx.regs).regs[0] }
}

/// Address of the probed instruction.
#[inline(always)]
pub fn instruction(ctx: &ProbeContext) -> u64 {
    // SAFETY: as in `g`.
    unsafe { (*ctx.regs).pc }
}

/// Where the function will return to, at an entry site: the link register still holds it.
#[inline(always)]
pub fn return_address(ctx: &ProbeContext) -> Option<u64> {
    // SAFETY: as in `g`.
    Some(unsafe { (*ctx.regs).regs[30] })
}

/// Where the function will return to, where its frame is gone or not yet there, and the place of that
/// on the stack: 0, it is in the link register.
#[inline(always)]
pub fn return_address_at(ctx: &ProbeContext, _: u64) -> Option<(u64, u64)> {
    // SAFETY: as in `g`.
    Some((unsafe { (*ctx.regs).regs[30] }, 0))
}

/// The frame pointer: where the function that runs has no frame, its caller's.
#[inline(always)]
pub fn frame_pointer(ctx: &ProbeContext) -> u64 {
    // SAFETY: as in `g`.
    unsafe { (*ctx.regs).regs[29] }
}

/// The third integer argument.
#[inline(always)]
pub fn third_argument(ctx: &ProbeContext) -> u64 {
    // SAFETY: as in `g`.
    unsafe { (*ctx.regs).regs[2] }
}

/// Does nothing: the kernel simulates `ret` here, so there is nothing to be gained.
#[inline(always)]
pub fn jump(_: &ProbeContext, _: u64, _: u64) {}

/// Stores the integer registers of arguments and results, in the ABI's order, to where
/// `REGISTERS` words have room.
///
/// # Safety
/// `to` is valid and aligned.
#[inline(always)]
pub unsafe fn arguments(ctx: &ProbeContext, to: *mut u64) {
    // SAFETY: as in `g`, and by this function's own contract.
    unsafe {
        let regs = &(*ctx.regs).regs;
        *to = regs[0];
        *to.add(1) = regs[1];
        *to.add(2) = regs[2];
        *to.add(3) = regs[3];
        *to.add(4) = regs[4];
        *to.add(5) = regs[5];
        *to.add(6) = regs[6];
        *to.add(7) = regs[7];
        *to.add(8) = regs[8];
        *to.add(9) = regs[9];
        *to.add(10) = regs[10];
        *to.add(11) = regs[11];
        *to.add(12) = regs[12];
        *to.add(13) = regs[13];
        *to.add(14) = regs[14];
        *to.add(15) = regs[15];
    }
}
