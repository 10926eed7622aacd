//! `goinstr doctor` on a machine and a process that can be measured, and on those that can't.

use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    Test,
    support::{build::Build, measurement, process::Target, user},
    test,
};

pub fn tests() -> Vec<Test> {
    vec![
        test("doctor::a_live_process_passes_every_check", passes),
        test("doctor::the_table_says_so_too", table),
        test(
            "doctor::every_process_of_a_file_is_looked_at",
            every_process,
        ),
        test("doctor::a_file_that_nobody_runs_yet", nobody_runs_it),
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

/// The lines, each held against the contract's `check` record; what is not as it should be comes with what
/// follows and what mends it.
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
        ensure!(
            check["ok"] == true
                || (fields.contains_key("consequence") && fields.contains_key("remedy")),
            "what follows from it, and what mends it? {line}"
        );
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
        "probe_read_user",
        "perf_events",
        "shedding",
        "btf",
        "perf_event_paranoid",
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
        "kernel_btf",
        "shadow_stacks",
    ] {
        find(&checks, name)?;
    }
    target.release()
}

fn table() -> Result<()> {
    let target = Target::start(&Build::of("steady").executable()?, &[""; 0])?;
    let table = doctor(&["--pid", &target.pid.to_string()])?;
    let table = String::from_utf8(table.stdout)?;
    ensure!(table.contains("this user can measure here"), "{table}");
    for check in ["capabilities", "lockdown", "offsets_verified"] {
        ensure!(table.contains(check), "no {check}: {table}");
    }
    target.release()
}

/// Not the first one alone: another may have begun before a deploy, or live in a container.
fn every_process() -> Result<()> {
    let folder = user::open_folder()?;
    let exe = user::readable_copy(&Build::of("steady").executable()?, folder.path(), 0o755)?;
    let path = exe.to_str().context("a path of ours is UTF-8")?;
    let targets = [
        Target::start(&exe, &[""; 0])?,
        Target::start(&exe, &[""; 0])?,
    ];
    let output = doctor(&["--exe", path, "--output", "json"])?;
    ensure!(output.status.code() == Some(0), "{output:?}");
    let checks = checks(&output)?;
    for name in [
        "process",
        "executable",
        "pid_namespace",
        "mount_namespace",
        "overlay",
        "offsets_verified",
    ] {
        let check = find(&checks, name)?;
        let detail = check["detail"].as_str().context("no detail")?;
        ensure!(check["ok"] == true, "{check}");
        for target in &targets {
            ensure!(detail.contains(&target.pid.to_string()), "{check}");
        }
    }
    targets.into_iter().try_for_each(Target::release)
}

fn nobody_runs_it() -> Result<()> {
    let folder = user::open_folder()?;
    let exe = user::readable_copy(&Build::of("steady").executable()?, folder.path(), 0o755)?;
    let path = exe.to_str().context("a path of ours is UTF-8")?;
    let output = doctor(&["--exe", path, "--output", "json"])?;
    ensure!(output.status.code() == Some(0), "{output:?}");
    let checks = checks(&output)?;
    ensure!(
        find(&checks, "runtime_offsets")?["ok"] == true,
        "{output:?}"
    );
    let verified = find(&checks, "offsets_verified")?;
    ensure!(verified["ok"] == false, "{verified}");
    Ok(())
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
