//! A target whose names and values are made to steer the reader's terminal: nothing of it gets there, in whatever form
//! it is told of, and what scripts parse has it as it is.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    Test,
    support::{
        build::Build,
        http,
        measurement::{self, Measurement},
        process::{Target, patience},
        user,
    },
    test,
};

/// Names in the executable, and what they are changed to: as many bytes. The last is that of the module, the folder and
/// so the source file.
const CHANGES: [(&str, &str); 3] = [
    ("main.outer", FUNCTION),
    ("main.waits", WAITING),
    ("hostile", "st\x1b[2J\x07"),
];
const FUNCTION: &str = "main.\x1b[31m";
const WAITING: &str = "main.\u{9b}2J\x7f";
/// What the executable is called.
const NAME: &str = "app\x1b[2J\u{202e}\u{9b}\x7f";
/// What the target's values hold, as its source has it.
const VALUE: &str = "\x1b[31m\u{9b}2J\x1b]0;x\x07\x7f\u{202e}\u{2028}\r\n\"";

pub fn tests() -> Vec<Test> {
    vec![
        test(
            "hostile::escape_sequences_in_names_reach_no_terminal",
            escapes,
        ),
        test("hostile::values_reach_no_terminal", values),
        test("hostile::recordings_and_what_is_made_of_them", recordings),
        test("hostile::metrics_reach_no_terminal", metrics),
        test("hostile::json_says_the_names_as_they_are", json),
    ]
}

/// A program that is called by an escape sequence and has functions that are.
fn hostile(folder: &Path) -> Result<PathBuf> {
    let mut bytes = fs::read(Build::of("hostile").executable()?)?;
    for (name, changed) in CHANGES {
        let (name, changed) = (name.as_bytes(), changed.as_bytes());
        ensure!(name.len() == changed.len(), "of another length");
        let mut changes = 0;
        for at in 0..bytes.len() - name.len() {
            let end = at + name.len();
            if &bytes[at..end] == name && !bytes[end].is_ascii_alphanumeric() {
                bytes[at..end].copy_from_slice(changed);
                changes += 1;
            }
        }
        ensure!(changes > 0, "no name to change");
    }
    let exe = folder.join(NAME);
    fs::write(&exe, bytes)?;
    fs::set_permissions(&exe, fs::Permissions::from_mode(0o755))?;
    Ok(exe)
}

/// The program at work, and the path of its file.
fn start(folder: &Path) -> Result<(Target, PathBuf)> {
    let exe = hostile(folder)?;
    let mut target = Target::start(&exe, &[""; 0])?;
    target.go()?;
    target.wait_for("progress")?;
    Ok((target, exe))
}

/// What steers a terminal or reorders its lines, as far as the target has it.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202e}' | '\u{2028}')
}

/// Nothing but ends of lines.
fn harmless(what: &str, bytes: &[u8]) -> Result<String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    if let Some(line) = text.lines().find(|line| line.contains(steers)) {
        anyhow::bail!("{what}: {line:?}");
    }
    Ok(text)
}

/// What a command writes, on stdout and stderr; that it was harmless.
fn said(args: &[&str]) -> Result<String> {
    let output = Command::new(measurement::goinstr()).args(args).output()?;
    let errors = harmless(&format!("{args:?} on stderr"), &output.stderr)?;
    let text = harmless(&format!("{args:?} on stdout"), &output.stdout)?;
    Ok(text + &errors)
}

