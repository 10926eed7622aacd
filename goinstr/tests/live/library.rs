//! Go in a C program: as a shared library that it loads, and as an archive that it is linked with.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Test,
    support::{
        build::{Build, scratch, targets},
        measurement::Measurement,
    },
    test,
};

/// What is computed: `fib(20)`, by so many calls.
const ARGUMENT: &str = "20";
const CALLS: u64 = 21_891;

pub fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for stripped in [false, true] {
        let form = if stripped { "stripped" } else { "whole" };
        tests.push(
            test(format!("library::shared_in_c_{form}"), move || {
                shared(stripped)
            })
            .needing_c(),
        );
        tests.push(
            test(format!("library::archive_in_c_{form}"), move || {
                archive(stripped)
            })
            .needing_c(),
        );
    }
    tests
}

fn build(mode: &'static str, stripped: bool) -> Result<PathBuf> {
    let build = Build::of("cshared").mode(mode).cgo();
    match stripped {
        true => build.stripped(),
        false => build,
    }
    .executable()
}

fn cc(source: &str, arguments: &[&Path], to: &str) -> Result<PathBuf> {
    let to = scratch().join(to);
    let output = Command::new("cc")
        .arg(targets().join("cshared/host").join(source))
        .args(arguments)
        .args(["-ldl", "-lpthread", "-o"])
        .arg(&to)
        .output()
        .context("can't run cc")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cc: {error}");
    Ok(to)
}

fn shared(stripped: bool) -> Result<()> {
    let library = build("c-shared", stripped)?;
    let host = cc("host.c", &[], &format!("host-of-{stripped}"))?;
    let mut run = Command::new(host);
    exact(&library, run.arg(&library).arg(ARGUMENT))
}

/// The C linker has made the program, stripped it and knows nothing of Go's sections.
fn archive(stripped: bool) -> Result<()> {
    let archive = build("c-archive", stripped)?;
    // By its name the C linker knows it.
    let linked = scratch().join(format!("libfib-{stripped}.a"));
    std::fs::copy(&archive, &linked)?;
    let strip = if stripped { "-s" } else { "-g" };
    let name = format!("linked-{stripped}");
    let program = cc("linked.c", &[&linked, Path::new(strip)], &name)?;
    exact(&program, Command::new(&program).arg(ARGUMENT))
}

/// Measured from before its start, a run has exactly the calls that the arithmetic says.
fn exact(file: &Path, run: &mut Command) -> Result<()> {
    let measurement = Measurement::start_file(file, &["main.fib"])?;
    let output = run.output()?;
    ensure!(
        output.stdout == b"6765\n",
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let report = measurement.interrupt()?;
    let counts = report.counts();
    let calls = counts.get("main.fib").map(|counts| counts.calls);
    ensure!(
        calls == Some(CALLS) && report.ledger.lost_in_all() == 0,
        "{counts:?}, {:?}",
        report.ledger
    );
    Ok(())
}
