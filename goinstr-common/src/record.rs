//! Records of the ring buffer.

use crate::wire;

/// `CallRecord::kind` of a finished call.
pub const KIND_CALL: u32 = 1;
/// `CallRecord::kind` of a finished call that found no histogram block: its duration is only here.
pub const KIND_UNBINNED: u32 = 2;
/// `CallRecord::kind` of a call that has just begun: nothing that comes with its end is known.
pub const KIND_BEGUN: u32 = 6;

/// `CallRecord::outcome`: the function executed its own return.
pub const OUTCOME_RETURNED: u32 = 0;
/// `CallRecord::outcome`: the call ended without its own return (panic, `runtime.Goexit`).
pub const OUTCOME_UNWOUND: u32 = 1;

/// `CallRecord::parent`: no traced call was open on the goroutine when this one was.
pub const NO_PARENT: u32 = u32::MAX;

/// One finished call, or one that has begun.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallRecord {
    /// One of the `KIND_` constants.
    pub kind: u32,
    /// The function's index in the plan.
    pub func: u32,
    /// `runtime.g.goid`; 0 on a thread's system stacks.
    pub goid: u64,
    /// When the call opened, ns of `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// How long it was open, corrected for what the probes cost, in ns.
    pub duration_ns: u64,
    /// `duration_ns` without the durations of the traced calls directly inside it.
    pub self_ns: u64,
    /// The plan's index of the innermost traced function open around it, or `NO_PARENT`.
    pub parent: u32,
    /// Number of traced calls open around it on its goroutine.
    pub depth: u32,
    /// One of the `OUTCOME_` constants.
    pub outcome: u32,
    /// Process, as the initial pid namespace numbers it.
    pub tgid: u32,
    /// Thread that the call ended on.
    pub tid: u32,
    /// Always 0.
    pub pad: u32,
    /// `runtime.g.parentGoid`: the goroutine that started this one; 0 where that is not known.
    pub parent_goid: u64,
    /// What the probes cost within it and was taken off its duration, in ns.
    pub corrected_ns: u64,
}
wire!(CallRecord, size = 80, align = 8);
