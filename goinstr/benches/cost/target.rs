//! Go programs that are measured, and the one whose calls are timed: `testdata/targets/calls`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::conversation::Conversation;

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
pub struct Target(Conversation);

impl Target {
    /// Starts it.
    pub fn start(exe: &Path) -> Result<Self> {
        let (target, first) = Conversation::with(&mut Command::new(exe))?;
        ensure!(first.starts_with("ready"), "the target is not ready");
        Ok(Self(target))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Has it make `calls` calls of `what`; how many ns one took.
    pub fn time(&mut self, what: &str, calls: u64) -> Result<f64> {
        let took = self.0.ask(&format!("{what} {calls}"))?;
        let took: u64 = took.parse().context("the target prints no time")?;
        Ok(took as f64 / calls as f64)
    }
}
