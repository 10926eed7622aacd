//! Processes that end, multiply or become another one; and the ends of goinstr.

use std::fs;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::{
    Test,
    support::{build::Build, case::Measured, measurement::Measurement, process::Target, text},
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
    while fs::read_link(format!("/proc/{}/exe", target.pid))? == exe.canonicalize()? {
        std::thread::yield_now();
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
    let measurement = Measurement::start(target.pid, &["main.*", "--duration", "1s"])?;
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
