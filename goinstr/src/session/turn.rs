//! The turns of a measurement's loop: some of what has come is taken, then the end, the guard and the sign of life have
//! theirs.
//!
//! A ring buffer that is full may be the work of minutes, where stacks and values are written of each call. Whoever
//! presses Ctrl-C meanwhile wants the probes out, and goinstr is not to be taken for dead.

use std::time::Duration;

use goinstr_common::shadow::Frame;
use tokio::{task::yield_now, time::sleep};

use crate::event::Drained;

/// How long is drained at most in a turn.
pub(super) const TURN: Duration = Duration::from_millis(50);

/// How long the loop that sees the end may be held up. What it writes to does not hold it up for long, so
/// something is badly wrong then, and probes that nobody will take out are the worst of it.
pub(super) const LOOP_SILENCE: Duration = Duration::from_secs(10);

/// Waits so long; not at all, others go first.
pub(super) async fn rest(pause: Duration) {
    if pause.is_zero() {
        yield_now().await;
    } else {
        sleep(pause).await;
    }
}

/// A report that is due, once what had come by then is taken.
pub(super) struct Due {
    /// The calls that were open then, with their goroutines, where they were asked for.
    pub frames: Option<Vec<(u64, Frame)>>,
    /// Bytes of the ring buffer that may be from before.
    left: usize,
}

impl Due {
    /// One that is due now, with a ring buffer of `capacity` bytes.
    pub fn new(frames: Option<Vec<(u64, Frame)>>, capacity: usize) -> Self {
        Self {
            frames,
            left: capacity,
        }
    }

    /// Whether all is taken that was there, with so much more.
    pub fn is_ready(&mut self, drained: Drained) -> bool {
        self.left = self.left.saturating_sub(drained.bytes);
        drained.emptied || self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_waits_for_what_was_there_and_for_no_more() {
        let drained = |bytes, emptied| Drained {
            records: 1,
            bytes,
            emptied,
        };
        let mut due = Due::new(None, 1000);
        assert!(!due.is_ready(drained(400, false)));
        assert!(!due.is_ready(drained(599, false)));
        // A target that goes on filling it can't put it off.
        assert!(due.is_ready(drained(1, false)));
        assert!(Due::new(None, 1000).is_ready(drained(0, true)));
    }
}
