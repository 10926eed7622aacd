//! Processes that end, multiply or become another one; and the ends of goinstr.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::{
    Test,
    support::{
        build::Build,
        case::Measured,
        measurement::Measurement,
        process::{Target, patience},
        text,
    },
    test,
};

pub fn tests() -> Vec<Test> {
    vec![
        test("lifetime::target_exits_with_calls_open", exit),
        test("lifetime::target_is_killed", killed),
        test("lifetime::target_becomes_another_program", exec),
        test("lifetime::children_of_the_target_are_not_counted", || {
            steady(&["fork"], Signal::INT)
        }),
        test(
            "lifetime::another_process_of_the_same_file_is_not_counted",
            two,
        ),
        test("lifetime::goinstr_ends_by_ctrl_c", || {
            steady(&[], Signal::INT)
        }),
        test("lifetime::goinstr_ends_by_sigterm", || {
            steady(&[], Signal::TERM)
        }),
        test("lifetime::goinstr_ends_by_duration_under_load", duration),
        test(
            "lifetime::goinstr_is_killed_and_the_target_goes_on",
            goinstr_killed,
        ),
        test(
            "lifetime::attaching_under_load_leaves_nothing_open",
            attach_under_load,
        ),
        test(
            "lifetime::two_goinstrs_on_one_process_are_both_exact",
            two_at_once,
        ),
        test(
            "lifetime::target_that_ends_normally_ends_goinstr",
            natural_end,
        ),
    ]
}

/// A load from attaching to its own end; `signal` ends goinstr.
fn steady(args: &[&str], signal: Signal) -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let mut target = Target::start(&exe, args)?;
    let measurement = Measurement::start(target.pid, &["main.*"])?;
    target.go()?;
    target.wait_for("progress")?;
    target.go()?;
    let truth = target.truth()?;
    measurement.signal(signal)?;
    let report = measurement.finish()?;
    ensure!(
        report.ledger.end == "signal",
        "ended by {}",
        report.ledger.end
    );
    text::wait_until_original(target.pid, &exe)?;
    target.release()?;
    Measured { report, truth }.agree(&[])
}

fn exit() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let mut target = Target::start(&exe, &["exit"])?;
    let measurement = Measurement::start(target.pid, &["main.*"])?;
    target.go()?;
    target.wait_for("progress")?;
    target.go()?;
    let truth = target.truth()?;
    target.exit()?;
    let report = measurement.finish()?;
    ensure!(
        report.ledger.end == "target_exit",
        "ended by {}",
        report.ledger.end
    );
    Measured { report, truth }.agree(&[])
}

fn killed() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let no_args: [&str; 0] = [];
    let mut target = Target::start(&exe, &no_args)?;
    let measurement = Measurement::start(target.pid, &["main.*"])?;
    target.go()?;
    let progress = target.wait_for("progress")?;
    let at_least = serde_json::from_str::<serde_json::Value>(&progress)?["calls"].as_u64();
    target.signal(Signal::KILL)?;
    target.exit()?;
    let report = measurement.finish()?;
    ensure!(
        report.ledger.end == "target_exit",
        "ended by {}",
        report.ledger.end
    );
    let calls = report.function("main.work")?.calls;
    ensure!(
        Some(calls) >= at_least,
        "{calls} calls, the target had made {at_least:?}"
    );
    // Killed between two hits, each thread had at most load, outer and one more open.
    ensure!(report.ledger.in_flight <= 8, "{:?}", report.ledger);
    Ok(())
}

fn exec() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let mut target = Target::start(&exe, &["exec"])?;
    let measurement = Measurement::start(target.pid, &["main.*"])?;
    target.go()?;
    target.wait_for("progress")?;
    target.go()?;
    let truth = target.truth()?;
    // While the kernel exchanges the programs, there is no link at all.
    let own = exe.canonicalize()?;
    let link = format!("/proc/{}/exe", target.pid);
    let deadline = Instant::now() + patience();
    while fs::read_link(&link).map_or(true, |now| now == own) {
        ensure!(Instant::now() < deadline, "waited in vain for exec");
        thread::sleep(Duration::from_millis(1));
    }
    // goinstr may see by itself that its target is gone, or be told to end.
    let _ = measurement.signal(Signal::INT);
    let report = measurement.finish()?;
    Measured { report, truth }.agree(&[])?;
    ensure!(target.alive()?, "what the target became did not survive");
    Ok(())
}

/// Two processes run the same file and the same load; one is measured.
fn two() -> Result<()> {
    let exe = Build::of("panics").executable()?;
    let no_args: [&str; 0] = [];
    let mut other = Target::start(&exe, &no_args)?;
    let mut target = Target::start(&exe, &no_args)?;
    let measurement = Measurement::start(target.pid, &["main.*"])?;
    other.go()?;
    target.go()?;
    let truth = target.truth()?;
    other.truth()?;
    let report = measurement.interrupt()?;
    text::wait_until_original(target.pid, &exe)?;
    text::wait_until_original(other.pid, &exe)?;
    target.release()?;
    other.release()?;
    Measured { report, truth }.agree(&[])
}

