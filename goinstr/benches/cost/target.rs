//! Go programs that are measured, and the one whose calls are timed: `testdata/targets/calls`.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

/// Builds a program of `testdata/targets` with the Go on PATH.
pub fn build(name: &str) -> Result<PathBuf> {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/targets");
    build_in(&targets.join(name), name)
}

/// Builds the program in a folder.
pub fn build_in(source: &Path, name: &str) -> Result<PathBuf> {
    let exe = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let built = Command::new("go")
        .args(["build", "-buildvcs=false", "-o"])
        .arg(&exe)
        .arg(".")
        .current_dir(source)
        .status()
        .context("can't run go: the benchmark needs a Go toolchain on PATH")?;
    ensure!(built.success(), "go can't build {}", source.display());
    Ok(exe)
}

/// A program that reads what to do from its stdin, running.
pub struct Target {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Target {
    /// Starts it.
    pub fn start(exe: &Path) -> Result<Self> {
        let mut child = Command::new(exe)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("can't run {}", exe.display()))?;
        let mut target = Self {
            stdin: child.stdin.take().context("no stdin")?,
            stdout: BufReader::new(child.stdout.take().context("no stdout")?),
            child,
        };
        ensure!(
            target.line()?.starts_with("ready"),
            "the target is not ready"
        );
        Ok(target)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it make `calls` calls of `what`; how many ns one took.
    pub fn time(&mut self, what: &str, calls: u64) -> Result<f64> {
        writeln!(self.stdin, "{what} {calls}")?;
        let took: u64 = self
            .line()?
            .trim()
            .parse()
            .context("the target prints no time")?;
        Ok(took as f64 / calls as f64)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