fn escapes() -> Result<()> {
    let folder = user::open_folder()?;
    let (target, exe) = start(folder.path())?;
    let pid = target.pid.to_string();
    let path = exe.to_string_lossy().into_owned();
    let attach = ["attach", "--duration", "1s", "--max-overhead", "100"];
    let trace = ["trace", "--no-guard", "--duration", "200ms"];
    let cover = ["cover", "--duration", "200ms", "--pid", &pid, "main.*"];
    let (go, lcov) = (folder.path().join("c.cov"), folder.path().join("c.info"));
    let (go, lcov) = (go.to_string_lossy(), lcov.to_string_lossy());
    let runs: [(&[&str], &[&str]); 16] = [
        (&attach, &["-vv", "--pid", &pid, "main.*"]),
        (&attach, &["--slower-than", "1ns", "--pid", &pid, "main.*"]),
        (
            &["attach", "--count", "--callers"],
            &["--duration", "1s", "--pid", &pid, "main.*"],
        ),
        (&["attach"], &["--pid", &pid, "main.oute"]),
        (&["list"], &[&path, "main.*"]),
        (&["list", "--pid", &pid], &["main.*"]),
        (&["inspect"], &[&path]),
        (&["doctor"], &["--pid", &pid]),
        (&["inflight"], &["--pid", &pid, "main.*"]),
        (&["inflight", "-vv"], &["--pid", &pid, "main.waitz"]),
        (&trace, &["--pid", &pid, "main.*"]),
        (&trace, &["--stack", "--states", "--pid", &pid, "main.*"]),
        (&trace, &["--output", "logfmt", "--pid", &pid, "main.*"]),
        (&cover, &["--lines", "--uncovered"]),
        (&cover, &["--output-file", &go]),
        (&cover, &["--output-file", &lcov]),
    ];
    let mut seen = 0;
    for (command, args) in runs {
        let text = said(&[command, args].concat())?;
        seen += usize::from(text.contains(r"\u{1b}["));
    }
    ensure!(seen >= 13, "only {seen} outputs had the names at all");
    for file in [go, lcov] {
        let text = harmless(&file, &fs::read(&*file)?)?;
        ensure!(
            text.contains(r"st\u{1b}[2J\u{7}/main.go"),
            "{file}: {}",
            beginning(&text)
        );
    }
    target.release()
}

/// As much of an output as tells what it is.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(1_000)]
}

