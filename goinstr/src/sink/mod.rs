//! Statistics → what people and scripts read. One file a format, behind [`Sink`].

use std::io;

use crate::aggregate::{CallEvent, Ledger, Report, SessionInfo};
use crate::plan::ProbePlan;

/// Receives a measurement as it goes on. Calls come in the order of the methods.
pub trait Sink {
    /// Once, when all probes are in place; the skipped functions are in the plan.
    fn session(&mut self, info: &SessionInfo, plan: &ProbePlan) -> io::Result<()>;

    /// Each single call that was asked for.
    fn call(&mut self, call: &CallEvent) -> io::Result<()>;

    /// At each interval, `number` from 0.
    fn interval(&mut self, number: u64, report: &Report) -> io::Result<()>;

    /// Once, at the end.
    fn finish(&mut self, report: &Report, ledger: &Ledger) -> io::Result<()>;
}
