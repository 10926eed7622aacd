//! Finds out of calls that they don't match the condition, so that nothing is told of them.
//!
//! In: what was read of a call, and the tests that userspace made of the condition (`goinstr_common::sieve`). A call
//! that surely doesn't match loses what was read of it, and who has nothing is not told of.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_loop;
use goinstr_common::{
    capture::{Captured, DATA_BYTES},
    sieve::{DROP, MAX_TESTS, Sieve},
};

use crate::{config, maps};

/// What the loop of [`passes`] works on.
struct Asking {
    captured: *mut Captured,
    first: u32,
    /// The test that is next, or the end.
    next: u32,
}

/// Whether calls are held against a condition at all.
#[inline(always)]
pub fn wanted() -> bool {
    config::conditions() != 0
}

/// Whether the call may match.
///
/// # Safety
/// `captured` is a live map element.
#[inline(always)]
pub unsafe fn passes(captured: *mut Captured, sieve: Sieve) -> bool {
    let mut asking = Asking {
        captured,
        first: sieve.first,
        next: 0,
    };
    // SAFETY: the callback has the signature that the helper calls, and gets what it expects.
    unsafe {
        bpf_loop(
            sieve.tests.min(MAX_TESTS),
            ask as *mut c_void,
            (&raw mut asking).cast(),
            0,
        );
    }
    asking.next != DROP
}

/// One test; 1 where it was the last.
unsafe extern "C" fn ask(_: u32, context: *mut c_void) -> i64 {
    // SAFETY: `passes` passes its own.
    let asking = unsafe { &mut *context.cast::<Asking>() };
    let Some(test) = maps::TESTS.get(asking.first.wrapping_add(asking.next)) else {
        return 1;
    };
    let at = test.at as usize & (DATA_BYTES - 8);
    // SAFETY: a live map element; the offset is bounded below its size.
    let word = unsafe {
        (&raw const (*asking.captured).data)
            .cast::<u8>()
            .add(at)
            .cast::<u64>()
            .read()
    };
    asking.next = test.next(word);
    i64::from(asking.next >= DROP)
}