fn values() -> Result<()> {
    let folder = user::open_folder()?;
    let (target, _) = start(folder.path())?;
    let pid = target.pid.to_string();
    let with_values = ["--args", "--returns", "--pid", &pid, "main.*"];
    let trace = ["trace", "--no-guard", "--duration", "500ms"];
    let attach = ["attach", "--no-guard", "--duration", "1s", "--slower-than"];
    let runs = [
        [&trace[..], &with_values].concat(),
        [&trace[..], &["--output", "logfmt"], &with_values].concat(),
        [&attach[..], &["1ns"], &with_values].concat(),
        [
            &["trace", "--entries"],
            &trace[1..],
            &["--args", "--pid", &pid, "main.*"],
        ]
        .concat(),
    ];
    for args in &runs {
        // A backslash is two in what logfmt quotes.
        let text = said(args)?.replace(r"\\", r"\");
        ensure!(
            text.contains(r"\u{1b}[31m\u{9b}2J") && text.contains(r"\u{202e}\u{2028}"),
            "{args:?}: no values: {}",
            beginning(&text)
        );
    }
    let text = said(&[&trace[..], &["--output", "json"], &with_values].concat())?;
    let lines: Vec<Value> = parsed(&text)?;
    let mut calls = lines.iter().filter(|line| line["type"] == "call");
    let call = calls
        .find(|line| line["function"] == FUNCTION)
        .context("no call")?;
    for argument in ["key", "raw"] {
        ensure!(
            call["args"][argument]["value"] == VALUE,
            "{argument}: {call}"
        );
    }
    ensure!(call["returns"]["r1"]["value"]["value"] == VALUE, "{call}");
    target.release()
}

fn parsed(text: &str) -> Result<Vec<Value>> {
    let lines = text.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
        .collect()
}

fn recordings() -> Result<()> {
    let folder = user::open_folder()?;
    let (target, exe) = start(folder.path())?;
    let pid = target.pid.to_string();
    let file = folder.path().join("recording");
    let file = file.to_string_lossy();
    let record = [
        "record",
        "--no-guard",
        "--duration",
        "2s",
        "--states",
        "--stack",
    ];
    said(
        &[
            &record[..],
            &["--pid", &pid, "--recording", &file, "main.*"],
        ]
        .concat(),
    )?;
    target.release()?;
    let forms: [&[&str]; 9] = [
        &[],
        &["--calls"],
        &["--csv"],
        &["--folded"],
        &["--folded", "--weight", "state"],
        &["--flamegraph"],
        &["--html"],
        &["--json"],
        &["--json", "--calls"],
    ];
    for form in forms {
        let text = said(&[&["report", &*file], form].concat())?;
        let spelt = text.contains(r"\u{1b}[31m") || text.contains(r"\u001b[31m");
        ensure!(spelt, "{form:?}: {}", beginning(&text));
    }
    for form in ["--pprof", "--perfetto"] {
        let output = Command::new(measurement::goinstr())
            .args(["report", &file, form])
            .output()?;
        ensure!(output.status.success(), "{form}");
        let mut bytes = output.stdout;
        if form == "--pprof" {
            let mut profile = Vec::new();
            let mut gzip = flate2::read::GzDecoder::new(&bytes[..]);
            std::io::Read::read_to_end(&mut gzip, &mut profile)?;
            bytes = profile;
        }
        let text = String::from_utf8_lossy(&bytes);
        ensure!(
            text.contains(r"main.\u{1b}[31m") && text.contains(r"st\u{1b}[2J\u{7}/main.go"),
            "{form}: the names aren't there"
        );
        ensure!(
            !text.contains("\x1b[31m") && !text.contains("\x1b[2J"),
            "{form}"
        );
    }
    let text = said(&["report", &file, "--json"])?;
    let lines = parsed(&text)?;
    ensure!(
        lines[0]["exe"] == exe.to_string_lossy().as_ref(),
        "{}",
        lines[0]
    );
    ensure!(
        lines.iter().any(|line| line["function"] == FUNCTION),
        "{}",
        beginning(&text)
    );
    let text = said(&["diff", &file, &file, "--all"])?;
    ensure!(text.contains(r"main.\u{1b}[31m"), "{}", beginning(&text));
    let text = said(&["diff", &file, &file, "--output", "json"])?;
    let lines = parsed(&text)?;
    ensure!(
        lines.iter().any(|line| line["function"] == FUNCTION),
        "{}",
        beginning(&text)
    );
    Ok(())
}

fn metrics() -> Result<()> {
    let folder = user::open_folder()?;
    let (target, _) = start(folder.path())?;
    let args = ["--prometheus", ":0", "--interval", "100ms", "main.*"];
    let mut measurement = Measurement::start(target.pid, &args)?;
    let address = measurement.metrics_address()?;
    let deadline = Instant::now() + patience();
    // Until recording begins it is told to come again.
    let text = loop {
        match http::get(&address, "/metrics") {
            Ok(text) => break text,
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let text = harmless("metrics", text.as_bytes())?;
    measurement.interrupt()?;
    // A backslash is two in a label's value.
    for part in [
        r#"function="main.\\u{1b}[31m""#,
        r"app\\u{1b}[2J\\u{202e}\\u{9b}\\u{7f}",
    ] {
        ensure!(text.contains(part), "no {part}: {}", beginning(&text));
    }
    target.release()
}

fn json() -> Result<()> {
    let folder = user::open_folder()?;
    let (target, exe) = start(folder.path())?;
    let pid = target.pid.to_string();
    let path = exe.to_string_lossy().into_owned();
    let timed = ["--no-guard", "--duration", "1s", "--output", "json"];
    let which = ["--pid", &pid, "main.*"];
    let runs: [(Vec<&str>, &str); 6] = [
        ([&["attach"], &timed[..], &which].concat(), FUNCTION),
        ([&["trace"], &timed[..], &which].concat(), FUNCTION),
        (
            [&["inflight", "--output", "json"], &which[..]].concat(),
            WAITING,
        ),
        (
            [&["list", "--output", "json"], &which[..]].concat(),
            WAITING,
        ),
        (
            [&["list", "--output", "json", &path], &which[2..]].concat(),
            FUNCTION,
        ),
        (
            [&["cover", "--lines"], &timed[1..], &which].concat(),
            FUNCTION,
        ),
    ];
    for (args, function) in runs {
        let text = said(&args)?;
        let lines = parsed(&text)?;
        let has = |line: &Value| line["function"] == function;
        ensure!(lines.iter().any(has), "{args:?}: {}", beginning(&text));
    }
    let text = said(&["inspect", "--output", "json", &path])?;
    let binary = &parsed(&text)?[0];
    ensure!(binary["exe"] == path.as_str(), "{text}");
    ensure!(binary["module"] == "example.com/st\x1b[2J\x07", "{text}");
    said(&["doctor", "--output", "json", "--pid", &pid])?;
    target.release()
}
