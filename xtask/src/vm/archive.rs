//! Debian packages of several releases at once, unpacked into directories of ours: nothing is
//! installed, and the machine's own apt is not touched.
//!
//! apt with a configuration, lists and a package status of its own. Needs no root.

use crate::command;
use anyhow::{Context, Result, bail};
use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const MIRROR: &str = "http://deb.debian.org/debian";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const RELEASES: [&str; 5] = [
    "bullseye",
    "bookworm",
    "trixie",
    "trixie-backports",
    "bookworm-backports",
];

pub struct Archive {
    directory: PathBuf,
    lists_are_fresh: Cell<bool>,
}

impl Archive {
    /// apt's files are kept in `directory`.
    pub fn at(directory: PathBuf) -> Result<Self> {
        command::find("apt-get")
            .context("kernels and emulator are Debian packages, and there is no apt here")?;
        for part in [
            "lists/partial",
            "cache/archives/partial",
            "etc/apt.conf.d",
            "etc/preferences.d",
        ] {
            fs::create_dir_all(directory.join(part))
                .with_context(|| format!("cannot create {}", directory.display()))?;
        }
        let sources: String = RELEASES
            .iter()
            .map(|release| {
                format!("deb [signed-by={KEYRING} arch=amd64,arm64] {MIRROR} {release} main\n")
            })
            .collect();
        fs::write(directory.join("sources.list"), sources)?;
        // As if nothing were installed: a package's dependencies come with it.
        fs::write(directory.join("status"), "")?;
        let own = directory.display();
        fs::write(
            directory.join("apt.conf"),
            format!(
                "Dir::Etc \"{own}/etc\";\n\
                 Dir::Etc::SourceList \"{own}/sources.list\";\n\
                 Dir::Etc::SourceParts \"-\";\n\
                 Dir::State::Lists \"{own}/lists\";\n\
                 Dir::State::Status \"{own}/status\";\n\
                 Dir::Cache \"{own}/cache\";\n\
                 APT::Architectures {{ \"amd64\"; \"arm64\"; }};\n\
                 APT::Sandbox::User \"\";\n\
                 Acquire::Languages \"none\";\n"
            ),
        )?;
        Ok(Self {
            directory,
            lists_are_fresh: Cell::new(false),
        })
    }

    /// The name of the package, beginning with `prefix`, that `package` of a release depends on.
    pub fn dependency(&self, release: &str, package: &str, prefix: &str) -> Result<Option<String>> {
        self.refresh()?;
        let depends = command::output(
            self.apt("apt-cache")
                .args(["depends", &format!("{package}/{release}")]),
        )
        .with_context(|| format!("{release} has no {package}"))?;
        Ok(depends
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Depends: "))
            .find(|name| name.starts_with(prefix))
            .map(str::to_owned))
    }

    /// Unpacks the package alone into `into`.
    pub fn unpack(&self, release: &str, package: &str, into: &Path) -> Result<()> {
        self.refresh()?;
        self.unpack_with(into, |downloads| {
            let mut apt = self.apt("apt-get");
            apt.args(["download", "-qq", &format!("{package}/{release}")])
                .current_dir(downloads);
            apt
        })
    }

    /// Unpacks packages and all that they depend on into `into`.
    pub fn unpack_whole(&self, release: &str, packages: &[&str], into: &Path) -> Result<()> {
        self.refresh()?;
        self.unpack_with(into, |downloads| {
            let mut apt = self.apt("apt-get");
            fs::create_dir_all(downloads.join("partial")).ok();
            apt.args(["install", "-qq", "--yes", "--download-only"])
                .args(["--no-install-recommends", "--target-release", release])
                .arg("-o")
                .arg(format!("Dir::Cache::Archives={}", downloads.display()))
                .arg("-o")
                .arg("Debug::NoLocking=true")
                .args(packages);
            apt
        })
    }

    /// What is in `into` afterwards is whole: it is unpacked beside its place.
    fn unpack_with(&self, into: &Path, download: impl FnOnce(&Path) -> Command) -> Result<()> {
        let fresh = into.with_extension(format!("{}", std::process::id()));
        let downloads = fresh.join("downloads");
        let files = fresh.join("files");
        fs::create_dir_all(&downloads)?;
        fs::create_dir_all(&files)?;
        let unpacked = command::run(&mut download(&downloads)).and_then(|()| {
            let mut found = false;
            for entry in fs::read_dir(&downloads)? {
                let path = entry?.path();
                if path.extension().is_some_and(|extension| extension == "deb") {
                    found = true;
                    let mut dpkg = Command::new("dpkg-deb");
                    dpkg.arg("--extract").arg(&path).arg(&files);
                    if !dpkg.status().context("cannot run dpkg-deb")?.success() {
                        bail!("cannot unpack {}", path.display());
                    }
                }
            }
            if !found {
                bail!("apt downloaded nothing for {}", into.display());
            }
            match fs::rename(&files, into) {
                // Another process was faster.
                Err(_) if into.is_dir() => Ok(()),
                moved => moved.with_context(|| format!("cannot create {}", into.display())),
            }
        });
        let _ = fs::remove_dir_all(&fresh);
        unpacked
    }

    fn refresh(&self) -> Result<()> {
        if !self.lists_are_fresh.replace(true) {
            command::run(self.apt("apt-get").args(["update", "--quiet"]))?;
        }
        Ok(())
    }

    fn apt(&self, program: &str) -> Command {
        let mut apt = Command::new(program);
        apt.env("APT_CONFIG", self.directory.join("apt.conf"))
            .env("DEBIAN_FRONTEND", "noninteractive");
        apt
    }
}
