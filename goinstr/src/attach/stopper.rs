//! Stops a measurement at once, from whatever thread: who owns it may be busy with what it has told.

use goinstr_common::control::PHASE_CLOSING;

use super::{Gauge, Shedder, beside::beside, urgency::urgently};

/// Stops a measurement; its owner still has to end it.
pub struct Stopper {
    gauge: Gauge,
    /// `None`: each site takes so long to go that it is left to the end.
    links: Option<Shedder>,
}

impl Stopper {
    pub(super) fn new(gauge: Gauge, links: Option<Shedder>) -> Self {
        Self { gauge, links }
    }

    /// From now on no call opens, and the sites go as soon as may be. Does not wait.
    pub fn stop(&self) {
        self.gauge.set_phase(PHASE_CLOSING);
        if let Some(links) = self.links.clone() {
            beside(move || urgently(|| links.disarm()));
        }
    }
}
