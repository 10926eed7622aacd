//! The budget: what would break it is left out before arming or shed while it is measured, and the
//! counts of all others stay exact.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use crate::{
    Test,
    support::{
        build::Build,
        case::Measured,
        measurement::{self, Measurement},
        process::Target,
        report::Report,
        text,
        truth::Truth,
    },
    test,
};

/// The functions of `spurt` that become loud, one after the other.
pub const HOT: [&str; 5] = [
    "main.hot1",
    "main.hot2",
    "main.hot3",
    "main.hot4",
    "main.hot5",
];
/// Those whose calls the target counts and that stay moderate.
pub const OTHERS: [&str; 6] = [
    "main.main.func1",
    "main.load",
    "main.outer",
    "main.mild",
    "main.inner",
    "main.fail",
];

pub fn tests() -> Vec<Test> {
    vec![
        test(
            "budget::a_function_that_becomes_loud_is_shed_and_the_others_stay_exact",
            || spurt(&[]),
        ),
        test(
            "budget::shedding_among_hundreds_of_functions_that_nobody_calls",
            among_hundreds,
        ),
        test("budget::shedding_where_the_ring_carries_all_calls", || {
            spurt(&["--aggregate", "ring", "--ring-size", "65536"])
        }),
        test("budget::shedding_with_states_stacks_and_values", || {
            spurt(&["--states", "--stack", "--args", "--slower-than", "10ms"])
        }),
        test("budget::shedding_where_sites_are_perf_events", perf_events),
        test(
            "budget::a_loud_function_is_left_out_before_arming",
            preflight,
        ),
        test(
            "budget::a_loud_function_is_left_out_of_a_count",
            preflight_of_a_count,
        ),
        test("budget::nothing_left_within_the_budget_is_code_3", nothing),
        test("budget::without_guard_nothing_is_shed", unguarded),
        test("budget::a_stopped_goinstr_loses_its_probes", stopped),
    ]
}

pub fn patterns() -> Vec<&'static str> {
    let mut patterns = HOT.to_vec();
    patterns.extend(OTHERS);
    patterns
}

fn goinstr() -> Command {
    Command::new(measurement::goinstr())
}

fn guarded(target: &Target, options: &[&str], patterns: &[&str]) -> Result<Measurement> {
    let mut args = vec!["--max-overhead", "10"];
    args.extend(options);
    args.extend(patterns);
    Measurement::start_by(goinstr(), target.pid, &args)
}

/// Each hot function in turn: shed, while the others' calls go on around and inside of its.
fn spurt(options: &[&str]) -> Result<()> {
    spurt_among(options, &patterns())
}

/// Armed in several parts, most of which have to stay as they are.
fn among_hundreds() -> Result<()> {
    let mut all = vec!["*", "!main.*", "!runtime.*", "!time.*"];
    all.extend(patterns());
    spurt_among(&[], &all)
}

fn spurt_among(options: &[&str], patterns: &[&str]) -> Result<()> {
    let exe = Build::of("spurt").executable()?;
    let target = Target::start(&exe, &[""; 0])?;
    let measurement = guarded(&target, options, patterns)?;
    let (truth, report) = loud_in_turn(&exe, target, measurement)?;
    for name in HOT {
        is_shed(&report, &truth, name)?;
    }
    let shed = report.ledger.lost["shed"];
    ensure!(shed == report.ledger.lost_in_all(), "{:?}", report.ledger);
    others_are_exact(report, truth)
}

/// Lets each hot function become loud, waits until it is shed, and ends it all; what `spurt` counted, and goinstr.
pub fn loud_in_turn(
    exe: &Path,
    mut target: Target,
    mut measurement: Measurement,
) -> Result<(Truth, Report)> {
    target.go()?;
    for name in HOT {
        target.go()?;
        shed(&mut measurement, name)?;
    }
    go_on();
    target.go()?;
    let truth = target.truth()?;
    let report = measurement.interrupt()?;
    text::wait_until_original(target.pid, exe)?;
    target.release()?;
    Ok((truth, report))
}

/// Lets the target make calls of what was shed, some tens of thousands where it is not held up.
pub fn go_on() {
    std::thread::sleep(Duration::from_secs(1));
}

