//! Least privilege: which capabilities suffice, and that each of them is needed and named.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, chown},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use goinstr::{attach::features, target::Capability};

use crate::{
    Test,
    support::{
        build::Build,
        case::Measured,
        measurement::Measurement,
        process::Target,
        user::{self, GOINSTRS, TARGETS},
    },
    test,
};

/// For a process of another user.
const SUFFICE: [&str; 3] = ["bpf", "perfmon", "sys_ptrace"];

pub fn tests() -> Vec<Test> {
    let mut tests = vec![test(
        "privilege::a_file_with_the_readmes_capabilities_suffices",
        by_file,
    )];
    if !user::can_be_changed() {
        eprintln!("live tests of capabilities are ignored: no setpriv");
        return tests;
    }
    tests.extend([
        test(
            "privilege::three_capabilities_suffice_for_another_users_process",
            || exact(TARGETS, &SUFFICE),
        ),
        test(
            "privilege::two_capabilities_suffice_for_ones_own_process",
            || exact(GOINSTRS, &SUFFICE[..2]),
        ),
        test("privilege::what_is_missing_is_named", named),
        test("privilege::an_unreadable_file_takes_one_more", unreadable),
        test("privilege::doctor_says_what_is_missing", doctor),
        test(
            "privilege::perf_events_take_no_more_than_is_said",
            perf_events,
        ),
    ]);
    tests
}

/// The capabilities that arming takes here beside the usual ones.
fn beside() -> &'static [Capability] {
    match features::has_uprobe_multi() {
        true => &[],
        false => &[Capability::SysAdmin],
    }
}