/// Detaching in the middle of a load: whatever was cut off, the books balance and the target's own
/// counts can't be exceeded.
fn duration() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let no_args: [&str; 0] = [];
    let mut target = Target::start(&exe, &no_args)?;
    // Long enough for both goroutines to begin and work where others want the CPUs, too.
    let measurement = Measurement::start(target.pid, &["main.*", "--duration", "5s"])?;
    target.go()?;
    target.wait_for("progress")?;
    let report = measurement.finish()?;
    ensure!(
        report.ledger.end == "duration",
        "ended by {}",
        report.ledger.end
    );
    ensure!(report.ledger.lost_in_all() == 0, "{:?}", report.ledger);
    text::wait_until_original(target.pid, &exe)?;
    target.go()?;
    let truth = target.truth()?;
    target.release()?;
    for (name, counted) in report.counts() {
        let Some(own) = truth.functions.get(&name) else {
            continue;
        };
        ensure!(
            counted.calls <= own.calls && counted.unwound <= own.unwound,
            "{name}: counted {counted:?}, true {own:?}"
        );
    }
    let work = report.function("main.work")?;
    ensure!(work.calls > 100 && work.unwound == 0, "{work:?}");
    // The two goroutines' closures and loads never ended while measured.
    for name in ["main.main.func1", "main.load"] {
        let function = report.function(name)?;
        ensure!(
            function.calls == 0 && function.in_flight == 2,
            "{function:?}"
        );
    }
    ensure!(
        (4..=10).contains(&report.ledger.in_flight),
        "{:?}",
        report.ledger
    );
    Ok(())
}

fn goinstr_killed() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let no_args: [&str; 0] = [];
    let mut target = Target::start(&exe, &no_args)?;
    let measurement = Measurement::start(target.pid, &["main.*"])?;
    ensure!(
        text::changed_bytes(target.pid, &exe)? > 0,
        "nothing is attached, so the test proves nothing"
    );
    target.go()?;
    target.wait_for("progress")?;
    measurement.kill()?;
    text::wait_until_original(target.pid, &exe)?;
    ensure!(target.alive()?, "the target did not survive");
    target.go()?;
    target.truth()?;
    target.release()
}

/// The target returns from main: goinstr ends by itself, with all counts.
fn natural_end() -> Result<()> {
    let exe = Build::of("grow").executable()?;
    let no_args: [&str; 0] = [];
    let mut target = Target::start(&exe, &no_args)?;
    let measurement = Measurement::start(target.pid, &["main.*"])?;
    target.go()?;
    let truth = target.truth()?;
    target.release()?;
    let report = measurement.finish()?;
    ensure!(
        report.ledger.end == "target_exit",
        "ended by {}",
        report.ledger.end
    );
    // main.main was open before, returned, and is no call of ours.
    ensure!(report.ledger.orphan_returns == 1, "{:?}", report.ledger);
    Measured { report, truth }.agree(&[])
}

/// Probes come and go while the load runs. What was open before is an orphan, nothing that began
/// later stays open, and the target's text is its own again each time.
fn attach_under_load() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    target.go()?;
    target.wait_for("progress")?;
    let args = ["main.*", "--interval", "100ms"];
    for _ in 0..3 {
        let mut measurement = Measurement::start(target.pid, &args)?;
        measurement.wait_for_calls("main.work", 100)?;
        let report = measurement.interrupt()?;
        ensure!(report.ledger.lost_in_all() == 0, "{:?}", report.ledger);
        text::wait_until_original(target.pid, &exe)?;
    }
    let mut measurement = Measurement::start(target.pid, &args)?;
    measurement.wait_for_calls("main.work", 100)?;
    target.go()?;
    let truth = target.truth()?;
    let report = measurement.interrupt()?;
    target.release()?;
    let ledger = &report.ledger;
    ensure!(
        ledger.in_flight == 0 && ledger.lost_in_all() == 0,
        "{ledger:?}"
    );
    // load and main.func1 of two goroutines, and what was open inside them.
    ensure!((4..=10).contains(&ledger.orphan_returns), "{ledger:?}");
    let counts = report.counts();
    let outer = counts["main.outer"].calls;
    for (name, counted) in &counts {
        let own = truth.functions.get(name).copied().unwrap_or_default();
        ensure!(
            counted.calls <= own.calls && counted.unwound <= own.unwound,
            "{name}: counted {counted:?}, true {own:?}"
        );
    }
    // Each outer has one of each; at most the open ones of two goroutines differ.
    for name in ["main.work", "main.fail", "main.ignore"] {
        let calls = counts[name].calls;
        ensure!(
            calls.abs_diff(outer) <= 2,
            "{calls} of {name} in {outer} of main.outer"
        );
    }
    Ok(())
}

fn two_at_once() -> Result<()> {
    let exe = Build::of("panics").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let first = Measurement::start(target.pid, &["main.*"])?;
    let second = Measurement::start(target.pid, &["main.*"])?;
    target.go()?;
    let truth = target.truth()?;
    let reports = [first.interrupt()?, second.interrupt()?];
    text::wait_until_original(target.pid, &exe)?;
    target.release()?;
    let mut measured = Measured {
        report: reports[0].clone(),
        truth,
    };
    measured.agree(&[])?;
    measured.report = reports[1].clone();
    measured.agree(&[])
}
