//! The tools that the tests look at goinstr's output with: tmux from Debian, Prometheus and promtool
//! out of Debian's package, Python packages; all but the first in `~/.cache/goinstr/tools`.
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

/// Python packages, with the folder that each brings and what pip calls it: Perfetto's definition of its
/// traces, what that needs, and a reader of LCOV.
const PYTHON: [(&str, &str); 3] = [
    ("perfetto", "perfetto==0.59.1"),
    ("google", "protobuf==7.36.2"),
    ("lcov_cobertura", "lcov_cobertura==2.1.1"),
];

/// Fetches what is missing.
pub fn set_up(apt: Option<&Apt>) -> Result<()> {
    let folder = folder()?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    if let Some(apt) = apt {
        said("tmux", || tmux(apt));
        said("prometheus", || prometheus(&folder));
    }
    said("Python packages", || python(&folder, apt));
    Ok(())
}

/// PATH with the tools after all else that is on it.
pub fn last_on_path(path: OsString) -> Result<OsString> {
    let all = env::split_paths(&path).chain([folder()?]);
    env::join_paths(all).context("a directory of PATH has a colon in its name")
}

/// Where Python finds the packages, after what it finds already.
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

fn python(folder: &Path, apt: Option<&Apt>) -> Result<()> {
    let place = folder.join("python");
    let missing = PYTHON
        .iter()
        .filter(|(folder, _)| !place.join(folder).is_dir());
    let missing: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut pip = toolchains::pip_install(apt)?;
    command::run(pip.arg("--target").arg(&place).args(missing))
}
