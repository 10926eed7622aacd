//! Who calls a function: key of the map `CALLERS`, whose values are numbers of calls (`u64`).

use crate::wire;

/// `CallerKey::distance` where the return address could not be read.
pub const UNREADABLE: u64 = 1 << 63;

/// A place that calls a function.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallerKey {
    /// The function's index in the plan.
    pub func: u32,
    /// Always 0.
    pub pad: u32,
    /// Return address less the address of the entry site, wrapping; or `UNREADABLE`.
    pub distance: u64,
}
wire!(CallerKey, size = 16, align = 8);
