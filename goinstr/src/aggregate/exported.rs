//! What of a measurement went to a collector.

use serde::Serialize;

/// Spans and reports of metrics that were pushed, and those that were not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Spans that the collector took.
    pub spans: u64,
    /// Spans that found no room in the queue, or that the collector did not take.
    pub dropped_spans: u64,
    /// Calls that became no span because there were more a second than were wanted.
    pub thinned_spans: u64,
    /// Reports of metrics that the collector took.
    pub reports: u64,
    /// Reports that it did not take. They are cumulative: the next one says all that this one said.
    pub dropped_reports: u64,
}

impl Exported {
    /// Whether anything is missing.
    #[must_use]
    pub const fn is_incomplete(&self) -> bool {
        self.dropped_spans + self.thinned_spans + self.dropped_reports > 0
    }

    /// In a line, for people.
    #[must_use]
    pub fn told(&self) -> String {
        let Self {
            spans,
            dropped_spans,
            thinned_spans,
            reports,
            dropped_reports,
        } = self;
        let mut told = format!("{spans} spans and {reports} reports of metrics were taken");
        if dropped_spans + dropped_reports > 0 {
            told += &format!(", {dropped_spans} spans and {dropped_reports} reports were dropped");
        }
        if *thinned_spans > 0 {
            told += &format!(
                ", {thinned_spans} calls became no spans: more than --otlp-spans a second"
            );
        }
        told
    }
}
