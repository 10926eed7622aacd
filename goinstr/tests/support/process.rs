//! A running target: held until it is measured, asked for its truth, looked at, let go.

use std::{
    ffi::OsStr,
    io::{ErrorKind, Write as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::{lines::Lines, truth::Truth};

/// How long a target or goinstr may take for any one step, on a busy machine: two minutes, or the
/// seconds in `GOINSTR_LIVE_PATIENCE` where everything is slow.
pub fn patience() -> Duration {
    let seconds = std::env::var("GOINSTR_LIVE_PATIENCE")
        .ok()
        .and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(120))
}

/// Spawns a command whose executable we may have written ourselves: whatever other threads were
/// spawning meanwhile has our files open until it is executed, and the kernel executes no file
/// that somebody writes.
pub fn spawn(command: &mut Command) -> Result<Child> {
    let deadline = Instant::now() + patience();
    loop {
        match command.spawn() {
            Err(busy)
                if busy.kind() == ErrorKind::ExecutableFileBusy && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            spawned => return spawned.with_context(|| format!("can't run {command:?}")),
        }
    }
}

/// A target that keeps to `testdata/targets/handshake`.
pub struct Target {
    child: Child,
    /// Its process.
    pub pid: u32,
    lines: Lines,
    errors: Lines,
}

impl Target {
    /// Starts it and waits until it can be attached to.
    pub fn start(exe: &Path, args: &[impl AsRef<OsStr>]) -> Result<Self> {
        Self::start_with(exe, args, &[])
    }

    /// The same, with variables in its environment.
    pub fn start_with(
        exe: &Path,
        args: &[impl AsRef<OsStr>],
        env: &[(&str, &str)],
    ) -> Result<Self> {
        let mut command = Command::new(exe);
        command
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = spawn(&mut command)?;
        let name = format!("target {}", exe.display());
        let lines = Lines::of(name.clone(), child.stdout.take().context("no stdout")?);
        let errors = Lines::of(name, child.stderr.take().context("no stderr")?);
        let mut target = Self {
            pid: child.id(),
            child,
            lines,
            errors,
        };
        target
            .lines
            .wait_for("`ready`", patience(), |line| line.starts_with("ready "))?;
        Ok(target)
    }

    /// Starts the load, or says whatever else the next line means to the target.
    pub fn go(&mut self) -> Result<()> {
        let stdin = self.child.stdin.as_mut().context("no stdin")?;
        stdin.write_all(b"go\n").context("can't talk to the target")
    }

    /// Waits for a line that contains `part`.
    pub fn wait_for(&mut self, part: &str) -> Result<String> {
        self.lines
            .wait_for(part, patience(), |line| line.contains(part))
    }

    /// Waits until the target is done and returns what it told.
    pub fn truth(&mut self) -> Result<Truth> {
        if let Err(error) = self.wait_for(r#""type":"done""#) {
            // One that died says why on stderr.
            let Some(status) = self.child.try_wait()? else {
                return Err(error);
            };
            self.errors.wait_for_end(patience())?;
            bail!(
                "{error:#}; it ended with {status}: {}",
                self.errors.beginning()
            );
        }
        Truth::parse(&self.lines.seen)
    }

    /// Lets the target exit and waits for that.
    pub fn release(mut self) -> Result<()> {
        // It may have been waiting for the end of stdin or be gone already.
        let _ = self.go();
        drop(self.child.stdin.take());
        let status = self.exit()?;
        if !status.success() {
            self.errors.wait_for_end(patience())?;
            bail!("the target ended with {status}: {}", self.errors.tail());
        }
        Ok(())
    }

    /// Waits for the target's end.
    pub fn exit(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("waited {:?} in vain for the target to exit", patience());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it is still there.
    pub fn alive(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        kill_process(pid.context("a pid that is none")?, signal).context("can't signal the target")
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
