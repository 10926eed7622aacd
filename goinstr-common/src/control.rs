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
}
wire!(Control, size = 12, align = 4);
