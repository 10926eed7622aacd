//! Returns made by the kernel program, where the kernel lets it; left to the kernel where not.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Test,
    support::{
        build::Build,
        case::{Case, Measured},
        measurement::{Measurement, goinstr},
        process::Target,
        text,
    },
    test,
};

pub fn tests() -> Vec<Test> {
    let mut tests = vec![
        test("returning::by_the_program_or_refused_in_one_line", refused),
        test("returning::never_in_every_process_of_a_file", everyone),
    ];
    for target in ["grow", "panics", "goexit", "threads", "entryloop"] {
        for by in ["program", "kernel"] {
            let test = test(format!("returning::{target}_by_the_{by}"), move || {
                exact(target, by)
            });
            tests.push(match by {
                "program" => test.needing_register_writes(),
                _ => test,
            });
        }
    }
    for by in [
        ["program", "program"],
        ["kernel", "program"],
        ["program", "kernel"],
    ] {
        let name = format!(
            "returning::two_goinstrs_{}_and_{}_are_both_exact",
            by[0], by[1]
        );
        tests.push(test(name, move || two_at_once(by)).needing_register_writes());
    }
    tests
}

/// Whether the program may make the returns of this process here, and why not.
fn obstacle(pid: u32) -> Result<Option<String>> {
    let output = Command::new(goinstr())
        .args(["attach", "--output", "json", "--ret-by", "program", "--raw"])
        .args(["--duration", "10ms", "--pid", &pid.to_string(), "main.*"])
        .stdin(Stdio::null())
        .output()
        .context("can't run goinstr")?;
    if output.status.success() {
        return Ok(None);
    }
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.code() == Some(1) && output.stdout.is_empty() && error.lines().count() == 1,
        "{}: {error}",
        output.status
    );
    Ok(Some(error))
}

/// Either it works, or the refusal says why. Without being asked for, the kernel does it.
fn refused() -> Result<()> {
    let exe = Build::of("grow").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let obstacle = obstacle(target.pid)?;
    let report = Measurement::start(target.pid, &["main.*", "--duration", "10ms"])?.finish()?;
    ensure!(
        report.session["returns"] == "kernel",
        "{}, {obstacle:?}",
        report.session
    );
    if let Some(error) = obstacle {
        ensure!(
            error.contains("can't make the returns") && error.contains("--ret-by"),
            "{error}"
        );
    }
    target.go()?;
    target.truth()?;
    target.release()
}

/// Of processes to come nothing is known.
fn everyone() -> Result<()> {
    let exe = Build::of("grow").executable()?;
    let output = Command::new(goinstr())
        .args([
            "attach",
            "--output",
            "json",
            "--duration",
            "10ms",
            "--raw",
            "--exe",
        ])
        .arg(&exe)
        .arg("main.*")
        .stdin(Stdio::null())
        .output()?;
    let session = String::from_utf8(output.stdout)?;
    ensure!(session.contains(r#""returns":"kernel""#), "{session}");
    Ok(())
}

fn exact(target: &'static str, by: &'static str) -> Result<()> {
    let measured = Case::of(Build::of(target))
        .options(&["--ret-by", by])
        .exact()?;
    ensure!(
        measured.report.session["returns"] == by,
        "{}",
        measured.report.session
    );
    Ok(())
}

/// Two of them at the same returns: whichever is run first may have made the return already.
fn two_at_once(by: [&str; 2]) -> Result<()> {
    let exe = Build::of("panics").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let first = Measurement::start(target.pid, &["main.*", "--ret-by", by[0]])?;
    let second = Measurement::start(target.pid, &["main.*", "--ret-by", by[1]])?;
    target.go()?;
    let truth = target.truth()?;
    let reports = [first.interrupt()?, second.interrupt()?];
    text::wait_until_original(target.pid, &exe)?;
    target.release()?;
    let [first, second] = reports;
    ensure!(
        first.session["returns"] == by[0] && second.session["returns"] == by[1],
        "{} {}",
        first.session,
        second.session
    );
    let mut measured = Measured {
        report: first,
        truth,
    };
    measured.agree(&[])?;
    measured.report = second;
    measured.agree(&[])
}
