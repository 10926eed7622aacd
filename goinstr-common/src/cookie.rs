//! The 64-bit attach cookie of a site: which function it belongs to, and what is special about it.

/// Bits 0..24 of a cookie: the function's index in the plan.
pub const FUNC_MASK: u64 = 0x00ff_ffff;

/// Bits 24..32: the generation of the link, see [`crate::standing`].
const GENERATION_SHIFT: u32 = 24;

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

/// The cookie in a link of another generation.
#[must_use]
pub const fn of_generation(cookie: u64, generation: u8) -> u64 {
    cookie & !(0xff << GENERATION_SHIFT) | (generation as u64) << GENERATION_SHIFT
}

/// The generation of the link that the hit came through.
#[must_use]
pub const fn generation(cookie: u64) -> u8 {
    (cookie >> GENERATION_SHIFT) as u8
}

/// The function's index in the plan.
#[must_use]
pub const fn func(cookie: u64) -> u32 {
    (cookie & FUNC_MASK) as u32
}
