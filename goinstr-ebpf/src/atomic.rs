//! The atomic operations of BPF.
//!
//! By hand because `core::sync::atomic` has none for this target (it is declared without
//! compare-and-swap), and because their intrinsics change with the compiler's version while the
//! assembly doesn't. Those that return a value need Linux 5.12.

use core::arch::asm;

/// Adds to a word.
///
/// # Safety
/// `word` is valid and aligned.
#[inline(always)]
pub unsafe fn add(word: *mut u64, amount: u64) {
    // SAFETY: by this function's own contract.
    unsafe {
        asm!("lock *(u64 *)({word} + 0) += {amount}", word = in(reg) word, amount = in(reg) amount)
    };
}

/// Adds to a half word; what it was before.
///
/// # Safety
/// `word` is valid and aligned.
#[inline(always)]
pub unsafe fn fetch_add_u32(word: *mut u32, amount: u32) -> u32 {
    let before;
    // SAFETY: by this function's own contract.
    unsafe {
        asm!(
            "{amount} = atomic_fetch_add((u32 *)({word} + 0), {amount})",
            word = in(reg) word,
            amount = inlateout(wreg) amount => before,
        );
    }
    before
}

/// Stores `new` if the word is `expected`; what it was before.
///
/// # Safety
/// `word` is valid and aligned.
#[inline(always)]
pub unsafe fn compare_exchange(word: *mut u64, expected: u64, new: u64) -> u64 {
    let before;
    // SAFETY: by this function's own contract.
    unsafe {
        asm!(
            "r0 = cmpxchg_64({word} + 0, r0, {new})",
            word = in(reg) word,
            new = in(reg) new,
            inlateout("r0") expected => before,
        );
    }
    before
}

/// Stores `new` if the half word is `expected`; what it was before.
///
/// # Safety
/// `word` is valid and aligned.
#[inline(always)]
pub unsafe fn compare_exchange_u32(word: *mut u32, expected: u32, new: u32) -> u32 {
    let before;
    // SAFETY: by this function's own contract.
    unsafe {
        asm!(
            "w0 = cmpxchg32_32({word} + 0, w0, {new})",
            word = in(reg) word,
            new = in(wreg) new,
            inlateout("w0") expected => before,
        );
    }
    before
}
