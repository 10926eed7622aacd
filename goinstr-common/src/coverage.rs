//! Coverage: when each site was first hit, and how many hits there were.

/// Element distance of two CPUs' counts in the map `HIT_COUNTS`: a cache line each.
///
/// A CPU's first element counts hits of instructions that the kernel emulates, the second those of
/// instructions that it single-steps.
pub const HIT_COUNT_STRIDE: u32 = 8;

/// The bit of a site's cookie that says that its instruction is single-stepped. The bits below are
/// the site's number.
pub const STEPPED_BIT: u32 = 32;

/// The value of an element of the map `FIRST_HITS` for a site that was not hit. All others are
/// times, in ns of `CLOCK_MONOTONIC`.
pub const NOT_HIT: u64 = 0;
