//! A target whose names are made to steer the reader's terminal: nothing of it gets there.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command};

use anyhow::{Result, ensure};

use crate::{
    Test,
    support::{build::Build, measurement, process::Target, user},
    test,
};

/// The function whose name is changed, and what it is changed to: as many bytes.
const NAME: &[u8] = b"main.outer";
const CHANGED: &[u8] = b"main.\x1b[31m";

pub fn tests() -> Vec<Test> {
    vec![test(
        "hostile::escape_sequences_in_names_reach_no_terminal",
        escapes,
    )]
}

/// A program that is called by an escape sequence and has a function that is.
fn hostile(folder: &std::path::Path) -> Result<PathBuf> {
    let mut bytes = fs::read(Build::of("steady").executable()?)?;
    let mut changed = 0;
    for at in 0..bytes.len() - NAME.len() {
        if &bytes[at..at + NAME.len()] == NAME && !bytes[at + NAME.len()].is_ascii_alphanumeric() {
            bytes[at..at + NAME.len()].copy_from_slice(CHANGED);
            changed += 1;
        }
    }
    ensure!(changed > 0, "no name to change");
    let exe = folder.join("app\x1b[2J\u{202e}");
    fs::write(&exe, bytes)?;
    fs::set_permissions(&exe, fs::Permissions::from_mode(0o755))?;
    Ok(exe)
}

fn escapes() -> Result<()> {
    let folder = user::open_folder()?;
    let exe = hostile(folder.path())?;
    let mut target = Target::start(&exe, &[""; 0])?;
    target.go()?;
    target.wait_for("progress")?;
    let pid = target.pid.to_string();
    let path = exe.to_string_lossy().into_owned();
    let attach = ["attach", "--duration", "1s", "--max-overhead", "100"];
    let runs: [(&[&str], &[&str]); 9] = [
        (&attach, &["-vv", "--pid", &pid, "main.*"]),
        (&attach, &["--slower-than", "1ns", "--pid", &pid, "main.*"]),
        (
            &["attach", "--count", "--callers"],
            &["--duration", "1s", "--pid", &pid, "main.*"],
        ),
        (&["attach"], &["--pid", &pid, "main.oute"]),
        (&["list"], &[&path, "main.*"]),
        (&["inspect"], &[&path]),
        (&["doctor"], &["--pid", &pid]),
        (
            &["trace", "--no-guard", "--duration", "200ms"],
            &["--pid", &pid, "main.*"],
        ),
        (
            &["cover", "--duration", "200ms"],
            &["--pid", &pid, "main.*"],
        ),
    ];
    let mut seen = 0;
    for (command, args) in runs {
        let output = Command::new(measurement::goinstr())
            .args(command)
            .args(args)
            .output()?;
        for (stream, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            let text = String::from_utf8_lossy(bytes);
            let steers = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
            if let Some(line) = text.lines().find(|line| line.contains(steers)) {
                anyhow::bail!("{command:?} on {stream}: {line:?}");
            }
            seen += usize::from(text.contains(r"\u{1b}["));
        }
    }
    ensure!(seen >= 6, "only {seen} outputs had the names at all");
    target.release()
}
