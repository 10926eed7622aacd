//! The distribution's packages: which are missing, and installing them.

use crate::command;
use anyhow::{Result, bail};
use std::{cell::Cell, process::Command};

/// A package and what it is needed for.
#[derive(Clone)]
pub struct Package {
    pub name: String,
    pub why: &'static str,
}

impl Package {
    pub fn new(name: impl Into<String>, why: &'static str) -> Self {
        Self {
            name: name.into(),
            why,
        }
    }
}

/// Debian's apt, where there is one.
pub struct Apt {
    lists_are_fresh: Cell<bool>,
}

impl Apt {
    pub fn here() -> Option<Self> {
        command::find("apt-get")?;
        command::find("dpkg-query")?;
        Some(Self {
            lists_are_fresh: Cell::new(false),
        })
    }

    /// Installed and configured.
    pub fn has(&self, package: &str) -> bool {
        command::output(Command::new("dpkg-query").args(["-W", "-f=${db:Status-Status}", package]))
            .is_some_and(|status| status == "installed")
    }

    /// Can it be installed? Asks the lists that are there, then fresh ones.
    pub fn offers(&self, package: &str) -> Result<bool> {
        if offered(package) {
            return Ok(true);
        }
        self.refresh()?;
        Ok(offered(package))
    }

    /// Installs what is missing of these, after saying what and why. Never removes a package to
    /// make room for one.
    pub fn install(&self, packages: &[Package]) -> Result<()> {
        let missing: Vec<_> = packages
            .iter()
            .filter(|package| !self.has(&package.name))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        eprintln!("Installing Debian packages that this machine lacks:");
        for package in &missing {
            eprintln!("  {:<26} {}", package.name, package.why);
        }
        self.refresh()?;
        let mut apt = apt_get()?;
        apt.args([
            "install",
            "--yes",
            "--quiet",
            "--no-install-recommends",
            "--no-remove",
        ])
        .args(missing.iter().map(|package| &package.name));
        command::run(&mut apt)
    }

    fn refresh(&self) -> Result<()> {
        if self.lists_are_fresh.replace(true) {
            return Ok(());
        }
        // A third party's list that can't be read is no reason to stop: the install that
        // follows says whether what it needs was there.
        if let Err(why) = command::run(apt_get()?.args(["update", "--quiet"])) {
            eprintln!("warning: {why:#}");
        }
        Ok(())
    }
}

/// `apt-get` as root, asking nothing.
fn apt_get() -> Result<Command> {
    let mut env = command::as_root("env")?;
    env.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    Ok(env)
}

fn offered(package: &str) -> bool {
    // Says nothing of a package that it doesn't know.
    command::output(Command::new("apt-cache").args(["policy", package])).is_some_and(|policy| {
        policy.contains("Candidate: ") && !policy.contains("Candidate: (none)")
    })
}

/// The error for a machine without apt: what to install by hand, and why.
pub fn by_hand(missing: &[Package]) -> Result<()> {
    let list: Vec<_> = missing
        .iter()
        .map(|package| format!("\n  {:<26} {}", package.name, package.why))
        .collect();
    bail!(
        "this is not a Debian, so install these yourself (names may differ) and run it again:{}",
        list.concat()
    )
}
