//! The tools that the tests look at goinstr's output with: tmux from Debian, Prometheus and promtool
//! out of Debian's package, Perfetto's Python package; the latter three in `~/.cache/goinstr/tools`.
//!
//! Prometheus' package starts a server when it is installed, so it is only unpacked. What can't be
//! had is said and left out: the tests that need it say so too, and count as skipped.

use crate::{
    command,
    packages::{Apt, Package},
    toolchains, workspace,
};
use anyhow::{Context, Result};
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{self, Command},
};

/// Perfetto's Python package and what it needs, as pip names them.
const PERFETTO: [&str; 2] = ["perfetto==0.59.1", "protobuf==7.36.2"];

/// Fetches what is missing.
pub fn set_up(apt: Option<&Apt>) -> Result<()> {
    let folder = folder()?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    if let Some(apt) = apt {
        said("tmux", || tmux(apt));
        said("prometheus", || prometheus(&folder));
    }
    said("perfetto", || perfetto(&folder, apt));
    Ok(())
}

/// PATH with the tools after all else that is on it.
pub fn last_on_path(path: OsString) -> Result<OsString> {
    let all = env::split_paths(&path).chain([folder()?]);
    env::join_paths(all).context("a directory of PATH has a colon in its name")
}

/// Where Python finds Perfetto's package, after what it finds already.
pub fn python_path() -> Result<OsString> {
    let before = env::var_os("PYTHONPATH").unwrap_or_default();
    let all = env::split_paths(&before).chain([folder()?.join("python")]);
    env::join_paths(all.filter(|path| !path.as_os_str().is_empty()))
        .context("a directory of PYTHONPATH has a colon in its name")
}

fn folder() -> Result<PathBuf> {
    Ok(workspace::cache()?.join("tools"))
}

fn said(name: &str, fetch: impl FnOnce() -> Result<()>) {
    if let Err(why) = fetch() {
        eprintln!("warning: no {name}: {why:#}");
    }
}

fn tmux(apt: &Apt) -> Result<()> {
    if command::find("tmux").is_some() {
        return Ok(());
    }
    apt.install(&[Package::new("tmux", "types into the terminal UI in tests")])
}

fn prometheus(folder: &Path) -> Result<()> {
    const BINARIES: [&str; 2] = ["prometheus", "promtool"];
    let there = |name: &str| command::find(name).is_some() || folder.join(name).is_file();
    if BINARIES.iter().all(|name| there(name)) {
        return Ok(());
    }
    let fresh = folder.join(format!(".prometheus.{}", process::id()));
    fs::create_dir_all(&fresh)?;
    let fetched = || -> Result<()> {
        command::run(
            Command::new("apt-get")
                .args(["download", "--quiet", "prometheus"])
                // Apt drops root's rights for it, and warns where it can't.
                .args(["-o", "APT::Sandbox::User=root"])
                .current_dir(&fresh),
        )?;
        let archive = fs::read_dir(&fresh)?.flatten().next();
        let archive = archive.context("nothing came")?.path();
        command::run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&fresh))?;
        for name in BINARIES {
            fs::rename(fresh.join("usr/bin").join(name), folder.join(name))?;
        }
        Ok(())
    };
    let fetched = fetched();
    let _ = fs::remove_dir_all(&fresh);
    fetched
}

fn perfetto(folder: &Path, apt: Option<&Apt>) -> Result<()> {
    let place = folder.join("python");
    if place.join("perfetto").is_dir() && place.join("google").is_dir() {
        return Ok(());
    }
    let mut pip = toolchains::pip_install(apt)?;
    command::run(pip.arg("--target").arg(&place).args(PERFETTO))
}
