//! The real `goinstr cover` at work.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::Value;

use super::{lines::Lines, measurement::goinstr, process::patience};

/// A `goinstr cover` whose probes are in place.
pub struct Covering {
    child: Child,
    pub lines: Lines,
    errors: Lines,
}

impl Covering {
    /// Starts it with these arguments and JSON output, and waits for the session line.
    pub fn start(args: &[&str]) -> Result<Self> {
        let json = ["cover", "--output", "json"];
        let mut covering = Self::spawn(&[&json, args].concat())?;
        let session = covering
            .lines
            .wait_for("the session line", patience(), |line| {
                line.contains(r#""type":"session""#)
            });
        if let Err(error) = session {
            let _ = covering.child.kill();
            let _ = covering.errors.wait_for_end(patience());
            bail!("{error:#}; stderr: {}", covering.errors.tail());
        }
        Ok(covering)
    }

    fn spawn(args: &[&str]) -> Result<Self> {
        let mut child = Command::new(goinstr())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("can't run goinstr")?;
        let lines = Lines::of("goinstr", child.stdout.take().context("no stdout")?);
        let errors = Lines::of(
            "goinstr's stderr",
            child.stderr.take().context("no stderr")?,
        );
        Ok(Self {
            child,
            lines,
            errors,
        })
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("a pid that is none")?, signal).context("can't signal goinstr")
    }

    /// Ends it as Ctrl-C does and returns what it reported.
    pub fn interrupt(self) -> Result<CoverReport> {
        self.signal(Signal::INT)?;
        self.finish()
    }

    /// Waits for its own end and returns what it reported.
    pub fn finish(self) -> Result<CoverReport> {
        Ok(self.finish_with_lines()?.0)
    }

    /// The same, and the lines as they were printed.
    pub fn finish_with_lines(mut self) -> Result<(CoverReport, Vec<String>)> {
        self.end()?;
        let lines = std::mem::take(&mut self.lines.seen);
        Ok((CoverReport::parse(&lines)?, lines))
    }

    /// Starts it with these arguments, that let it write to a file, and waits until it is armed.
    pub fn into_file(args: &[&str]) -> Result<Self> {
        let mut covering = Self::spawn(&[&["cover", "-v"], args].concat())?;
        let armed = covering.errors.wait_for("the probes", patience(), |line| {
            line.contains("the probes are in place")
        });
        armed.with_context(|| covering.errors.tail())?;
        Ok(covering)
    }

    /// Ends it as Ctrl-C does; what it found is in its file.
    pub fn interrupt_silently(mut self) -> Result<()> {
        self.signal(Signal::INT)?;
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        self.lines.wait_for_end(patience())?;
        let status = self.child.wait()?;
        self.errors.wait_for_end(patience())?;
        ensure!(
            status.code() == Some(0),
            "goinstr ended with {status}: {}",
            self.errors.tail()
        );
        Ok(())
    }
}

impl Drop for Covering {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A `coverage` line.
#[derive(Clone, Debug, Deserialize)]
pub struct Function {
    pub function: String,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub covered: bool,
    pub first_run_unix_ns: Option<u64>,
    pub phase: Option<u32>,
}

/// The `cover_ledger` line.
#[derive(Clone, Debug, Deserialize)]
pub struct CoverLedger {
    pub functions: usize,
    pub functions_covered: usize,
    pub sites: usize,
    pub sites_hit: usize,
    pub sites_left: usize,
    pub probe_hits: u64,
    pub probe_cost_ns: Option<u64>,
    pub retirements: u32,
    pub end: String,
}

/// Lines of one file.
#[derive(Clone, Debug, Default)]
pub struct FileLines {
    pub covered: BTreeSet<u32>,
    pub uncovered: BTreeSet<u32>,
}

/// What it printed.
#[derive(Clone, Debug)]
pub struct CoverReport {
    pub session: Value,
    /// Name → reason.
    pub skipped: BTreeMap<String, String>,
    /// Of the last phase, or of all.
    pub functions: Vec<Function>,
    /// Of the phases before.
    pub phases: BTreeMap<u32, Vec<Function>>,
    /// By path.
    pub lines: BTreeMap<String, FileLines>,
    pub ran: Vec<String>,
    pub ledger: CoverLedger,
}

impl CoverReport {
    /// Reads the lines and holds them against each other.
    pub fn parse(lines: &[String]) -> Result<Self> {
        let mut phases: BTreeMap<u32, Vec<Function>> = BTreeMap::new();
        let (mut skipped, mut ran) = (BTreeMap::new(), Vec::new());
        let mut of_files: BTreeMap<String, FileLines> = BTreeMap::new();
        let (mut session, mut ledger) = (None, None);
        for line in lines {
            let value: Value = serde_json::from_str(line).with_context(|| line.clone())?;
            ensure!(ledger.is_none(), "a line after the ledger: {line}");
            let text = |field: &str| {
                value[field]
                    .as_str()
                    .map(str::to_owned)
                    .context(line.clone())
            };
            match value["type"].as_str() {
                Some("session") => session = Some(value),
                Some("skipped") => {
                    skipped.insert(text("function")?, text("reason")?);
                }
                Some("phase") => {}
                Some("ran") => ran.push(text("function")?),
                Some("coverage") => {
                    let function: Function =
                        serde_json::from_value(value).with_context(|| line.clone())?;
                    ensure!(
                        function.covered == function.first_run_unix_ns.is_some(),
                        "covered without a time: {line}"
                    );
                    phases
                        .entry(function.phase.unwrap_or(u32::MAX))
                        .or_default()
                        .push(function);
                }
                Some("lines") => {
                    let numbers = |field: &str| -> Result<BTreeSet<u32>> {
                        serde_json::from_value(value[field].clone()).with_context(|| line.clone())
                    };
                    let file = of_files.entry(text("file")?).or_default();
                    file.covered = numbers("covered")?;
                    file.uncovered = numbers("uncovered")?;
                }
                Some("cover_ledger") => {
                    ledger = Some(serde_json::from_value(value).with_context(|| line.clone())?);
                }
                other => bail!("an unknown type {other:?}: {line}"),
            }
        }
        let functions = phases.pop_last().map(|(_, last)| last).unwrap_or_default();
        let report = Self {
            session: session.context("no session line")?,
            skipped,
            functions,
            phases,
            lines: of_files,
            ran,
            ledger: ledger.context("no ledger line")?,
        };
        let ledger = &report.ledger;
        let covered = report.functions.iter().filter(|f| f.covered).count();
        ensure!(
            ledger.functions == report.functions.len()
                && ledger.functions_covered == covered
                && ledger.sites_hit <= ledger.sites
                && ledger.sites_left <= ledger.sites
                && ledger.probe_hits >= ledger.sites_hit as u64,
            "figures that can't be: {ledger:?}, {covered} functions covered"
        );
        Ok(report)
    }

    /// Names of the functions that ran.
    pub fn covered(&self) -> BTreeSet<&str> {
        covered(&self.functions)
    }
}

/// Names of those that ran.
pub fn covered(functions: &[Function]) -> BTreeSet<&str> {
    let ran = functions.iter().filter(|function| function.covered);
    ran.map(|function| function.function.as_str()).collect()
}
