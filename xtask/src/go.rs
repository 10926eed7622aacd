//! The Go toolchain that builds the demo's server and the tests' targets.
//!
//! goinstr itself needs none. The one on PATH serves when it is new enough, else the newest of
//! those that `toolchains` keeps, else one is fetched.

use crate::{command, packages::Apt, toolchains};
use anyhow::{Context, Result};
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// The bundled targets need generics' type lists and range-over-func's build tags at most; older
/// toolchains than this are tested against on purpose only.
const OLDEST: (u32, u32) = (1, 21);

/// A `go` command.
pub struct Go(PathBuf);

impl Go {
    /// The toolchain that is there.
    pub fn find() -> Option<Self> {
        if let Some(go) = command::find("go").map(Self)
            && go.version().is_some_and(|version| version >= OLDEST)
        {
            return Some(go);
        }
        toolchains::newest().map(|goroot| Self(goroot.join("bin/go")))
    }

    /// The toolchain that is there, else one that is installed now.
    pub fn find_or_install(apt: Option<&Apt>) -> Result<Self> {
        if let Some(go) = Self::find() {
            return Ok(go);
        }
        eprintln!("Installing a Go toolchain: the demo's server and the tests' targets are Go");
        toolchains::fetch(toolchains::DEFAULT, apt)?;
        Self::find().context("no Go toolchain, although one was just installed")
    }

    /// A build of the package in `source` into the file `into`.
    pub fn build(&self, source: &Path, into: &Path) -> Result<()> {
        self.build_with(source, into, &[], &[])
    }

    /// The same, with more flags and variables.
    pub fn build_with(
        &self,
        source: &Path,
        into: &Path,
        flags: &[&str],
        env: &[(&str, &str)],
    ) -> Result<()> {
        let mut go = Command::new(&self.0);
        go.current_dir(source)
            .args(["build", "-o"])
            .arg(into)
            .args(flags)
            .arg(".")
            .envs(env.iter().copied())
            .env("GOTOOLCHAIN", "local")
            // The source may belong to another user than the one who builds.
            .env("GOFLAGS", "-buildvcs=false");
        command::run(&mut go)
    }

    /// PATH with this toolchain first.
    pub fn first_on_path(&self) -> Result<std::ffi::OsString> {
        let bin = self.0.parent().map(Path::to_path_buf);
        let path = env::var_os("PATH").unwrap_or_default();
        env::join_paths(bin.into_iter().chain(env::split_paths(&path)))
            .context("a directory of PATH has a colon in its name")
    }

    /// As `1.26.6`.
    pub fn release(&self) -> Option<String> {
        // `go1.26.6`, on stdout of `go env GOVERSION`.
        let version = command::output(
            Command::new(&self.0)
                .args(["env", "GOVERSION"])
                .env("GOTOOLCHAIN", "local"),
        )?;
        version.strip_prefix("go").map(str::to_owned)
    }

    fn version(&self) -> Option<(u32, u32)> {
        let release = self.release()?;
        let mut numbers = release.split('.');
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?;
        // `26rc1`
        let digits = minor
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(minor.len());
        Some((major, minor[..digits].parse().ok()?))
    }
}
