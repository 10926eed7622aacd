//! Durations for part of the time: returns, which cost by far the most, are armed in windows and not
//! between them. Entries stay armed, so every call is counted.
//!
//! A window is raised first, then the returns are armed, then calls are opened; at its end none is
//! opened any more, then the returns go. What is open then is given up when its goroutine is next seen,
//! and counted as lost for that reason. When the links are gone no program runs that has seen the window
//! (the kernel waits for all of a uprobe's programs), so none can open a call after it.

use goinstr_common::control::{PHASE_ARMING, PHASE_BETWEEN, PHASE_CLOSING, PHASE_RECORDING};

use super::{AttachError, Gauge, holder::Held, multi::Again};

/// The returns, armed in windows. Dropped, they are disarmed.
pub struct Windows {
    returns: Vec<Again>,
    links: Vec<Held>,
    gauge: Gauge,
    open: bool,
}

impl Windows {
    pub(super) fn new(returns: Vec<Again>, gauge: Gauge) -> Self {
        Self {
            returns,
            links: Vec::new(),
            gauge,
            open: false,
        }
    }

    /// Begins to count. No window is open yet.
    pub fn begin(&self) {
        self.gauge.next_window();
        self.gauge.set_phase(PHASE_BETWEEN);
    }

    /// Opens a window: when this returns, durations are measured.
    ///
    /// # Errors
    /// The returns can't be armed.
    pub fn open(&mut self) -> Result<(), AttachError> {
        self.gauge.next_window();
        for group in &self.returns {
            self.links.push(group.arm()?);
        }
        self.open = true;
        self.gauge.set_phase(PHASE_RECORDING);
        Ok(())
    }

    /// Closes the window: when this returns, the returns run at their own speed.
    pub fn close(&mut self) {
        self.gauge.set_phase(PHASE_BETWEEN);
        self.open = false;
        self.links.clear();
    }

    /// Ends counting. A window that is open closes as a measurement does: what is open is in flight.
    pub fn end(&self) {
        if self.open {
            self.gauge.set_phase(PHASE_CLOSING);
        } else {
            self.gauge.set_phase(PHASE_ARMING);
            // Nothing is open but for goinstr.
            self.gauge.next_window();
        }
    }
}