/// Waits until a function is shed.
pub fn shed(measurement: &mut Measurement, name: &str) -> Result<()> {
    let line = measurement.wait_for(r#""reason":"over_budget""#)?;
    let record: serde_json::Value = serde_json::from_str(&line)?;
    ensure!(record["function"] == name, "waited for {name}: {line}");
    ensure!(
        record["calls_per_second"].as_u64() > Some(0) && record["shed_at_unix_ns"].is_u64(),
        "{line}"
    );
    Ok(())
}

/// Its figures are of a part of its calls, and marked so.
pub fn is_shed(report: &Report, truth: &Truth, name: &str) -> Result<()> {
    ensure!(
        report.skipped.get(name).map(String::as_str) == Some("over_budget"),
        "{name} is not told as skipped"
    );
    let function = report.function(name)?;
    let calls = truth.functions.get(name).context("no truth")?.calls;
    ensure!(
        function.shed_at_unix_ns.is_some() && function.calls > 0 && function.calls < calls,
        "of {calls} calls: {function:?}"
    );
    ensure!(function.in_flight == 0, "{function:?}");
    Ok(())
}

fn others_are_exact(report: Report, mut truth: Truth) -> Result<()> {
    let mut measured = Measured {
        report,
        truth: Truth::default(),
    };
    truth
        .functions
        .retain(|name, _| !HOT.contains(&name.as_str()));
    // What is armed beside them is called by what is counted, or by nobody: that is not known.
    measured
        .report
        .functions
        .retain(|function| OTHERS.contains(&function.function.as_str()));
    ensure!(truth.functions.len() == OTHERS.len(), "{truth:?}");
    measured.truth = truth;
    measured.agree(&[])
}

/// The same with a link of its own for each site: few functions, because each takes long to go.
fn perf_events() -> Result<()> {
    let exe = Build::of("spurt").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let patterns = ["main.hot1", "main.outer", "main.inner"];
    let mut measurement = guarded(&target, &["--attach-by", "perf_event"], &patterns)?;
    target.go()?;
    target.go()?;
    shed(&mut measurement, "main.hot1")?;
    go_on();
    for _ in 0..5 {
        target.go()?;
    }
    let truth = target.truth()?;
    let report = measurement.interrupt()?;
    text::wait_until_original(target.pid, &exe)?;
    target.release()?;
    is_shed(&report, &truth, "main.hot1")?;
    for name in ["main.outer", "main.inner"] {
        let (function, counts) = (report.function(name)?, truth.functions[name]);
        ensure!(
            (function.calls, function.unwound) == (counts.calls, counts.unwound),
            "{counts:?} {function:?}"
        );
    }
    Ok(())
}

/// What is loud already is not armed at all.
fn preflight() -> Result<()> {
    let exe = Build::of("spurt").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    target.go()?;
    target.go()?;
    let measurement = guarded(&target, &[], &["main.hot1", "main.hot5"])?;
    for _ in 0..5 {
        target.go()?;
    }
    target.truth()?;
    let report = measurement.interrupt()?;
    target.release()?;
    ensure!(
        report.skipped.get("main.hot1").map(String::as_str) == Some("over_budget"),
        "{:?}",
        report.skipped
    );
    ensure!(report.function("main.hot1").is_err(), "it was measured");
    ensure!(report.session["functions"] == 1, "{:?}", report.session);
    Ok(())
}

/// A count arms no returns, and looks first all the same.
fn preflight_of_a_count() -> Result<()> {
    let exe = Build::of("spurt").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    target.go()?;
    target.go()?;
    // What is a tenth of a CPU with returns is a fraction of that by entries alone.
    let args = ["--max-overhead", "0.2", "--interval", "100ms"];
    let args = [&args[..], &["--count", "main.hot1", "main.hot5"]].concat();
    let mut measurement = Measurement::start_by(goinstr(), target.pid, &args)?;
    measurement.wait_for_calls("main.hot5", 1)?;
    for _ in 0..5 {
        target.go()?;
    }
    let truth = target.truth()?;
    let counted = measurement.interrupt_count()?;
    target.release()?;
    ensure!(counted.session["functions"] == 1, "{}", counted.session);
    let calls = truth.functions.get("main.hot5").context("no truth")?.calls;
    // It was called before the count began, too.
    let seen = counted.calls.get("main.hot5").copied().unwrap_or(0);
    ensure!(
        0 < seen && seen <= calls && !counted.calls.contains_key("main.hot1"),
        "true {calls}: {:?}",
        counted.calls
    );
    Ok(())
}

fn nothing() -> Result<()> {
    let exe = Build::of("spurt").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    target.go()?;
    target.go()?;
    let output = goinstr()
        .args(["attach", "--max-overhead", "1", "main.hot1", "--pid"])
        .arg(target.pid.to_string())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(3), "{}: {said}", output.status);
    ensure!(
        said.lines().count() == 1 && said.contains("main.hot1") && said.contains("calls/s"),
        "{said}"
    );
    Ok(())
}

fn unguarded() -> Result<()> {
    let exe = Build::of("spurt").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let measurement = Measurement::start(target.pid, &patterns())?;
    target.go()?;
    target.go()?;
    std::thread::sleep(Duration::from_secs(2));
    for _ in 0..5 {
        target.go()?;
    }
    let truth = target.truth()?;
    let report = measurement.interrupt()?;
    target.release()?;
    Measured { report, truth }.agree(&[])
}

/// The dead man's switch: nobody looks after the probes any more, so they go.
fn stopped() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let args = ["--max-overhead", "100", "main.outer"];
    let measurement = Measurement::start_by(goinstr(), target.pid, &args)?;
    target.go()?;
    target.wait_for("progress")?;
    ensure!(
        text::changed_bytes(target.pid, &exe)? > 0,
        "there are no probes"
    );
    measurement.signal(Signal::STOP)?;
    text::wait_until_original(target.pid, &exe)?;
    let said = measurement.wait_for_death()?;
    ensure!(said.contains("it stopped answering"), "{said}");
    target.go()?;
    target.truth()?;
    target.release()
}
