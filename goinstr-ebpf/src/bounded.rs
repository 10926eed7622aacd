//! Indices that the verifier sees to be within bounds.

use core::arch::asm;

/// `index`, which is below `N`, a power of two, bounded in a way that the optimizer can't see through: it
/// would drop a mask that its own comparison before makes needless, and the verifier does not follow
/// that comparison.
#[inline(always)]
pub fn bounded<const N: usize>(mut index: u64) -> usize {
    // SAFETY: changes nothing but the register.
    unsafe {
        asm!("{index} &= {mask}", index = inout(reg) index, mask = const N - 1);
    }
    index as usize
}
