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

/// The same bit, on return sites only: a return that takes the return address off the stack and
/// nothing else, at an address of no more than [`SITE_BITS`].
pub const PLAIN_RETURN: u64 = 1 << 32;

/// Return sites only: where in a cookie the address stands, and how many bits of it.
const SITE_SHIFT: u32 = 64 - SITE_BITS;
/// Bits of a return site's address in the file's own numbering that a cookie has room for.
pub const SITE_BITS: u32 = 30;

/// The cookie of a return site of function `func` with `flags`; of its address the lowest bits.
#[must_use]
pub const fn encode_return(func: u32, flags: u64, address: u64) -> u64 {
    encode(func, flags) | address << SITE_SHIFT
}

/// A return site's address in the file's own numbering, as far as there was room for it.
#[must_use]
pub const fn site(cookie: u64) -> u64 {
    cookie >> SITE_SHIFT
}

/// The cookie of a site of function `func` with `flags` (of this module).
#[must_use]
pub const fn encode(func: u32, flags: u64) -> u64 {
    func as u64 | flags
}

/// The cookie in a link of another generation.
const fn of_generation(cookie: u64, generation: u8) -> u64 {
    cookie & !(0xff << GENERATION_SHIFT) | (generation as u64) << GENERATION_SHIFT
}

/// The cookie in a link of the generation after its own.
#[must_use]
pub const fn of_next_generation(cookie: u64) -> u64 {
    of_generation(cookie, generation(cookie).wrapping_add(1))
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
