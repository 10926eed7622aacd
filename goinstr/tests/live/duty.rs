//! `--duty`: durations for part of the time, and counts that are exact all the time.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    Test, oracle,
    support::{
        build::Build, measurement::Measurement, process::Target, report::Report, text, truth::Truth,
    },
    test,
};

/// Windows of some tens of milliseconds, so that a load of seconds meets many of them.
const DUTY: [&str; 4] = ["--duty", "40%", "--duty-period", "100ms"];

pub fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for target in ["grow", "freshg", "panics", "goexit", "threads", "nesting"] {
        tests.push(test(
            format!("duty::{target}_is_counted_exactly"),
            move || exact(&Build::of(target), |_| Ok(())).map(drop),
        ));
    }
    tests.push(test("duty::windows_come_and_go_while_calls_go_on", steady));
    tests.push(test("duty::durations_are_those_of_the_calls", durations));
    tests
}

/// Counts a whole load, and holds it against the target's own count.
fn exact(
    build: &Build,
    meanwhile: impl FnOnce(&mut Target) -> Result<()>,
) -> Result<(Report, Truth)> {
    let exe = build.executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let measurement = Measurement::start(target.pid, &[&DUTY[..], &["main.*"]].concat())?;
    target.go()?;
    meanwhile(&mut target)?;
    let truth = target.truth()?;
    let report = measurement.interrupt()?;
    text::wait_until_original(target.pid, &exe)?;
    target.release()?;
    ensure!(report.session["duty_percent"] == 40, "{}", report.session);
    for (name, own) in &truth.functions {
        if report.skipped.contains_key(name) {
            continue;
        }
        let calls = own.calls + own.in_flight;
        let seen: u64 = report
            .functions
            .iter()
            .filter(|function| function.function == *name)
            .map(|function| function.calls)
            .sum();
        ensure!(seen == calls, "{name}: counted {seen}, true {calls}");
    }
    for (reason, &calls) in &report.ledger.lost {
        ensure!(
            calls == 0 || ["not_timed", "window_end"].contains(&reason.as_str()),
            "{:?}",
            report.ledger
        );
    }
    Ok((report, truth))
}

/// A load without a pause: calls begin and end in windows, between them, and across their edges, and
/// panics pass through calls of either kind.
fn steady() -> Result<()> {
    // Whether a call is open at the end of a window is chance: a load that gets no CPU just then has none.
    let mut cut_off = 0;
    for _ in 0..5 {
        cut_off += steadily()?;
        if cut_off > 0 {
            return Ok(());
        }
    }
    bail!("no call was open at the end of any window");
}

/// How many calls were cut off by the end of a window.
fn steadily() -> Result<u64> {
    let (report, _) = exact(&Build::of("steady"), |target| {
        thread::sleep(Duration::from_secs(3));
        target.go()
    })?;
    let ledger = &report.ledger;
    ensure!(ledger.lost["not_timed"] > 0, "{ledger:?}");
    ensure!(ledger.returned > 0 && ledger.unwound > 0, "{ledger:?}");
    let work = report.function("main.work")?;
    let timed = work.timed.context("no number of calls that were timed")?;
    ensure!(0 < timed && timed < work.calls, "{work:?}");
    Ok(report.ledger.lost["window_end"])
}

/// The calls that are timed last as long as the target itself says of all: compared for those functions of
/// which most calls take the same time, because windows show what went on in them and not a share of each kind.
/// Where the machine does other things too, those are not the same at all times either.
fn durations() -> Result<()> {
    oracle::until_equal(1..=8, 4, || {
        let (report, truth) = exact(&oracle::injected()?, |_| Ok(()))?;
        let medians = oracle::quantiles(&report, &truth, |name, quantile| {
            ["main.block", "main.ask"].contains(&name) && quantile == "p50"
        })?;
        ensure!(medians.len() == 2, "only {medians:?}");
        Ok(medians)
    })
}
