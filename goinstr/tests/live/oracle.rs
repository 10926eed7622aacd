//! The technique that goinstr replaces as the judge: `defer duration("pkg", "func")()` in each
//! function, put there by a rewriter of the same source.

use std::{collections::BTreeMap, fs, ops::RangeInclusive};

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
/// Quantiles that are.
const LONG: usize = 12;
/// Runs of the program and its twin in turn: at least so many pairs, and as many as it takes for the
/// medians of their quantiles to settle where the machine does other things too.
const PAIRS: RangeInclusive<usize> = 3..=20;

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
    for ((name, what), measured, own) in long(&report, &truth)? {
        ensure!(
            measured.abs_diff(own) <= own / 10,
            "{what} of {name}: {measured} ns, by its own measure {own} ns"
        );
    }
    Ok(())
}

/// The plain program, measured by goinstr, against its twin, which no one else measures.
fn apart() -> Result<()> {
    let plain = Build::of("oracle").executable()?;
    let injected = injected()?.executable()?;
    until_equal(PAIRS, 10, || {
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
        long(&report, &truth)
    })
}

/// Runs it until the medians of each quantile over all runs are the same, but for one `part`th. What
/// else the machine does is not the same for two runs: where the program differs from itself by as much
/// from run to run, no more can be known, and that is said.
pub fn until_equal(
    runs: RangeInclusive<usize>,
    part: u64,
    mut once: impl FnMut() -> Result<Vec<Compared>>,
) -> Result<()> {
    let mut all: BTreeMap<Quantile, (Vec<u64>, Vec<u64>)> = BTreeMap::new();
    for run in 1..=*runs.end() {
        for (quantile, seen, told) in once()? {
            let (measured, own) = all.entry(quantile).or_default();
            measured.push(seen);
            own.push(told);
        }
        if run < *runs.start() {
            continue;
        }
        let differences: Vec<String> = all
            .iter()
            .filter_map(|(quantile, (measured, own))| difference(quantile, measured, own, part))
            .collect();
        if differences.is_empty() {
            let unsettled = all.iter().filter(|(_, (_, own))| !is_settled(own, part));
            for ((name, what), (_, own)) in unsettled {
                eprintln!(
                    "not compared, because this machine is busy: {what} of {name}, {own:?} ns"
                );
            }
            return Ok(());
        }
        ensure!(run < *runs.end(), "{}", differences.join("\n"));
    }
    Ok(())
}

/// The value with so many hundredths of all values below it.
fn hundredths(values: &[u64], n: usize) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(values.len() * n / 100).copied().unwrap_or(0)
}

/// Whether what lies between the quarters of what the program told is no more than one `part`th.
fn is_settled(own: &[u64], part: u64) -> bool {
    hundredths(own, 75) - hundredths(own, 25) <= hundredths(own, 50) / part
}

/// In what the medians differ by more than one `part`th, if what the program told does not.
fn difference((name, what): &Quantile, measured: &[u64], own: &[u64], part: u64) -> Option<String> {
    let told = hundredths(own, 50);
    let difference = hundredths(measured, 50).abs_diff(told);
    (is_settled(own, part) && difference > told / part)
        .then(|| format!("{what} of {name}: {measured:?} ns, by its own measure {own:?} ns"))
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

/// Function and quantile.
type Quantile = (String, &'static str);

/// What was measured, and what the program itself told.
type Compared = (Quantile, u64, u64);

/// Those of all functions that are long enough to be compared.
fn long(report: &Report, truth: &Truth) -> Result<Vec<Compared>> {
    let long = quantiles(report, truth, |_, _| true)?;
    ensure!(long.len() >= LONG, "only {long:?} are long enough");
    Ok(long)
}

/// Of the wanted functions and quantiles those that are long enough to be compared.
pub fn quantiles(
    report: &Report,
    truth: &Truth,
    wanted: impl Fn(&str, &str) -> bool,
) -> Result<Vec<Compared>> {
    let mut all = Vec::new();
    for (name, line) in durations(truth) {
        let function = report.function(name)?;
        for (what, measured, own) in [
            ("p50", function.p50_ns, &line["p50_ns"]),
            ("p99", function.p99_ns, &line["p99_ns"]),
        ] {
            if !wanted(name, what) {
                continue;
            }
            let own = own.as_u64().context("the twin told no quantile")?;
            let measured = measured.with_context(|| format!("no {what} of {name}"))?;
            if own >= COMPARABLE_NS {
                all.push(((name.to_owned(), what), measured, own));
            }
        }
    }
    Ok(all)
}
