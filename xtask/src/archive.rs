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
            .context("what is wanted are Debian packages, and there is no apt here")?;
        let mirror = mirror()?;
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
                format!("deb [signed-by={KEYRING} arch=amd64,arm64] {mirror} {release} main\n")
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

/// Where this machine's own apt has Debian's packages from: other releases are there too.
fn mirror() -> Result<String> {
    let mut apt = Command::new("apt-get");
    apt.args([
        "indextargets",
        "--format",
        "$(LABEL) $(REPO_URI)",
        "Created-By: Packages",
    ]);
    command::output(&mut apt)
        .as_deref()
        .and_then(debian)
        .context("this machine's apt names no source of Debian's packages (apt-get indextargets)")
}

/// Of lines with a label and an address, the first address of Debian's own.
fn debian(lines: &str) -> Option<String> {
    let mut sources = lines.lines().filter_map(|line| line.split_once(' '));
    sources
        .find(|(label, _)| *label == "Debian")
        .map(|(_, address)| address.trim_end_matches('/').to_owned())
}

/// A program that was unpacked into `root`, by the dynamic loader and the libraries that came with it: the
/// machine's own may be of another release.
pub fn unpacked(root: &Path, triple: &str, program: &str) -> Result<Command> {
    let libraries = root.join("usr/lib").join(triple);
    let loader = find(&libraries, "ld-linux")?
        .with_context(|| format!("{program} came without a dynamic loader"))?;
    let mut command = Command::new(loader);
    command
        .arg("--library-path")
        .arg(&libraries)
        .arg(root.join("usr/bin").join(program));
    Ok(command)
}

/// The first file below `directory` whose name begins so.
pub fn find(directory: &Path, beginning: &str) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            if let Some(found) = find(&path, beginning)? {
                return Ok(Some(found));
            }
        } else if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(beginning))
        {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_debians_own() {
        let lines = "Debian-Security http://a.example/debian-security/\n\
                     Debian http://b.example/debian/\nDebian http://c.example/debian/\n";
        assert_eq!(debian(lines).as_deref(), Some("http://b.example/debian"));
        assert_eq!(debian("Ubuntu http://a.example/ubuntu/\n"), None);
    }
}
