//! `--states`: what calls did, held against a target whose functions are slow for known reasons.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    Test,
    support::{
        build::Build,
        case::Case,
        toolchain::{self, Toolchain},
    },
    test,
};

/// What part of the time that the target told may be added or missing, and how much of each call.
const TOLERANCE: f64 = 0.05;
const TOLERANCE_NS: f64 = 50_000.0;

/// Runs that a busy machine gets: what is woken late was made to wait by others.
const ATTEMPTS: u32 = 4;

pub fn tests() -> Vec<Test> {
    let versions = toolchain::all().iter();
    let mut tests: Vec<Test> = versions
        .map(|toolchain| {
            test(format!("states::as_told_{}", toolchain.version), || {
                as_told(&Build::of("states").with(toolchain))
            })
        })
        .collect();
    // runtime/metrics tells of assists since Go 1.20.
    let tells = |toolchain: &&Toolchain| !toolchain.version.starts_with("1.19.");
    for toolchain in toolchain::all().iter().filter(tells) {
        let name = format!("states::gc_assists_{}", toolchain.version);
        tests.push(test(name, || {
            attempts(|| gc_assists(&Build::of("assists").with(toolchain)))
        }));
    }
    tests.push(test("states::of_single_calls", single_calls));
    tests.push(test("states::without_symbols", || {
        as_told(&Build::of("states").stripped())
    }));
    tests
}

const SLOW: [&str; 13] = [
    "main.computes",
    "main.sleeps",
    "main.locks",
    "main.readLocks",
    "main.receives",
    "main.sends",
    "main.selects",
    "main.waitsForGroup",
    "main.waitsForCond",
    "main.readsNetwork",
    "main.blocksInKernel",
    "main.syncsToDisk",
    "main.starves",
];

fn as_told(build: &Build) -> Result<()> {
    attempts(|| once(build))
}

fn attempts(once: impl Fn() -> Result<()>) -> Result<()> {
    let mut last = Ok(());
    for _ in 0..ATTEMPTS {
        last = once();
        if last.is_ok() {
            break;
        }
    }
    last
}

/// What a goroutine that allocates has to do for the collector, held against the runtime's own account of it.
fn gc_assists(build: &Build) -> Result<()> {
    let measured = Case::of(build.clone())
        .patterns(&["main.allocates"])
        .options(&["--states"])
        .exact()?;
    let function = measured.report.function("main.allocates")?;
    let states = function.states.as_ref().context("no states")?;
    adds_up(states, function.total_ns)?;
    let lines = &measured.truth.lines;
    let line = lines.iter().find(|line| line["type"] == "assists");
    let line = line.context("the target told nothing")?;
    let helped = states["waiting"]["GC assist marking"].as_f64();
    let helped = helped.with_context(|| format!("no assists: {states}, told: {line}"))?;
    let told = line["assisted_ns"].as_f64();
    let told = told.context("the runtime didn't tell")?;
    let slack = TOLERANCE_NS * line["calls"].as_f64().context("no calls")?;
    // While it helps it may lose its CPU, which the runtime's clock doesn't know.
    let runnable = states["runnable_ns"].as_f64().context("no time")?;
    let least = told * (1.0 - TOLERANCE) - slack;
    let most = told * (1.0 + TOLERANCE) + slack;
    ensure!(
        helped + runnable >= least && helped <= most,
        "{helped} ns of assists, told: {line}; all: {states}"
    );
    Ok(())
}

fn once(build: &Build) -> Result<()> {
    let measured = Case::of(build.clone())
        .patterns(&SLOW)
        .options(&["--states"])
        .exact()?;
    let mut told = 0;
    for line in measured
        .truth
        .lines
        .iter()
        .filter(|line| line["type"] == "state")
    {
        told += 1;
        let name = line["function"].as_str().context("no name")?;
        let number = |field: &str| line[field].as_f64().context("no number");
        let function = measured.report.function(name)?;
        let states = function
            .states
            .as_ref()
            .with_context(|| format!("{name} has no states"))?;
        adds_up(states, function.total_ns)?;
        let state = line["state"].as_str().context("no state")?;
        let of_state = states[format!("{state}_ns")].as_f64().context("no time")?;
        let reason = line["reason"].as_str().unwrap_or_default();
        let seen = match reason {
            "" => of_state,
            reason => states["waiting"][reason].as_f64().unwrap_or(0.0),
        };
        let calls = number("calls")?;
        let least = number("part_ns")? * (1.0 - TOLERANCE) - TOLERANCE_NS * calls;
        // What the target could not tell apart: it may be woken late.
        let most = match state {
            "running" => number("part_ns")?,
            _ => number("took_ns")?,
        } * (1.0 + TOLERANCE)
            + TOLERANCE_NS * calls;
        ensure!(
            (least..=most).contains(&seen),
            "{name}: {seen} ns {state} {reason}, told: {line}; all: {states}"
        );
    }
    ensure!(told == SLOW.len(), "the target told of {told} functions");
    Ok(())
}

/// The four states are the duration, to the nanosecond, and the reasons are the waiting.
fn adds_up(states: &Value, duration_ns: u64) -> Result<()> {
    let part = |field: &str| states[field].as_u64().with_context(|| format!("{states}"));
    let sum =
        part("running_ns")? + part("runnable_ns")? + part("waiting_ns")? + part("syscall_ns")?;
    ensure!(sum == duration_ns, "{sum} ns of {duration_ns} ns: {states}");
    let reasons = states["waiting"].as_object().context("no reasons")?;
    let waited: u64 = reasons.values().filter_map(Value::as_u64).sum();
    ensure!(waited == part("waiting_ns")?, "{states}");
    Ok(())
}

/// Each call has its own states, and they make up its function's.
fn single_calls() -> Result<()> {
    let measured = Case::of(Build::of("states"))
        .patterns(&SLOW)
        .options(&["--states", "--slower-than", "1us"])
        .exact()?;
    // Each wait is a change of state, and its end another.
    let ledger = &measured.report.ledger;
    let lines = measured.truth.lines.iter();
    let waits = lines.filter(|line| line["state"] == "waiting");
    let changes: u64 = waits.filter_map(|line| line["calls"].as_u64()).sum::<u64>() * 2;
    ensure!(
        changes > 0 && ledger.probe_hits >= ledger.entries + ledger.returned + changes,
        "{changes} changes of state: {ledger:?}"
    );
    for function in &measured.report.functions {
        let mut waited = 0;
        let calls = measured.report.calls.iter();
        for call in calls.filter(|call| call.function == function.function) {
            let states = call.states.as_ref().with_context(|| format!("{call:?}"))?;
            adds_up(states, call.duration_ns)?;
            waited += states["waiting_ns"].as_u64().unwrap_or(0);
        }
        let states = function.states.as_ref().context("no states")?;
        ensure!(
            states["waiting_ns"].as_u64() == Some(waited),
            "{function:?}"
        );
    }
    Ok(())
}
