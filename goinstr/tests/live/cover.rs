//! Coverage of a running program: phases, lines, what is told meanwhile, and how it ends.

use std::{
    collections::BTreeSet,
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use crate::{
    Test,
    support::{
        build::{self, Build},
        coverage::{self, CoverReport, Covering},
        measurement::goinstr,
        process::{Target, patience},
        text,
    },
    test,
};

pub fn tests() -> Vec<Test> {
    let mut tests = vec![
        test("cover::each_phase_has_what_ran_in_it", || phases(&[])),
        test("cover::all_phases_together_since_the_start", since_start),
        test("cover::lines_that_ran_and_lines_that_did_not", lines),
        test("cover::one_perf_event_a_site", || phases(PERF)),
        test("cover::functions_are_told_as_they_run", watch),
        test("cover::the_targets_exit_ends_it", exit),
        test("cover::the_targets_death_ends_it", death),
        test("cover::another_program_in_the_process_ends_it", exec),
        test("cover::killed_it_leaves_nothing", || killed(false)),
        test("cover::killed_amid_the_load_it_leaves_nothing", || {
            killed(true)
        }),
        test("cover::what_did_not_run_is_listed", uncovered),
        test("cover::plugins_are_said_to_be_left_out", plugin).needing_c(),
    ];
    tests.extend(super::cover_truth::tests());
    tests.extend(super::cover_files::tests());
    tests
}

/// What `paths` runs in its first part and its second.
const FIRST: &[&str] = &["main.onlyFirst", "main.(*circle).area", "main.closures"];
pub const SECOND: &[&str] = &["main.onlySecond", "main.onlySecond.func1"];
const NEVER: &[&str] = &["main.never", "main.smallUnused", "main.closures.func1"];
const BOTH: &[&str] = &[
    "main.branches",
    "main.dense",
    "main.mayPanic",
    "main.square.area",
];
const PERF: &[&str] = &["--attach-by", "perf_event"];

/// Starts `paths` and covers it from the beginning.
fn armed(options: &[&str]) -> Result<(Target, Covering)> {
    let exe = Build::of("paths").executable()?;
    let target = Target::start(&exe, &[] as &[&str])?;
    let pid = target.pid.to_string();
    let covering = Covering::start(&[&["--pid", &pid, "main.*"], options].concat())?;
    Ok((target, covering))
}

/// The same, up to the end of its first part.
pub fn half(options: &[&str]) -> Result<(Target, Covering)> {
    let (mut target, covering) = armed(options)?;
    target.go()?;
    target.wait_for("half")?;
    Ok((target, covering))
}

/// The second part, and the end of goinstr.
fn rest(mut target: Target, covering: Covering) -> Result<CoverReport> {
    target.go()?;
    target.wait_for(r#""type":"done""#)?;
    let report = covering.interrupt()?;
    let exe = Build::of("paths").executable()?;
    text::wait_until_original(target.pid, &exe)?;
    target.release()?;
    Ok(report)
}

fn ran(functions: &[coverage::Function], yes: &[&[&str]], no: &[&[&str]]) -> Result<()> {
    let covered = coverage::covered(functions);
    for name in yes.concat() {
        ensure!(covered.contains(name), "{name} did not run: {covered:?}");
    }
    for name in no.concat() {
        ensure!(!covered.contains(name), "{name} ran");
        ensure!(
            functions.iter().any(|function| function.function == name),
            "{name} is not told of"
        );
    }
    Ok(())
}

fn phases(options: &[&str]) -> Result<()> {
    let (target, mut covering) = half(&[&["--reset"], options].concat())?;
    covering.signal(Signal::USR1)?;
    second_phase(&mut covering)?;
    let report = rest(target, covering)?;
    let first = report.phases.get(&1).context("no first phase")?;
    ran(first, &[FIRST, BOTH], &[SECOND, NEVER])?;
    ran(&report.functions, &[SECOND, BOTH], &[FIRST, NEVER])?;
    ensure!(report.functions.iter().all(|f| f.phase == Some(2)));
    ensure!(report.ledger.end == "signal" && report.lines.is_empty());
    let by = if options.is_empty() {
        "uprobe_multi"
    } else {
        "perf_event"
    };
    ensure!(report.session["attach"] == by, "{}", report.session);
    Ok(())
}

/// Lines of `paths` that run, and lines that don't, each found by what stands in it.
fn lines() -> Result<()> {
    let (target, covering) = half(&["--lines"])?;
    let report = rest(target, covering)?;
    ran(&report.functions, &[FIRST, SECOND, BOTH], &[NEVER])?;
    ensure!(report.skipped.is_empty(), "{:?}", report.skipped);
    let (path, lines) = report.lines.first_key_value().context("no lines")?;
    let source = fs::read_to_string(path)?;
    for (text, expected) in [
        (r#"return "zero""#, true),
        (r#"return "large""#, false),
        (r#"return "negative""#, false),
        ("total += small(i)", true),
        ("return n*3 + 1", true),
        ("return n*5 + 2", false),
        (r#"text.WriteString("two")"#, true),
        (r#"text.WriteString("three")"#, true),
        (r#"text.WriteString("five")"#, false),
        (r#"return "seven""#, true),
        ("sink += 5", false),
        (r#"panic(errors.New("two"))"#, true),
        ("sink += 100", false),
        ("sink += never(sink)", false),
    ] {
        let at = source.lines().position(|line| line.trim() == text);
        let at = u32::try_from(at.with_context(|| format!("no line {text}"))? + 1)?;
        ensure!(
            lines.covered.contains(&at) == expected && lines.uncovered.contains(&at) != expected,
            "{at}: {text}: should{} have run",
            if expected { "" } else { " not" }
        );
    }
    Ok(())
}

fn second_phase(covering: &mut Covering) -> Result<()> {
    let began = |line: &str| line == r#"{"type":"phase","phase":2}"#;
    let wait = covering.lines.wait_for("phase 2", patience(), began);
    wait.map(drop)
}

fn since_start() -> Result<()> {
    let (target, mut covering) = half(&["--reset", "--since-start"])?;
    covering.signal(Signal::USR1)?;
    second_phase(&mut covering)?;
    let report = rest(target, covering)?;
    ran(&report.functions, &[FIRST, SECOND, BOTH], &[NEVER])
}

fn watch() -> Result<()> {
    let (target, mut covering) = half(&["--watch"])?;
    let told =
        |name: &'static str| move |line: &str| line.contains("\"ran\"") && line.contains(name);
    covering.lines.wait_for(
        "the last of the first part",
        patience(),
        told("main.closures.func2"),
    )?;
    let report = rest(target, covering)?;
    let place = |name: &str| report.ran.iter().position(|ran| ran == name);
    ensure!(
        place("main.onlyFirst").is_some()
            && place("main.onlyFirst") < place("main.branches")
            && place("main.branches") < place("main.dense")
            && place("main.dense") < place("main.closures")
            && place("main.closures") < place("main.onlySecond"),
        "told in the order {:?}",
        report.ran
    );
    let told: BTreeSet<&str> = report.ran.iter().map(String::as_str).collect();
    ensure!(told == report.covered() && told.len() == report.ran.len());
    Ok(())
}

fn exit() -> Result<()> {
    let exe = Build::of("paths").executable()?;
    let (mut target, covering) = armed(&[])?;
    let all = text::changed_bytes(target.pid, &exe)?;
    target.go()?;
    target.wait_for("half")?;
    let deadline = Instant::now() + patience();
    while text::changed_bytes(target.pid, &exe)? >= all {
        ensure!(Instant::now() < deadline, "nothing that ran was taken out");
        thread::sleep(Duration::from_millis(20));
    }
    target.go()?;
    target.wait_for(r#""type":"done""#)?;
    target.release()?;
    let report = covering.finish()?;
    let ledger = &report.ledger;
    ensure!(
        ledger.end == "target_exit"
            && ledger.retirements > 0
            && ledger.sites_left < ledger.sites
            && ledger.probe_cost_ns.is_some_and(|cost| cost > 0),
        "{ledger:?}"
    );
    ran(&report.functions, &[FIRST, SECOND, BOTH], &[NEVER])
}

/// What ran before the target was killed is told.
fn death() -> Result<()> {
    let (mut target, covering) = half(&[])?;
    target.signal(Signal::KILL)?;
    target.exit()?;
    let report = covering.finish()?;
    ensure!(report.ledger.end == "target_exit", "{:?}", report.ledger);
    ran(&report.functions, &[FIRST, BOTH], &[SECOND, NEVER])
}

/// What ran before the process became another program is told, and that one goes on.
fn exec() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let mut target = Target::start(&exe, &["exec"])?;
    let covering = Covering::start(&["--pid", &target.pid.to_string(), "main.*"])?;
    target.go()?;
    target.wait_for("progress")?;
    target.go()?;
    let truth = target.truth()?;
    // goinstr sees by itself that its target is gone.
    let report = covering.finish()?;
    ensure!(report.ledger.end == "target_exit", "{:?}", report.ledger);
    let covered = report.covered();
    for (name, calls) in truth.functions.iter().filter(|(_, calls)| calls.calls > 0) {
        ensure!(covered.contains(name.as_str()), "{name} ran: {calls:?}");
    }
    ensure!(target.alive()?, "what the target became did not survive");
    Ok(())
}

/// Killed with all its probes in place, or with those that are left when `some_ran`, goinstr leaves
/// none of them.
fn killed(some_ran: bool) -> Result<()> {
    let exe = Build::of("paths").executable()?;
    let (mut target, covering) = armed(&["--lines"])?;
    if some_ran {
        target.go()?;
        target.wait_for("half")?;
    }
    let changed = text::changed_bytes(target.pid, &exe)?;
    ensure!(changed > 0, "nothing was armed");
    covering.signal(Signal::KILL)?;
    drop(covering);
    text::wait_until_original(target.pid, &exe)?;
    if !some_ran {
        target.go()?;
        target.wait_for("half")?;
    }
    target.go()?;
    target.wait_for(r#""type":"done""#)?;
    target.release()
}

/// In the table: each function that did not run, and none that did.
fn uncovered() -> Result<()> {
    let exe = Build::of("paths").executable()?;
    let mut target = Target::start(&exe, &[] as &[&str])?;
    let file = build::scratch().join("paths-uncovered.txt");
    let covering = Covering::into_file(&[
        "--pid",
        &target.pid.to_string(),
        "main.*",
        "--uncovered",
        "--output-file",
        &file.to_string_lossy(),
    ])?;
    target.go()?;
    target.wait_for("half")?;
    covering.interrupt_silently()?;
    target.release()?;
    let text = fs::read_to_string(&file)?;
    let listed: BTreeSet<&str> = text
        .lines()
        .flat_map(|line| line.split_whitespace())
        .filter(|word| word.starts_with("main."))
        .collect();
    for name in [SECOND, NEVER].concat() {
        ensure!(listed.contains(name), "{name} is missing: {text}");
    }
    for name in [FIRST, BOTH].concat() {
        ensure!(!listed.contains(name), "{name} ran: {text}");
    }
    Ok(())
}

/// Of a program with a plugin only the program is covered, and that is said.
fn plugin() -> Result<()> {
    let exe = Build::of("plugged").cgo().executable()?;
    let plugin = Build::in_folder(build::targets().join("plugged/extra")).plugin();
    let target = Target::start(&exe, &[&plugin.executable()?])?;
    let output = Command::new(goinstr())
        .args(["cover", "--duration", "200ms", "--pid"])
        .arg(target.pid.to_string())
        .output()?;
    target.release()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && errors.contains("is a plugin of the process"),
        "{errors}"
    );
    Ok(())
}
