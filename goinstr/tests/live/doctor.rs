//! `goinstr doctor` on a machine and a process that can be measured, and on those that can't.

use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    Test,
    support::{build::Build, measurement, process::Target},
    test,
};

pub fn tests() -> Vec<Test> {
    vec![
        test("doctor::a_live_process_passes_every_check", passes),
        test("doctor::what_is_no_go_program_can_not_be_measured", no_go),
        test("doctor::nobody_has_that_pid", nobody),
    ]
}

fn doctor(args: &[&str]) -> Result<Output> {
    Command::new(measurement::goinstr())
        .arg("doctor")
        .args(args)
        .output()
        .context("can't run goinstr")
}

/// The lines, each held against the contract's `check` record.
fn checks(output: &Output) -> Result<Vec<Value>> {
    let text = std::str::from_utf8(&output.stdout)?;
    let mut checks = Vec::new();
    for line in text.lines() {
        ensure!(line.starts_with(r#"{"type":"check","name":""#), "{line}");
        let check: Value = serde_json::from_str(line)?;
        let fields = check.as_object().context("no object")?;
        ensure!(
            check["ok"].is_boolean() && check["detail"].is_string(),
            "{line}"
        );
        for (name, value) in fields {
            match name.as_str() {
                "type" | "name" | "ok" | "detail" => {}
                "consequence" | "remedy" => ensure!(value.is_string(), "{line}"),
                _ => anyhow::bail!("an unknown field: {line}"),
            }
        }
        checks.push(check);
    }
    Ok(checks)
}

fn find<'a>(checks: &'a [Value], name: &str) -> Result<&'a Value> {
    let check = checks.iter().find(|check| check["name"] == name);
    check.with_context(|| format!("no check {name}"))
}

fn passes() -> Result<()> {
    let target = Target::start(&Build::of("steady").executable()?, &[""; 0])?;
    let pid = target.pid.to_string();
    let output = doctor(&["--pid", &pid, "--output", "json"])?;
    ensure!(output.status.code() == Some(0), "{output:?}");
    let checks = checks(&output)?;
    for name in [
        "capabilities",
        "bpf_maps",
        "ring_buffer",
        "bpf_programs",
        "attach_cookie",
        "bpf_loop",
        "shedding",
        "btf",
        "measuring",
        "process",
        "executable",
        "pid_namespace",
        "mount_namespace",
        "binary",
        "symbol_sources",
        "runtime_offsets",
        "offsets_verified",
    ] {
        let check = find(&checks, name)?;
        ensure!(check["ok"] == true, "{check}");
    }
    // Found out by trying, whichever way it comes out.
    for name in [
        "uprobe_multi",
        "register_writes",
        "lockdown",
        "shadow_stacks",
    ] {
        find(&checks, name)?;
    }
    let table = doctor(&["--pid", &pid])?;
    let table = String::from_utf8(table.stdout)?;
    ensure!(table.contains("this user can measure here"), "{table}");
    target.release()
}

fn no_go() -> Result<()> {
    let mut sleep = Command::new("sleep").arg("60").spawn()?;
    let output = doctor(&["--pid", &sleep.id().to_string(), "--output", "json"]);
    sleep.kill()?;
    sleep.wait()?;
    let output = output?;
    ensure!(output.status.code() == Some(3), "{output:?}");
    let checks = checks(&output)?;
    ensure!(find(&checks, "binary")?["ok"] == false, "{output:?}");
    ensure!(find(&checks, "measuring")?["ok"] == true, "{output:?}");
    Ok(())
}

fn nobody() -> Result<()> {
    // Above the largest pid there is.
    let output = doctor(&["--pid", "4194305", "--output", "json"])?;
    ensure!(output.status.code() == Some(3), "{output:?}");
    let checks = checks(&output)?;
    ensure!(find(&checks, "process")?["ok"] == false, "{output:?}");
    Ok(())
}
