//! Wire types: everything that both the kernel program and userspace read or write.
//!
//! One crate for both sides, so that a field can't move on one of them alone. All types are
//! `#[repr(C)]`, carry no implicit padding, and their sizes are asserted at compile time.
//! All times are nanoseconds of `CLOCK_MONOTONIC` (`bpf_ktime_get_ns`).

#![cfg_attr(not(test), no_std)]

pub mod caller;
pub mod capture;
pub mod chain;
pub mod control;
pub mod cookie;
pub mod counter;
pub mod coverage;
pub mod histogram;
pub mod hits;
pub mod record;
pub mod ret;
pub mod shadow;
pub mod sieve;
pub mod stack;
pub mod standing;
pub mod stat;
pub mod state;

/// Asserts size and alignment of a wire type at compile time.
macro_rules! wire {
    ($ty:ty, size = $size:expr, align = $align:expr) => {
        const _: () = assert!(core::mem::size_of::<$ty>() == $size);
        const _: () = assert!(core::mem::align_of::<$ty>() == $align);
    };
}
pub(crate) use wire;
