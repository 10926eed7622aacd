//! Coverage: when each site was first hit.

/// The bit of a site's cookie that says that its instruction is single-stepped. The bits below are
/// the site's number.
pub const STEPPED_BIT: u32 = 32;

/// The value of an element of the map `FIRST_HITS` for a site that was not hit. All others are
/// times, in ns of `CLOCK_MONOTONIC`.
pub const NOT_HIT: u64 = 0;
