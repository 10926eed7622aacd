//! When sites that were hit are taken out.
//!
//! A hit of a site that is known already costs the target and tells nothing; taking sites out costs
//! too, much the same for one as for all. So it is done at once while hits are many, and ever more
//! seldom as they get rare.

use std::time::Duration;

/// Time between two looks at what was hit.
pub(super) const GLANCE: Duration = Duration::from_millis(50);

/// The longest time that a hit site stays.
const LONGEST: Duration = Duration::from_secs(30);

/// Retiring may take this part of goinstr's time at most, after the first time.
const SHARE: u32 = 10;

/// Hits a second that nobody notices: at some µs each, a few thousandths of a CPU.
const QUIET: u64 = 1000;

/// Decides when to retire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// Since the last retirement.
    waited: Duration,
    /// To be waited at least, even if hits are many.
    pause: Duration,
    /// To be waited if hits are few.
    interval: Duration,
    /// Hits at the last glance.
    hits: u64,
}

impl Schedule {
    pub fn new() -> Self {
        Self {
            waited: Duration::ZERO,
            pause: Duration::ZERO,
            interval: GLANCE,
            hits: 0,
        }
    }

    /// Whether to retire now: `hits` in all so far, after another `passed`; `hit` tells whether a
    /// site in place has been hit.
    pub fn is_due(&mut self, hits: u64, passed: Duration, hit: bool) -> bool {
        let new = hits.saturating_sub(self.hits);
        self.hits = hits;
        self.waited += passed;
        let busy = u128::from(new) * 1000 > u128::from(QUIET) * passed.as_millis();
        hit && self.waited >= self.pause && (busy || self.waited >= self.interval)
    }

    /// It was done, took so long, and took out so many of so many sites.
    pub fn done(&mut self, took: Duration, out: usize, of: usize) {
        self.waited = Duration::ZERO;
        self.pause = took * SHARE;
        // Fewer than one in a hundred: hits get rare.
        if out * 100 < of {
            self.interval = (self.interval * 2).min(LONGEST);
        }
    }

    /// All sites are in place again.
    pub fn restart(&mut self) {
        self.interval = GLANCE;
        self.waited = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_hits_are_answered_at_once_and_few_ever_later() {
        let mut schedule = Schedule::new();
        assert!(!schedule.is_due(0, GLANCE, false));
        assert!(schedule.is_due(10_000, GLANCE, true));
        schedule.done(Duration::from_millis(20), 500, 1000);
        // Not more than a tenth of the time, whatever happens.
        assert!(!schedule.is_due(90_000, GLANCE, true));
        assert!(!schedule.is_due(190_000, GLANCE, true));
        assert!(!schedule.is_due(290_000, GLANCE, true));
        assert!(schedule.is_due(390_000, GLANCE, true));
        let mut waits = Vec::new();
        let mut hits = 390_000;
        for _ in 0..12 {
            schedule.done(Duration::from_millis(1), 1, 1000);
            let mut glances = 1;
            hits += 1;
            while !schedule.is_due(hits, GLANCE, true) {
                glances += 1;
            }
            waits.push(GLANCE * glances);
        }
        assert!(waits.is_sorted() && waits.contains(&LONGEST), "{waits:?}");
        schedule.restart();
        assert!(schedule.is_due(hits + 1, GLANCE, true));
    }
}
