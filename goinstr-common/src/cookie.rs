//! The 64-bit attach cookie of a site: which function it belongs to, and what is special about it.

/// Bits 0..32 of a cookie: the function's index in the plan.
pub const FUNC_MASK: u64 = 0xffff_ffff;

/// Entry sites only: the function's own code branches back to this instruction, so that several
/// hits of one frame are one call.
pub const REENTERS: u64 = 1 << 32;

/// The entry site's instruction is single-stepped and not emulated: the hit costs more, and more of
/// it falls into the call. On entry sites only.
pub const STEPPED: u64 = 1 << 33;

/// The cookie of a site of function `func` with `flags` (of this module).
#[must_use]
pub const fn encode(func: u32, flags: u64) -> u64 {
    func as u64 | flags
}

/// The function's index in the plan.
#[must_use]
pub const fn func(cookie: u64) -> u32 {
    (cookie & FUNC_MASK) as u32
}
