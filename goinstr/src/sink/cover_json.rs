//! Coverage as NDJSON.

use std::io::{self, Write};

use super::cover::{CoverSink, end, lines_by_function};
use super::line::{self, Line};
use crate::aggregate::{CoverLedger, CoverReport, SessionInfo};
use crate::plan::CoverPlan;

/// Writes the lines of a coverage to `W`, which need not buffer.
#[derive(Debug)]
pub struct CoverJson<W: Write> {
    out: io::BufWriter<W>,
    watch: bool,
    plan: Option<CoverPlan>,
}

impl<W: Write> CoverJson<W> {
    /// A sink that, with `watch`, also tells of each function when it first runs.
    pub fn new(out: W, watch: bool) -> Self {
        Self {
            out: io::BufWriter::with_capacity(64 * 1024, out),
            watch,
            plan: None,
        }
    }

    fn report(&mut self, report: &CoverReport) -> io::Result<()> {
        let Self { out, plan, .. } = self;
        let Some(plan) = plan else { return Ok(()) };
        let with_lines = !plan.lines.is_empty();
        let coverage = &report.coverage;
        let shares = lines_by_function(plan, coverage);
        for ((function, ran), share) in plan.functions.iter().zip(&coverage.functions).zip(shares) {
            let line = line::CoverageLine {
                function: &function.name,
                package: &function.package,
                file: function.location.as_ref().map(|at| at.file.as_str()),
                line: function.location.as_ref().map(|at| at.line),
                covered: ran.is_some(),
                first_run_unix_ns: *ran,
                lines: with_lines.then_some(share.all),
                lines_covered: with_lines.then_some(share.ran),
                unseen: (function.unseen > 0).then_some(function.unseen),
                phase: report.phase,
            };
            Line::Coverage(line).write(out)?;
        }
        let mut rest = plan.lines.iter().zip(&coverage.lines).peekable();
        for (file, id) in plan.files.iter().zip(0..) {
            let mut lines = line::Lines {
                file: &file.path,
                import: file.import.as_deref(),
                covered: Vec::new(),
                uncovered: Vec::new(),
                phase: report.phase,
            };
            while let Some((line, ran)) = rest.next_if(|(line, _)| line.file == id) {
                if *ran {
                    lines.covered.push(line.line);
                } else {
                    lines.uncovered.push(line.line);
                }
            }
            Line::Lines(lines).write(out)?;
        }
        Ok(())
    }
}

impl<W: Write> CoverSink for CoverJson<W> {
    fn session(&mut self, info: &SessionInfo, plan: &CoverPlan) -> io::Result<()> {
        let session = line::Session {
            schema: line::SCHEMA,
            goinstr: env!("CARGO_PKG_VERSION"),
            pid: info.pid,
            exe: &info.exe,
            go_version: info.go_version.as_deref(),
            arch: info.arch,
            kernel: &info.kernel,
            attach: info.attach,
            returns: None,
            functions: info.functions,
            sites: info.sites,
            start_unix_ns: info.start_unix_ns,
            duty_percent: None,
            coverage: Some(if plan.lines.is_empty() {
                "functions"
            } else {
                "lines"
            }),
            states: None,
            probe_costs: None,
            mode: "cover",
        };
        Line::Session(session).write(&mut self.out)?;
        for skipped in &plan.skipped {
            let skipped = line::Skipped {
                function: &skipped.function,
                reason: skipped.reason,
                detail: &skipped.detail,
                calls_per_second: None,
                shed_at_unix_ns: None,
            };
            Line::Skipped(skipped).write(&mut self.out)?;
        }
        self.plan = Some(plan.clone());
        self.out.flush()
    }

    fn ran(&mut self, function: u32, unix_ns: u64) -> io::Result<()> {
        let known = self
            .plan
            .as_ref()
            .and_then(|plan| plan.functions.get(function as usize));
        match known.filter(|_| self.watch) {
            Some(known) => Line::Ran(line::Ran {
                function: &known.name,
                file: known.location.as_ref().map(|at| at.file.as_str()),
                line: known.location.as_ref().map(|at| at.line),
                first_run_unix_ns: unix_ns,
            })
            .write(&mut self.out),
            None => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.watch {
            self.out.flush()?;
        }
        Ok(())
    }

    fn interval(&mut self, _: &CoverReport) -> io::Result<()> {
        // Also finds out that nobody reads any more.
        self.out.flush()
    }

    fn phase(&mut self, report: &CoverReport) -> io::Result<()> {
        self.report(report)?;
        self.out.flush()
    }

    fn phase_began(&mut self, phase: u32) -> io::Result<()> {
        Line::Phase(line::Phase { phase }).write(&mut self.out)?;
        self.out.flush()
    }

    fn finish(&mut self, report: &CoverReport, ledger: &CoverLedger) -> io::Result<()> {
        self.report(report)?;
        let lines = self.plan.as_ref().map_or(0, |plan| plan.lines.len());
        let ledger = line::CoverLedger {
            functions: report.coverage.functions.len(),
            functions_covered: report.coverage.functions_run(),
            lines: (lines > 0).then_some(lines),
            lines_covered: (lines > 0).then(|| report.coverage.lines_run()),
            sites: ledger.sites,
            sites_hit: ledger.sites_hit,
            sites_left: ledger.sites_left,
            probe_hits: ledger.probe_hits,
            probe_cost_ns: ledger.probe_cost_ns,
            retirements: ledger.retirements,
            retirement_ns: ledger.retirement_ns,
            end: end(ledger.end),
        };
        Line::CoverLedger(ledger).write(&mut self.out)?;
        self.out.flush()
    }
}
