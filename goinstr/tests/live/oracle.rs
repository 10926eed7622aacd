//! The technique that goinstr replaces as the judge: `defer duration("pkg", "func")()` in each
//! function, put there by a rewriter of the same source.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Test,
    support::{
        build::{self, Build},
        measurement::Measurement,
        process::Target,
        report::Report,
        truth::Truth,
    },
    test,
};

/// Quantiles agree within 10 % for calls from this duration on.
const COMPARABLE_NS: u64 = 100_000;
/// What else the machine does is not the same for two processes. Each quantile must agree in one
/// of so many pairs of runs; the calls must be the same in all of them.
const ATTEMPTS: u32 = 20;

pub fn tests() -> Vec<Test> {
    vec![
        test("oracle::same_calls_and_quantiles_in_one_process", together),
        test(
            "oracle::same_calls_and_quantiles_without_the_injection",
            apart,
        )
        .alone(),
    ]
}

/// The same calls measured both ways at once: nothing to blame on scheduling.
fn together() -> Result<()> {
    let mut target = Target::start(&injected()?.executable()?, &[""; 0])?;
    let measurement = Measurement::start(target.pid, &["main.*"])?;
    target.go()?;
    let truth = target.truth()?;
    let report = measurement.interrupt()?;
    target.release()?;
    same_calls(&report, &truth)?;
    same_quantiles(&report, &truth, &mut BTreeSet::new())
}

/// The plain program, measured by goinstr, against its twin, which no one else measures.
fn apart() -> Result<()> {
    let plain = Build::of("oracle").executable()?;
    let injected = injected()?.executable()?;
    let mut agreed = BTreeSet::new();
    let mut last = Ok(());
    for _ in 0..ATTEMPTS {
        let mut twin = Target::start(&injected, &[""; 0])?;
        twin.go()?;
        let truth = twin.truth()?;
        twin.release()?;

        let mut target = Target::start(&plain, &[""; 0])?;
        let measurement = Measurement::start(target.pid, &["main.*"])?;
        target.go()?;
        target.truth()?;
        let report = measurement.interrupt()?;
        target.release()?;
        same_calls(&report, &truth)?;
        last = same_quantiles(&report, &truth, &mut agreed);
        if last.is_ok() {
            break;
        }
    }
    last
}

/// The twin: written once for all tests.
pub fn injected() -> Result<Build> {
    static WRITTEN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _written = WRITTEN.lock();
    let folder = build::scratch().join("oracle-injected");
    fs::create_dir_all(&folder)?;
    Build::of("oracle").run_command("./inject", &folder)?;
    Ok(Build::of("oracle").overlay(folder.join("overlay.json")))
}

fn durations(truth: &Truth) -> impl Iterator<Item = (&str, &serde_json::Value)> {
    truth
        .lines
        .iter()
        .filter(|line| line["type"] == "durations")
        .filter_map(|line| Some((line["function"].as_str()?, line)))
}

fn same_calls(report: &Report, truth: &Truth) -> Result<()> {
    ensure!(report.ledger.lost_in_all() == 0, "{:?}", report.ledger);
    let mut compared = 0;
    for (name, line) in durations(truth) {
        let function = report.function(name)?;
        ensure!(
            Some(function.calls) == line["calls"].as_u64() && function.unwound == 0,
            "{function:?} against {line}"
        );
        compared += 1;
    }
    ensure!(compared >= 8, "only {compared} functions told their calls");
    Ok(())
}

/// Compares the quantiles that have not agreed before, and adds to those that have.
fn same_quantiles(
    report: &Report,
    truth: &Truth,
    agreed: &mut BTreeSet<(String, &'static str)>,
) -> Result<()> {
    let mut differences = Vec::new();
    for (name, line) in durations(truth) {
        let function = report.function(name)?;
        for (what, measured, own) in [
            ("p50", function.p50_ns, &line["p50_ns"]),
            ("p99", function.p99_ns, &line["p99_ns"]),
        ] {
            let own = own.as_u64().context("the twin told no quantile")?;
            let measured = measured.with_context(|| format!("no {what} of {name}"))?;
            if own < COMPARABLE_NS {
                continue;
            }
            let quantile = (name.to_owned(), what);
            if measured.abs_diff(own) <= own / 10 {
                agreed.insert(quantile);
            } else if !agreed.contains(&quantile) {
                differences.push(format!(
                    "{what} of {name}: {measured} ns, by its own measure {own} ns"
                ));
            }
        }
    }
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    ensure!(agreed.len() >= 12, "only {agreed:?} are long enough");
    Ok(())
}
