//! A goinstr whose output is read as it comes, up to its end.

use std::{
    path::Path,
    process::{Child, Command, ExitStatus},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{attach, spawn, survives, wait};
use crate::support::{
    lines::Lines,
    process::{Target, patience},
    report::Report,
};

pub struct Watched {
    pub goinstr: Child,
    pub lines: Lines,
    pub errors: Lines,
}

impl Watched {
    /// Without the guard.
    pub fn attaching(pid: u32, args: &[&str]) -> Result<Self> {
        Self::of(attach(pid, &[&["--no-guard"], args].concat()))
    }

    /// By a command that runs goinstr.
    pub fn of(mut command: Command) -> Result<Self> {
        let mut goinstr = spawn(&mut command)?;
        Ok(Self {
            lines: Lines::of("goinstr", goinstr.stdout.take().context("stdout")?),
            errors: Lines::of("goinstr", goinstr.stderr.take().context("stderr")?),
            goinstr,
        })
    }

    /// Waits until it measures.
    pub fn session(&mut self) -> Result<()> {
        let session = |line: &str| line.contains(r#""type":"session""#);
        self.lines
            .wait_for("the session line", patience(), session)
            .map(drop)
    }

    /// Waits until it and all that it says have ended.
    pub fn end(&mut self) -> Result<ExitStatus> {
        let status = wait(&mut self.goinstr)?;
        self.lines.wait_for_end(patience())?;
        self.errors.wait_for_end(patience())?;
        Ok(status)
    }

    /// Ends in good order: its report, whose books balance.
    pub fn ends_well(&mut self) -> Result<Report> {
        let status = self.end()?;
        ensure!(status.success(), "{status}: {}", self.errors.tail());
        // Parsing checks the books.
        Report::parse(&self.lines.seen)
    }

    /// Kills it; the target goes on, with the text of its file. What it writes is read up to then.
    pub fn killed(self, target: &mut Target, exe: &Path) -> Result<()> {
        let Self {
            goinstr,
            lines: _lines,
            errors: _errors,
        } = self;
        survives(goinstr, target, exe)
    }

    /// Ends by its target's end, or says in one line why it has measured nothing.
    pub fn ends_with_its_target(self) -> Result<()> {
        if let Some(report) = self.ends_by_itself()? {
            let end = report.ledger.end;
            ensure!(end == "target_exit", "ended by {end}");
        }
        Ok(())
    }

    /// Nobody ends it: its report, whose books balance, or `None`: it said in one line why there is none.
    pub fn ends_by_itself(mut self) -> Result<Option<Report>> {
        let status = self.end()?;
        let errors = &self.errors.seen;
        match status.code() {
            // Parsing checks the books.
            Some(0) => Report::parse(&self.lines.seen).map(Some),
            Some(1) => {
                ensure!(
                    errors.len() == 1 && errors[0].starts_with("goinstr: "),
                    "not one line: {}",
                    errors.join("\n")
                );
                Ok(None)
            }
            _ => bail!("goinstr ended with {status}: {}", self.errors.tail()),
        }
    }
}
