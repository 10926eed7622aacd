//! Per-function totals: an element of the map `STATS`.
//!
//! Element `func * stripes + (cpu & (stripes - 1))`: few functions get a stripe a CPU so that
//! CPUs don't share a cache line, many functions share, and either way each field is only ever
//! changed by atomic operations: a uprobe program can be preempted by another on the same CPU.

use crate::wire;

/// Totals of one function on one stripe.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FuncStat {
    /// Calls that opened while recording, counted before anything else is done about them.
    pub entries: u64,
    /// Calls that ended by their own return.
    pub returned: u64,
    /// Calls that ended without one.
    pub unwound: u64,
    /// Sum of the durations of both, corrected for what the probes cost, in ns.
    pub total_ns: u64,
    /// Sum of their exclusive times, in ns.
    pub self_ns: u64,
    /// `u64::MAX` minus the shortest duration; 0 for none. Kept this way round so that zeroed memory is right.
    pub min_inverted: u64,
    /// The longest duration in ns.
    pub max_ns: u64,
    /// What the probes cost within this function's calls and was taken off their durations, in ns.
    pub corrected_ns: u64,
}
wire!(FuncStat, size = 64, align = 8);
