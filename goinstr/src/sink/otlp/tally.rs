//! What has become of what was to be sent. The exporting thread may be held up when the end comes:
//! whatever it has not told to be sent by then is dropped.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::aggregate::Exported;

/// Counters that both threads write.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Calls that were left in the queue.
    queued: AtomicU64,
    /// Calls that found no room in it.
    no_room: AtomicU64,
    /// Calls that the thread has taken out of the queue and that are in no tree yet.
    pub kept: AtomicU64,
    /// Of those in trees: left out because they were not asked for.
    pub cut: AtomicU64,
    /// Of those in trees: left out because there were too many a second.
    pub thinned: AtomicU64,
    /// Spans of calls that had not returned at the end.
    pub open: AtomicU64,
    /// Spans that the collector has taken.
    pub delivered: AtomicU64,
    /// Reports of metrics.
    pub reports: AtomicU64,
    /// Those that the collector has taken.
    pub delivered_reports: AtomicU64,
}

impl Tally {
    /// A call was left, or found no room.
    pub fn left(&self, found_room: bool) {
        let count = if found_room {
            &self.queued
        } else {
            &self.no_room
        };
        count.fetch_add(1, Relaxed);
    }

    /// What has been sent by now; all else is dropped if this is the end.
    pub fn exported(&self) -> Exported {
        // First: what is added meanwhile must not make the rest negative.
        let delivered = self.delivered.load(Relaxed);
        let delivered_reports = self.delivered_reports.load(Relaxed);
        let thinned = self.thinned.load(Relaxed);
        let wanted = self.queued.load(Relaxed) + self.no_room.load(Relaxed)
            - self.cut.load(Relaxed)
            - thinned
            + self.open.load(Relaxed);
        Exported {
            spans: delivered,
            dropped_spans: wanted.saturating_sub(delivered),
            thinned_spans: thinned,
            reports: delivered_reports,
            dropped_reports: self.reports.load(Relaxed).saturating_sub(delivered_reports),
        }
    }
}

/// Adds to a counter.
pub(super) fn add(count: &AtomicU64, n: usize) {
    count.fetch_add(n as u64, Relaxed);
}
