//! Which measured calls are open around a single call: a record of the ring buffer, before the call's own.

use crate::wire;

/// `ChainRecord::kind`.
pub const KIND_CHAIN: u32 = 5;

/// Callers told of at most. A power of two.
pub const CHAIN_CALLERS: usize = 16;

/// The measured calls open around a call that is about to return.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ChainRecord {
    /// `KIND_CHAIN`.
    pub kind: u32,
    /// Callers that there are in `funcs`.
    pub count: u32,
    /// `runtime.g.goid`.
    pub goid: u64,
    /// When the call opened, ns of `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// Process, as the initial pid namespace numbers it.
    pub tgid: u32,
    /// Always 0.
    pub pad: u32,
    /// Indices in the plan, innermost first.
    pub funcs: [u32; CHAIN_CALLERS],
}
wire!(ChainRecord, size = 96, align = 8);
