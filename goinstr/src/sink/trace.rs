//! Single calls as trees, in one of several formats.
//!
//! In: calls as they return. Out: the same calls in the order in which they began, each under the
//! one it was made in, written by a [`Format`].

use std::io;

use super::Sink;
use super::forest::{Cut, Entry, Forest};
use crate::aggregate::{BegunCall, CallEvent, Ledger, OpenCall, Report, SessionInfo, ShedEvent};
use crate::plan::ProbePlan;

/// How the lines of a trace are written.
pub trait Format {
    /// Once, before all calls: also which functions are left out because they would cost too much. Written
    /// through when it returns.
    fn begin(&mut self, info: &SessionInfo, plan: &ProbePlan) -> io::Result<()>;

    /// One line of a tree.
    fn entry(&mut self, entry: &Entry) -> io::Result<()>;

    /// A call that has just begun, of a trace of beginnings alone.
    fn begun(&mut self, call: &BegunCall) -> io::Result<()>;

    /// A function is no longer measured: whoever reads has to know at once.
    fn shed(&mut self, event: &ShedEvent) -> io::Result<()>;

    /// So many calls are missing, for want of room.
    fn missing(&mut self, calls: u64) -> io::Result<()>;

    /// Writes through what has been written.
    fn flush(&mut self) -> io::Result<()>;

    /// Once, at the end.
    fn end(&mut self, report: &Report, ledger: &Ledger) -> io::Result<()>;
}

/// Makes trees of calls and hands them to `F`.
#[derive(Debug)]
pub struct TraceSink<F> {
    format: F,
    /// At most so many levels of the trees.
    levels: Option<u32>,
    forest: Forest,
    dropped: u64,
}

impl<F: Format> TraceSink<F> {
    /// A trace of trees of at most so many levels; which may be their roots, the plan says.
    pub fn new(format: F, levels: Option<u32>) -> Self {
        Self {
            format,
            levels,
            forest: Forest::default(),
            dropped: 0,
        }
    }

    fn tell_missing(&mut self, dropped: u64) -> io::Result<()> {
        let since = dropped.saturating_sub(self.dropped);
        self.dropped = dropped;
        if since > 0 {
            self.format.missing(since)?;
        }
        Ok(())
    }
}

impl<F: Format> Sink for TraceSink<F> {
    fn session(&mut self, info: &SessionInfo, plan: &ProbePlan) -> io::Result<()> {
        self.forest = Forest::new(Cut::of(plan, self.levels));
        self.format.begin(info, plan)
    }

    fn call(&mut self, call: &CallEvent) -> io::Result<()> {
        self.forest.add(call.clone());
        Ok(())
    }

    fn begun(&mut self, call: &BegunCall) -> io::Result<()> {
        self.format.begun(call)
    }

    fn asks_for_open(&self) -> bool {
        self.forest.asks_for_open()
    }

    fn settle(&mut self, open: Option<&[OpenCall]>, now_unix_ns: u64) -> io::Result<()> {
        for entry in self.forest.ready(open, now_unix_ns) {
            self.format.entry(&entry)?;
        }
        Ok(())
    }

    fn shed(&mut self, event: &ShedEvent) -> io::Result<()> {
        self.forest.shed(event.function);
        self.format.shed(event)?;
        self.format.flush()
    }

    fn interval(&mut self, _number: u64, report: &Report) -> io::Result<()> {
        self.tell_missing(report.dropped_records)?;
        self.format.flush()
    }

    fn finish(&mut self, report: &Report, ledger: &Ledger) -> io::Result<()> {
        self.tell_missing(ledger.dropped_records)?;
        self.format.end(report, ledger)
    }
}