/// As a user installs it: no capability but the file's, and the guard at work.
fn by_file() -> Result<()> {
    let folder = user::open_folder()?;
    let exe = user::readable_copy(&Build::of("panics").executable()?, folder.path(), 0o755)?;
    let own = folder.path().join("own");
    fs::create_dir(&own)?;
    chown(&own, Some(GOINSTRS), Some(GOINSTRS))?;
    let goinstr = user::goinstr_by_file(folder.path(), beside())?;
    // Root's own.
    let mut target = Target::start(&exe, &[""; 0])?;
    let pid = target.pid.to_string();
    let run = |args: &[&str]| {
        let output = goinstr().args(args).args(["--pid", &pid]).output()?;
        let (said, errors) = (
            String::from_utf8(output.stdout)?,
            String::from_utf8_lossy(&output.stderr),
        );
        ensure!(
            output.status.code() == Some(0),
            "{args:?}: {}: {errors} {said}",
            output.status
        );
        anyhow::Ok(said)
    };

    let listed = run(&["list", "--output", "json", "main.*"])?;
    ensure!(listed.contains(r#""function":"main.main""#), "{listed}");
    let checks = run(&["doctor", "--output", "json"])?;
    for name in ["capabilities", "measuring", "offsets_verified"] {
        let good = format!(r#""name":"{name}","ok":true"#);
        ensure!(checks.contains(&good), "{name}: {checks}");
    }
    let recording = own.join("recording");
    let recording = recording.to_str().context("a path of ours is UTF-8")?;
    let short = ["--output", "json", "--duration", "300ms", "main.*"];
    for command in [&["trace"][..], &["record", "-o", recording]] {
        let said = run(&[command, &short].concat())?;
        ensure!(said.contains(r#""type":"ledger""#), "{command:?}: {said}");
    }
    ensure!(fs::metadata(recording)?.len() > 0, "nothing was recorded");

    let measurement = Measurement::start_by(goinstr(), target.pid, &["main.*"])?;
    let files = fs::metadata(format!("/proc/{}/fd", measurement.pid()))?;
    // Unless the machine says otherwise: proc(5).
    let dumpable = fs::read_to_string("/proc/sys/fs/suid_dumpable")?;
    ensure!(
        files.uid() == 0 || dumpable.trim() == "1",
        "its files in /proc are its own"
    );
    target.go()?;
    let Measured { report, .. } = Measured::finish(target, measurement, &exe)?;
    ensure!(report.ledger.entries > 0, "{:?}", report.ledger);
    Ok(())
}

/// Kernels since July 2025 take CAP_SYS_ADMIN for a uprobe that is a perf event, older ones CAP_PERFMON: what doctor
/// says of it is what happens.
fn perf_events() -> Result<()> {
    let folder = user::open_folder()?;
    let exe = user::readable_copy(&Build::of("panics").executable()?, folder.path(), 0o755)?;
    let options = ["--no-guard", "--attach-by", "perf_event", "main.*"];
    let admin = [&SUFFICE[..], &["sys_admin"]].concat();
    for capabilities in [&SUFFICE[..], &admin] {
        let mut target = start(TARGETS, &exe)?;
        let output = user::goinstr_with(folder.path(), capabilities)?
            .args(["doctor", "--output", "json"])
            .output()?;
        let checks = String::from_utf8(output.stdout)?;
        let check = checks
            .lines()
            .find(|line| line.contains(r#""name":"perf_events""#))
            .context("no check of perf events")?;
        let goinstr = user::goinstr_with(folder.path(), capabilities)?;
        let attached = Measurement::start_by(goinstr, target.pid, &options);
        match (check.contains(r#""ok":true"#), attached) {
            (true, Ok(measurement)) => {
                target.go()?;
                Measured::finish(target, measurement, &exe)?.agree(&[])?;
            }
            (false, Err(said)) => {
                ensure!(capabilities.len() == SUFFICE.len(), "{check}: {said:#}");
                let names = format!("{said:#}").contains("CAP_SYS_ADMIN");
                ensure!(
                    check.contains("cap_sys_admin") && names,
                    "{check}: {said:#}"
                );
                target.release()?;
            }
            (good, attached) => bail!("said {good}, and it was {:?}: {check}", attached.err()),
        }
    }
    Ok(())
}

/// A target of `owner`, measured by a user with these capabilities: exact, and nothing left.
fn exact(owner: u32, capabilities: &[&str]) -> Result<()> {
    let folder = user::open_folder()?;
    let exe = user::readable_copy(&Build::of("panics").executable()?, folder.path(), 0o755)?;
    let mut target = start(owner, &exe)?;
    let goinstr = user::goinstr_with(folder.path(), capabilities)?;
    let measurement = Measurement::start_by(goinstr, target.pid, &["--no-guard", "main.*"])?;
    target.go()?;
    Measured::finish(target, measurement, &exe)?.agree(&[])
}

fn start(owner: u32, exe: &std::path::Path) -> Result<Target> {
    let mut words = user::become_with(owner, &[]);
    words.push(exe.into());
    Target::start(std::path::Path::new("setpriv"), &words[1..])
}

/// Without one of them nothing is measured, and the error names it.
fn named() -> Result<()> {
    let folder = user::open_folder()?;
    let exe = user::readable_copy(&Build::of("panics").executable()?, folder.path(), 0o755)?;
    let target = start(TARGETS, &exe)?;
    for missing in SUFFICE {
        let left: Vec<_> = SUFFICE
            .into_iter()
            .filter(|&name| name != missing)
            .collect();
        let said = fail(user::goinstr_with(folder.path(), &left)?, target.pid)?;
        let name = format!("lacks CAP_{}:", missing.to_uppercase());
        ensure!(said.contains(&name), "without {missing}: {said}");
    }
    target.release()
}

/// A file that only its owner may read.
fn unreadable() -> Result<()> {
    let folder = user::open_folder()?;
    let exe = user::readable_copy(&Build::of("panics").executable()?, folder.path(), 0o700)?;
    chown(&exe, Some(TARGETS), Some(TARGETS))?;
    let mut target = start(TARGETS, &exe)?;
    let said = fail(user::goinstr_with(folder.path(), &SUFFICE)?, target.pid)?;
    ensure!(said.contains("lacks CAP_DAC_READ_SEARCH:"), "{said}");

    let mut enough = SUFFICE.to_vec();
    enough.push("dac_read_search");
    let goinstr = user::goinstr_with(folder.path(), &enough)?;
    let measurement = Measurement::start_by(goinstr, target.pid, &["--no-guard", "main.*"])?;
    target.go()?;
    Measured::finish(target, measurement, &exe)?.agree(&[])
}

/// Runs it to its failure; what it said.
fn fail(mut goinstr: Command, pid: u32) -> Result<String> {
    let output = goinstr
        .args(["attach", "--duration", "1s", "main.*", "--pid"])
        .arg(pid.to_string())
        .output()?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(1), "{}: {said}", output.status);
    ensure!(said.lines().count() == 1, "more than one line: {said}");
    Ok(said)
}

fn doctor() -> Result<()> {
    let folder = user::open_folder()?;
    let exe = user::readable_copy(&Build::of("panics").executable()?, folder.path(), 0o755)?;
    let target = start(TARGETS, &exe)?;
    let pid = target.pid.to_string();
    for (capabilities, code) in [(&SUFFICE[..], 0), (&SUFFICE[..2], 3), (&[], 3)] {
        let output = user::goinstr_with(folder.path(), capabilities)?
            .args(["doctor", "--output", "json", "--pid", &pid])
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(
            output.status.code() == Some(code),
            "{}: {text}",
            output.status
        );
        let rights = text
            .lines()
            .find(|line| line.contains(r#""name":"capabilities""#))
            .context("no check of capabilities")?;
        for name in SUFFICE.iter().filter(|name| !capabilities.contains(name)) {
            let name = format!("CAP_{}", name.to_uppercase());
            ensure!(
                rights.contains(r#""ok":false"#) && rights.contains(&name),
                "{rights}"
            );
        }
    }
    target.release()
}
