//! SIGKILL in the midst of arming and disarming thousands of sites of a busy target: the process that
//! does that for goinstr comes to the end of it.

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{Fault, Times, Watched, busy, one_of_both, signal, survives, times, unharmed};
use crate::{
    Test,
    support::{dice::Dice, measurement::goinstr, process::patience, report::Report, text},
};

pub fn tests() -> Vec<Test> {
    vec![
        Fault {
            name: "goinstr_killed_while_it_arms",
            what: "goinstr killed while it arms all functions of a busy target",
            times: Times::Chances(1),
            result: "the text is the file's again",
        }
        .test(arming),
        Fault {
            name: "goinstr_killed_while_it_disarms",
            what: "goinstr killed while it disarms all functions of a busy target",
            times: Times::Chances(1),
            result: "the text is the file's again",
        }
        .test(|| disarming(&[""; 0])),
        Fault {
            name: "everything_killed_while_it_disarms",
            what: "goinstr and all its processes killed while it disarms all functions of a busy target",
            times: Times::Chances(1),
            result: "the text is the file's again",
        }
        .test(|| disarming(&["uprobe-holder"])),
        Fault {
            name: "goinstr_killed_while_it_retires",
            what: "`goinstr cover` killed while it puts sites of a busy target in and takes those hit out",
            times: Times::Chances(1),
            result: "the text is the file's again",
        }
        .test(retiring),
        Fault {
            name: "holder_killed",
            what: "the process that holds the probes killed, and not goinstr",
            times: Times::Once,
            result: "goinstr says so and exits with 1; the text is the file's again",
        }
        .test(holder),
        Fault {
            name: "interrupted_where_sites_are_perf_events",
            what: "Ctrl-C where sites are perf events, each of which takes long to go",
            times: Times::Once,
            result: "the report comes at once, another process takes the sites out",
        }
        .test(interrupted),
    ]
}

/// Waits until the number of changed bytes is as `wanted`; that number.
pub fn changed(pid: u32, exe: &Path, wanted: impl Fn(usize) -> bool) -> Result<usize> {
    let deadline = Instant::now() + patience();
    loop {
        let changed = text::changed_bytes(pid, exe)?;
        if wanted(changed) {
            return Ok(changed);
        }
        ensure!(
            Instant::now() < deadline,
            "{changed} bytes are changed, and nothing comes of it"
        );
    }
}

fn arming() -> Result<()> {
    let (mut target, exe) = busy(&[])?;
    let mut dice = Dice::new(5);
    for turn in 0..times()? {
        let goinstr = one_of_both(turn, target.pid, &["--raw", "*"])?;
        changed(target.pid, &exe, |bytes| bytes > 0)?;
        thread::sleep(Duration::from_millis(dice.below(100)));
        survives(goinstr, &mut target, &exe)?;
    }
    unharmed(target, &exe)
}

/// Kills the processes of these names, which goinstr has started, with it.
fn disarming(also: &[&str]) -> Result<()> {
    let (mut target, exe) = busy(&[])?;
    let mut dice = Dice::new(6);
    for _ in 0..times()? {
        let mut goinstr = Watched::attaching(target.pid, &["--raw", "*"])?;
        goinstr.session()?;
        // They are read on: a goinstr whose readers are gone ends for another reason.
        let Watched {
            goinstr,
            lines: _lines,
            errors: _errors,
        } = goinstr;
        let children = children(goinstr.id(), also)?;
        ensure!(children.len() == also.len(), "no {also:?}");
        let all = changed(target.pid, &exe, |bytes| bytes > 0)?;
        signal(&goinstr, Signal::INT)?;
        changed(target.pid, &exe, |bytes| bytes < all)?;
        thread::sleep(Duration::from_millis(dice.below(30)));
        for child in children {
            // It may have ended.
            let _ = kill_process(child, Signal::KILL);
        }
        survives(goinstr, &mut target, &exe)?;
    }
    unharmed(target, &exe)
}

fn retiring() -> Result<()> {
    let (mut target, exe) = busy(&[])?;
    let mut dice = Dice::new(7);
    for _ in 0..times()? {
        let goinstr = Command::new(goinstr())
            .args(["cover", "--output", "json", "--pid"])
            .arg(target.pid.to_string())
            .arg("*")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        changed(target.pid, &exe, |bytes| bytes > 0)?;
        thread::sleep(Duration::from_millis(dice.below(1000)));
        survives(goinstr, &mut target, &exe)?;
    }
    unharmed(target, &exe)
}

/// Nobody has a reason to kill it. Who does is told that the counts end there.
fn holder() -> Result<()> {
    let (target, exe) = busy(&[])?;
    let mut goinstr = Watched::attaching(target.pid, &["--raw", "main.*"])?;
    goinstr.session()?;
    let holders = children(goinstr.goinstr.id(), &["uprobe-holder"])?;
    let [holder] = holders[..] else {
        bail!("holders: {holders:?}");
    };
    kill_process(holder, Signal::KILL)?;
    let status = goinstr.end()?;
    let Watched { lines, errors, .. } = goinstr;
    ensure!(
        status.code() == Some(1)
            && errors.seen.len() == 1
            && errors.seen[0].contains("`uprobe-holder`) was killed"),
        "goinstr ended with {status}: {}",
        errors.tail()
    );
    ensure!(
        lines
            .seen
            .iter()
            .any(|line| line.contains(r#""type":"ledger""#)),
        "no ledger"
    );
    unharmed(target, &exe)
}

/// Who takes them out afterwards is told. (How long that takes is told before only where it is long.)
fn interrupted() -> Result<()> {
    let (target, exe) = busy(&[])?;
    let args = ["--raw", "--attach-by", "perf_event", "/^runtime\\.[ab]/"];
    let mut goinstr = Watched::attaching(target.pid, &args)?;
    goinstr.session()?;
    signal(&goinstr.goinstr, Signal::INT)?;
    let status = goinstr.end()?;
    let Watched { lines, errors, .. } = goinstr;
    ensure!(
        status.success(),
        "goinstr ended with {status}: {}",
        errors.tail()
    );
    // Parsing checks the books.
    Report::parse(&lines.seen)?;
    ensure!(
        errors
            .seen
            .iter()
            .any(|line| line.contains("(uprobe-holder) takes them out")),
        "who takes the sites out is not said: {}",
        errors.tail()
    );
    unharmed(target, &exe)
}

/// The processes of these names that goinstr has started.
pub fn children(goinstr: u32, names: &[&str]) -> Result<Vec<Pid>> {
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{goinstr}/task"))? {
        let children = fs::read_to_string(task?.path().join("children"))?;
        for child in children.split_whitespace() {
            // It may end at any time.
            let name = fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
            if names.contains(&name.trim_end()) {
                found.push(Pid::from_raw(child.parse()?).context("a pid that is none")?);
            }
        }
    }
    Ok(found)
}
