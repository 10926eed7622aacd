//! Events and kernel histograms → statistics and the ledger.

mod report;

pub use report::{CallEvent, End, FunctionReport, Ledger, Outcome, Report, SessionInfo};
