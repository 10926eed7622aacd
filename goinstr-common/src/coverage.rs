//! Coverage: when each site was first hit, and how many hits there were.

/// Element distance of two CPUs' counts in the map `HIT_COUNTS`: a cache line each.
pub const HIT_COUNT_STRIDE: u32 = 8;

/// The value of an element of the map `FIRST_HITS` for a site that was not hit. All others are
/// times, in ns of `CLOCK_MONOTONIC`.
pub const NOT_HIT: u64 = 0;
