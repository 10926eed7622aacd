//! Programs of a Go version that goinstr's tables don't know, without DWARF and with it: by way of
//! trial programs of a known one that say they were built by a newer.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Test,
    support::{
        build::{Build, scratch},
        measurement::{Measurement, goinstr},
        process::Target,
        toolchain::{self, Toolchain},
    },
    test,
};

/// The newest minor version that goinstr's table of the runtime's offsets has.
const NEWEST: u32 = 27;
/// One whose offsets are others.
const OTHER: u32 = 24;

pub fn tests() -> Vec<Test> {
    let of = |minor: u32| {
        let mut all = toolchain::all().iter();
        let found = all.find(|go| go.at_least(minor) && !go.at_least(minor + 1));
        if found.is_none() {
            eprintln!("no Go 1.{minor}: not tried as a version that is not known");
        }
        found
    };
    let mut tests = Vec::new();
    if let Some(go) = of(NEWEST) {
        tests.push(test("newer::proven_by_the_process", move || {
            counted(&newer(go, Build::of("steady").stripped())?)
        }));
    }
    if let Some(go) = of(OTHER) {
        tests.push(test("newer::refused_if_contradicted", move || refused(go)));
        // Its own offsets, which are not the newest's.
        tests.push(test(
            "newer::measured_by_its_debug_information",
            move || counted(&newer(go, Build::of("steady"))?),
        ));
    }
    tests
}

/// The program built by `go`, which says that it is of Go 1.99.
fn newer(go: &Toolchain, build: Build) -> Result<PathBuf> {
    let built = build.with(go).executable()?;
    let mut bytes = fs::read(&built)?;
    let minor: String = go.version.chars().take_while(|c| *c != ' ').collect();
    let old = format!("go{minor}");
    let new = format!("go1.99{}", old.get(6..).context("a short version")?);
    let places: Vec<usize> = bytes
        .windows(old.len())
        .enumerate()
        .filter(|(_, window)| *window == old.as_bytes())
        .map(|(at, _)| at)
        .collect();
    ensure!(!places.is_empty(), "{old} is not in the program");
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
    }
    let name = built.file_name().context("a program has a name")?;
    let path = scratch().join(format!("newer-than-{}", name.to_string_lossy()));
    fs::write(&path, bytes)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

fn counted(exe: &Path) -> Result<()> {
    let mut target = Target::start(exe, &["done"])?;
    let measurement = Measurement::start(target.pid, &["main.work"])?;
    target.go()?;
    target.wait_for("progress")?;
    target.go()?;
    let truth = target.truth()?;
    let report = measurement.interrupt()?;
    let counts = report.counts();
    ensure!(
        counts.get("main.work") == truth.functions.get("main.work"),
        "{counts:?}, in truth {:?}",
        truth.functions
    );
    target.release()
}

fn refused(go: &Toolchain) -> Result<()> {
    let exe = newer(go, Build::of("steady").stripped())?;
    let mut target = Target::start(&exe, &["done"])?;
    let by_pid = attach(&["--pid", &target.pid.to_string()])?;
    ensure!(
        by_pid.contains("newer than this goinstr") && by_pid.contains("not proven"),
        "{by_pid}"
    );
    target.go()?;
    target.go()?;
    target.truth()?;
    target.release()?;
    // Nothing runs it: there is nothing that could prove anything.
    let by_file = attach(&["--exe", path(&exe)])?;
    ensure!(by_file.contains("no process runs it"), "{by_file}");
    Ok(())
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of ours is UTF-8")
}

/// What `goinstr attach` says on stderr when it fails, which it must.
fn attach(which: &[&str]) -> Result<String> {
    let output = Command::new(goinstr())
        .args(["attach", "--duration", "1s"])
        .args(which)
        .arg("main.work")
        .output()?;
    ensure!(
        output.status.code() == Some(1),
        "ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}
