//! What userspace tells the running kernel program: the phase of the measurement.
//!
//! One element in the map `CONTROL`. The phase makes start and stop a single moment although
//! arming and disarming thousands of sites takes long.

use crate::wire;

/// Sites are being armed: hits do nothing at all.
pub const PHASE_ARMING: u32 = 0;
/// Calls are opened and closed.
pub const PHASE_RECORDING: u32 = 1;
/// Calls that are open may still close; nothing opens any more and nothing is an orphan.
pub const PHASE_CLOSING: u32 = 2;
/// Entries are counted and no call is opened: between two of the windows in which durations are measured,
/// where that is done for part of the time only. Returns are not armed then.
pub const PHASE_BETWEEN: u32 = 3;

/// The one element of the map `CONTROL`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Control {
    /// One of the `PHASE_` constants.
    pub phase: u32,
    /// Next free block of the map `HIST_BLOCKS`; the kernel adds to it.
    pub blocks_used: u32,
    /// Number of functions that are no longer measured.
    pub shed: u32,
    /// The window that is open or was last, from 1. Raised before returns are armed, so that none of
    /// them can end a call that an earlier window has seen to begin.
    pub window: u32,
}
wire!(Control, size = 16, align = 4);
