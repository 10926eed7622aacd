//! A coverage that ends in a file for other tools, with a summary beside it for people.

use std::io::{self, Write};

use super::cover::CoverSink;
use super::profile::ProfileFormat;
use crate::aggregate::{CoverLedger, CoverReport, Profile, SessionInfo};
use crate::plan::CoverPlan;

/// Opens what a phase that is not the last is to be written to.
pub type OpenPhase = Box<dyn FnMut(u32) -> io::Result<Box<dyn Write>>>;

/// Writes a profile at the end, and one for each phase before it.
pub struct CoverProfile {
    format: ProfileFormat,
    out: Box<dyn Write>,
    open_phase: OpenPhase,
    /// Where what people read goes; nowhere if the profile itself goes to stdout.
    summary: Option<Box<dyn CoverSink>>,
    plan: Option<CoverPlan>,
}

impl CoverProfile {
    /// A sink that writes the last report to `out`.
    pub fn new(
        format: ProfileFormat,
        out: Box<dyn Write>,
        open_phase: OpenPhase,
        summary: Option<Box<dyn CoverSink>>,
    ) -> Self {
        Self {
            format,
            out,
            open_phase,
            summary,
            plan: None,
        }
    }

    fn tell(&mut self, what: impl FnOnce(&mut dyn CoverSink) -> io::Result<()>) -> io::Result<()> {
        match &mut self.summary {
            Some(summary) => what(summary.as_mut()),
            None => Ok(()),
        }
    }
}

impl CoverSink for CoverProfile {
    fn session(&mut self, info: &SessionInfo, plan: &CoverPlan) -> io::Result<()> {
        self.plan = Some(plan.clone());
        self.tell(|summary| summary.session(info, plan))
    }

    fn ran(&mut self, function: u32, unix_ns: u64) -> io::Result<()> {
        self.tell(|summary| summary.ran(function, unix_ns))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tell(|summary| summary.flush())
    }

    fn interval(&mut self, report: &CoverReport) -> io::Result<()> {
        self.tell(|summary| summary.interval(report))
    }

    fn phase(&mut self, report: &CoverReport) -> io::Result<()> {
        if let (Some(plan), Some(phase)) = (&self.plan, report.phase) {
            let profile = Profile::of(plan, &report.coverage);
            self.format.write(&profile, (self.open_phase)(phase)?)?;
        }
        self.tell(|summary| summary.phase(report))
    }

    fn phase_began(&mut self, phase: u32) -> io::Result<()> {
        self.tell(|summary| summary.phase_began(phase))
    }

    fn finish(&mut self, report: &CoverReport, ledger: &CoverLedger) -> io::Result<()> {
        if let Some(plan) = &self.plan {
            let profile = Profile::of(plan, &report.coverage);
            self.format.write(&profile, &mut self.out)?;
        }
        self.tell(|summary| summary.finish(report, ledger))
    }
}
