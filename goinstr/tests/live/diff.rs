//! `goinstr diff` of processes: two at once, and one before and after; and its exit codes.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    Test,
    support::{
        build::Build,
        lines::Lines,
        measurement::goinstr,
        process::{Target, patience},
    },
    test,
};

pub fn tests() -> Vec<Test> {
    vec![
        test("diff::two_processes_and_a_limit", two),
        test("diff::before_and_after", before_and_after),
        test("diff::what_cannot_be_measured_is_an_error", dead),
    ]
}

/// `work` lasts so many microseconds.
fn target(micros: &str) -> Result<Target> {
    Target::start(&Build::of("slower").executable()?, &[micros])
}

fn diff(args: &[&str]) -> Command {
    let mut diff = Command::new(goinstr());
    diff.args(["diff", "--output", "json", "--no-guard"])
        .args(args)
        .arg("main.work")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    diff
}

/// The line of `main.work`.
fn work(output: &Output) -> Result<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.contains("\"main.work\""));
    let line = line.with_context(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("nothing of main.work:\n{text}{errors}")
    })?;
    Ok(serde_json::from_str(line)?)
}

fn two() -> Result<()> {
    let (fast, slow) = (target("500")?, target("1500")?);
    let [fast_pid, slow_pid] = [&fast, &slow].map(|target| target.pid.to_string());
    let limit = ["--duration", "4s", "--fail-if", "p50>+50%"];
    let output = diff(&["--pid", &fast_pid, "--pid", &slow_pid])
        .args(limit)
        .output()?;
    let line = work(&output)?;
    ensure!(line["verdict"] == "slower", "{line}");
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(4) && errors.contains("main.work is slower than --fail-if"),
        "{}: {errors}",
        output.status
    );
    let output = diff(&["--pid", &slow_pid, "--pid", &fast_pid])
        .args(limit)
        .output()?;
    let line = work(&output)?;
    ensure!(line["verdict"] == "faster", "{line}");
    ensure!(output.status.code() == Some(0), "{output:?}");
    Ok(())
}

fn before_and_after() -> Result<()> {
    let mut target = target("500")?;
    let pid = target.pid.to_string();
    let mut diff = diff(&["--pid", &pid, "--duration", "4s", "--fail-if", "mean>+10%"])
        .stdin(Stdio::piped())
        .spawn()?;
    let mut errors = Lines::of("goinstr", diff.stderr.take().context("no stderr")?);
    errors.wait_for("the question", patience(), |line| {
        line.contains("press Enter")
    })?;
    target.go()?;
    target.wait_for("slower")?;
    let mut stdin = diff.stdin.take().context("no stdin")?;
    stdin.write_all(b"\n")?;
    let output = diff.wait_with_output()?;
    let line = work(&output)?;
    ensure!(line["verdict"] == "slower", "{line}");
    ensure!(output.status.code() == Some(4), "{}", output.status);
    Ok(())
}

fn dead() -> Result<()> {
    let target = target("500")?;
    let pid = target.pid.to_string();
    // The largest pid that there can be: nobody has it.
    let output = diff(&["--pid", &pid, "--pid", "4194304", "--duration", "60s"]).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(1) && errors.contains("process 4194304"),
        "{}: {errors}",
        output.status
    );
    Ok(())
}
