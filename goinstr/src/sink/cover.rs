//! What receives a coverage as it goes on, and the sums that all formats print.

use std::collections::BTreeMap;
use std::io;

use crate::aggregate::{CoverLedger, CoverReport, Coverage, End, SessionInfo};
use crate::plan::CoverPlan;

/// Receives a coverage as it goes on. Calls come in the order of the methods; errors are as for
/// [`Sink`](super::Sink).
pub trait CoverSink {
    /// Once, when all probes are in place. What is written here is flushed.
    fn session(&mut self, info: &SessionInfo, plan: &CoverPlan) -> io::Result<()>;

    /// A function, by its index in the plan, ran for the first time in this phase, at this time
    /// since the Unix epoch in ns.
    fn ran(&mut self, function: u32, unix_ns: u64) -> io::Result<()>;

    /// After some calls of [`CoverSink::ran`]: they are to be seen now.
    fn flush(&mut self) -> io::Result<()>;

    /// At each interval: how far it is.
    fn interval(&mut self, report: &CoverReport) -> io::Result<()>;

    /// At the end of each phase but the last.
    fn phase(&mut self, report: &CoverReport) -> io::Result<()>;

    /// The next phase, by its number from 2, has begun: from now on nothing is missed. Flushed.
    fn phase_began(&mut self, phase: u32) -> io::Result<()>;

    /// Once, at the end. Everything is written through when it returns.
    fn finish(&mut self, report: &CoverReport, ledger: &CoverLedger) -> io::Result<()>;
}

/// Why it ended, as JSON has it.
pub(super) fn end(end: End) -> &'static str {
    match end {
        End::Duration => "duration",
        End::Signal => "signal",
        End::TargetExit => "target_exit",
        End::CutOff => "cut_off",
    }
}

/// How many of some things ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub ran: usize,
    pub all: usize,
}

impl Share {
    pub fn add(&mut self, ran: bool) {
        self.all += 1;
        self.ran += usize::from(ran);
    }
}

/// The functions and lines of one package.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PackageShare {
    pub functions: Share,
    pub lines: Share,
}

/// The lines of each function.
pub(super) fn lines_by_function(plan: &CoverPlan, coverage: &Coverage) -> Vec<Share> {
    let mut shares = vec![Share::default(); plan.functions.len()];
    for (line, &ran) in plan.lines.iter().zip(&coverage.lines) {
        let function = line.function.and_then(|id| shares.get_mut(id as usize));
        if let Some(share) = function {
            share.add(ran);
        }
    }
    shares
}

/// The functions and lines of each package, by import path.
pub(super) fn by_package<'p>(
    plan: &'p CoverPlan,
    coverage: &Coverage,
) -> BTreeMap<&'p str, PackageShare> {
    let mut packages: BTreeMap<&str, PackageShare> = BTreeMap::new();
    let lines = lines_by_function(plan, coverage);
    for ((function, ran), lines) in plan.functions.iter().zip(&coverage.functions).zip(lines) {
        let share = packages.entry(&function.package).or_default();
        share.functions.add(ran.is_some());
        share.lines.all += lines.all;
        share.lines.ran += lines.ran;
    }
    packages
}
