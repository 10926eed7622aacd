//! Events and kernel histograms → statistics and the ledger.

mod aggregator;
mod durations;
mod report;

pub use aggregator::Aggregator;
pub use report::{
    CallEvent, CallerReport, End, FunctionReport, Ledger, Mode, Outcome, ProbeCosts, Report,
    SessionInfo,
};
