//! The real `goinstr attach` at work on a process.

use std::{
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Error, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{counted::Counted, lines::Lines, process::patience, report::Report};

/// A `goinstr attach` whose probes are in place.
pub struct Measurement {
    child: Child,
    lines: Lines,
    errors: Lines,
}

/// The goinstr that is tested: the one that was built with the tests, unless another place is named.
pub fn goinstr() -> PathBuf {
    std::env::var_os("GOINSTR_LIVE_BINARY").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_goinstr")),
        PathBuf::from,
    )
}

/// Options that every measurement has where they are set: in a virtual machine.
fn more_options() -> Vec<String> {
    std::env::var("GOINSTR_LIVE_OPTIONS").map_or_else(
        |_| Vec::new(),
        |options| options.split_whitespace().map(str::to_owned).collect(),
    )
}

impl Measurement {
    /// Attaches to a process, never shedding a function, and waits for the session line.
    pub fn start(pid: u32, args: &[&str]) -> Result<Self> {
        let goinstr = Command::new(goinstr());
        let mut all = vec!["--no-guard"];
        all.extend(args);
        let more = more_options();
        let more = more.iter().map(String::as_str);
        all.extend(more.filter(|more| !args.contains(more)));
        Self::start_by(goinstr, pid, &all)
    }

    /// Another command than `goinstr attach` that measures, never shedding a function.
    pub fn start_command(command: &str, pid: u32, args: &[&str]) -> Result<Self> {
        Self::start_guarded(command, pid, &[&["--no-guard"], args].concat())
    }

    /// The same with the guard, unless `args` say otherwise.
    pub fn start_guarded(command: &str, pid: u32, args: &[&str]) -> Result<Self> {
        let goinstr = Command::new(goinstr());
        Self::start_as(goinstr, command, "--pid", &pid.to_string(), args)
    }

    /// The same by a command that runs goinstr, and with the guard unless `args` say otherwise.
    pub fn start_by(goinstr: Command, pid: u32, args: &[&str]) -> Result<Self> {
        Self::start_as(goinstr, "attach", "--pid", &pid.to_string(), args)
    }

    /// Attaches to whatever will run a file, or load it.
    pub fn start_file(file: &Path, args: &[&str]) -> Result<Self> {
        let mut all = vec!["--no-guard"];
        all.extend(args);
        let file = file.to_str().context("a path of ours is UTF-8")?;
        Self::start_as(Command::new(goinstr()), "attach", "--exe", file, &all)
    }

    fn start_as(
        mut goinstr: Command,
        command: &str,
        which: &str,
        target: &str,
        args: &[&str],
    ) -> Result<Self> {
        let mut child = goinstr
            .args([command, "--output", "json", which, target])
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
        let mut measurement = Self {
            child,
            lines,
            errors,
        };
        let session = measurement
            .lines
            .wait_for("the session line", patience(), |line| {
                line.starts_with('{') && line.contains(r#""type":"session""#)
            });
        session.map_err(|error| measurement.with_errors(&error))?;
        Ok(measurement)
    }

    /// Waits for a line that contains `part`.
    pub fn wait_for(&mut self, part: &str) -> Result<String> {
        let line = self
            .lines
            .wait_for(part, patience(), |line| line.contains(part));
        line.map_err(|error| self.with_errors(&error))
    }

    /// Kills it, and adds what it said on stderr.
    fn with_errors(&mut self, error: &Error) -> Error {
        let _ = self.child.kill();
        let _ = self.errors.wait_for_end(patience());
        anyhow!("{error:#}; stderr: {}", self.errors.tail())
    }

    /// Waits until so many calls of a function have been seen, by a measurement with `--interval`.
    pub fn wait_for_calls(&mut self, function: &str, calls: u64) -> Result<()> {
        let seen = |line: &str| {
            serde_json::from_str::<Value>(line).is_ok_and(|line| {
                line["type"] == "function"
                    && line["function"] == function
                    && line["calls"].as_u64() >= Some(calls)
            })
        };
        let what = format!("{calls} calls of {function}");
        self.lines.wait_for(&what, patience(), seen).map(drop)
    }

    /// Waits for an end that is not its own doing; what it said on stderr.
    pub fn wait_for_death(mut self) -> Result<String> {
        let status = self.wait()?;
        if status.signal() != Some(Signal::KILL.as_raw()) {
            bail!("goinstr ended with {status}: {}", self.errors.tail());
        }
        self.errors.wait_for_end(patience())?;
        Ok(self.errors.tail())
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it serves metrics, as it says itself.
    pub fn metrics_address(&mut self) -> Result<String> {
        let line = self
            .errors
            .wait_for("the metrics' address", patience(), |line| {
                line.contains("metrics at http://")
            })?;
        let (_, address) = line.split_once("http://").context("no address")?;
        Ok(address.trim_end_matches("/metrics").to_owned())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("a pid that is none")?, signal).context("can't signal goinstr")
    }

    /// The same where the command that was run waits for the goinstr that it runs.
    pub fn interrupt_child(self) -> Result<Report> {
        let pid = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let child = children.split_whitespace().next().context("no child")?;
        let child = Pid::from_raw(child.parse()?).context("a pid that is none")?;
        kill_process(child, Signal::INT).context("can't signal goinstr")?;
        self.finish()
    }

    /// Ends it as Ctrl-C does and returns its report.
    pub fn interrupt(self) -> Result<Report> {
        self.signal(Signal::INT)?;
        self.finish()
    }

    /// Ends a count as Ctrl-C does and returns its report.
    pub fn interrupt_count(self) -> Result<Counted> {
        self.signal(Signal::INT)?;
        self.end(Counted::parse)
    }

    /// Waits for its own end and returns its report.
    pub fn finish(self) -> Result<Report> {
        self.end(Report::parse)
    }

    /// Waits for a count's own end and returns its report.
    pub fn finish_count(self) -> Result<Counted> {
        self.end(Counted::parse)
    }

    /// The same, and what it said on stderr.
    pub fn interrupt_saying<R>(
        self,
        parse: impl FnOnce(&[String]) -> Result<R>,
    ) -> Result<(R, Vec<String>)> {
        self.signal(Signal::INT)?;
        self.end_saying(parse)
    }

    fn end<R>(self, parse: impl FnOnce(&[String]) -> Result<R>) -> Result<R> {
        self.end_saying(parse).map(|(report, _)| report)
    }

    fn end_saying<R>(
        mut self,
        parse: impl FnOnce(&[String]) -> Result<R>,
    ) -> Result<(R, Vec<String>)> {
        self.lines.wait_for_end(patience())?;
        let status = self.wait()?;
        self.errors.wait_for_end(patience())?;
        if status.code() != Some(0) {
            bail!("goinstr ended with {status}: {}", self.errors.tail());
        }
        let report = parse(&self.lines.seen);
        let report = report.with_context(|| format!("stderr: {}", self.errors.tail()))?;
        Ok((report, std::mem::take(&mut self.errors.seen)))
    }

    /// Kills it where it stands.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.wait().map(drop)
    }

    fn wait(&mut self) -> Result<std::process::ExitStatus> {
        let deadline = Instant::now() + patience();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("waited {:?} in vain for goinstr to exit", patience());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Measurement {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
