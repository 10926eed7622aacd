//! The usual course of a live test: start the target, attach, let it run, detach, compare.

use std::path::Path;

use anyhow::{Result, bail, ensure};

use super::{
    build::Build,
    measurement::Measurement,
    process::Target,
    report::Report,
    text,
    truth::{Counts, Truth},
};

/// A target, how it runs and what of it is measured.
#[derive(Clone, Debug)]
pub struct Case {
    build: Build,
    args: Vec<String>,
    env: Vec<(&'static str, &'static str)>,
    patterns: Vec<String>,
    options: Vec<&'static str>,
    command: &'static str,
    may_skip: Vec<&'static str>,
    may_lose: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Measured {
    /// What goinstr said.
    pub report: Report,
    /// What the target said.
    pub truth: Truth,
}

impl Case {
    /// All functions of package main of a target.
    pub fn of(build: Build) -> Self {
        Self {
            build,
            args: Vec::new(),
            env: Vec::new(),
            patterns: vec!["main.*".to_owned()],
            options: Vec::new(),
            command: "attach",
            may_skip: Vec::new(),
            may_lose: false,
        }
    }

    /// With arguments to the target.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args = args.iter().map(|&arg| arg.to_owned()).collect();
        self
    }

    /// With a variable in the target's environment.
    pub fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }

    /// Only these functions.
    pub fn patterns(mut self, patterns: &[&str]) -> Self {
        self.patterns = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        self
    }

    /// With options to `goinstr attach`.
    pub fn options(mut self, options: &[&'static str]) -> Self {
        self.options = options.to_vec();
        self
    }

    /// By another command than `goinstr attach`.
    pub fn command(mut self, command: &'static str) -> Self {
        self.command = command;
        self
    }

    /// Functions that goinstr may report as skipped instead of measuring them.
    pub fn may_skip(mut self, functions: &[&'static str]) -> Self {
        self.may_skip = functions.to_vec();
        self
    }

    /// Calls may be lost, as long as they are counted so.
    pub fn may_lose(mut self) -> Self {
        self.may_lose = true;
        self
    }

    /// Runs it to the end of the load, detaches, and checks all that is not the counts: the books,
    /// the exit codes, the text of the target.
    pub fn run(&self) -> Result<Measured> {
        let exe = self.build.executable()?;
        let mut target = Target::start_with(&exe, &self.args, &self.env)?;
        let mut args = self.options.clone();
        args.extend(self.patterns.iter().map(String::as_str));
        let measurement = match self.command {
            "attach" => Measurement::start(target.pid, &args)?,
            command => Measurement::start_command(command, target.pid, &args)?,
        };
        target.go()?;
        let measured = Measured::finish(target, measurement, &exe)?;
        ensure!(
            self.may_lose || measured.report.ledger.lost_in_all() == 0,
            "calls were lost: {:?}",
            measured.report.ledger
        );
        Ok(measured)
    }

    /// Runs it and demands that all counts are those of the target.
    pub fn exact(&self) -> Result<Measured> {
        let measured = self.run()?;
        measured.agree(&self.may_skip)?;
        Ok(measured)
    }
}

impl Measured {
    /// Lets the load end, then the measurement, then the target, whose text has to be its file's again.
    pub fn finish(target: Target, measurement: Measurement, exe: &Path) -> Result<Self> {
        Self::finish_as(target, measurement, exe, &exe.canonicalize()?)
    }

    /// The same where the target has mapped the file under another path, as its mappings show it.
    pub fn finish_as(
        mut target: Target,
        measurement: Measurement,
        exe: &Path,
        mapped: &Path,
    ) -> Result<Self> {
        let truth = target.truth()?;
        let report = measurement.interrupt()?;
        ensure!(
            report.ledger.end == "signal",
            "ended by {}",
            report.ledger.end
        );
        text::wait_until_original_as(target.pid, exe, mapped)?;
        target.release()?;
        Ok(Self { report, truth })
    }

    /// Every function that the target counted has its counts, and no other has any.
    pub fn agree(&self, may_skip: &[&str]) -> Result<()> {
        let mut differences = Vec::new();
        let counts = self.report.counts();
        for (name, &expected) in &self.truth.functions {
            match (counts.get(name), self.report.skipped.get(name)) {
                (Some(&counted), _) if counted == expected => {}
                (Some(counted), _) => {
                    differences.push(format!("{name}: counted {counted:?}, true {expected:?}"));
                }
                (None, Some(_)) if may_skip.contains(&name.as_str()) => {}
                (None, Some(reason)) => differences.push(format!("{name}: skipped as {reason}")),
                // The linker leaves out what nothing calls.
                (None, _) if expected == Counts::default() => {}
                (None, None) => differences.push(format!("{name}: not reported")),
            }
        }
        for (name, counted) in &counts {
            if (counted.calls > 0 || counted.in_flight > 0)
                && !self.truth.functions.contains_key(name)
                && !self.truth.uncounted.contains(name)
            {
                differences.push(format!("{name}: counted {counted:?}, never called"));
            }
        }
        if !differences.is_empty() {
            bail!("{}\n{:?}", differences.join("\n"), self.report.ledger);
        }
        Ok(())
    }
}
