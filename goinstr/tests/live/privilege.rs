//! Least privilege: which capabilities suffice, and that each of them is needed and named.

use std::{os::unix::fs::chown, process::Command};

use anyhow::{Context as _, Result, ensure};

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
    if !user::can_be_changed() {
        eprintln!("live tests of capabilities are ignored: no setpriv");
        return Vec::new();
    }
    vec![
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
    ]
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
