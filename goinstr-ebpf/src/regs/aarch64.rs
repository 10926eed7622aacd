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

/// The third integer argument.
#[inline(always)]
pub fn third_argument(ctx: &ProbeContext) -> u64 {
    // SAFETY: as in `g`.
    unsafe { (*ctx.regs).regs[2] }
}

/// Does nothing: the kernel simulates `ret` here, so there is nothing to be gained.
#[inline(always)]
pub fn jump(_: &ProbeContext, _: u64, _: u64) {}
