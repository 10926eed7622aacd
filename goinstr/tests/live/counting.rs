//! `--count` and `--callers`: entries alone, and still exact.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};

use crate::{
    Test,
    support::{
        build::Build, counted::Counted, measurement::Measurement, process::Target, text,
        truth::Truth,
    },
    test,
};

pub fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for target in [
        "grow",
        "freshg",
        "panics",
        "goexit",
        "threads",
        "entryloop",
        "callers",
        "noreturn",
    ] {
        tests.push(test(format!("counting::{target}_is_exact"), move || {
            exact(Build::of(target), &["--count"]).map(drop)
        }));
    }
    tests.push(test("counting::armed_by_perf_events_is_exact", || {
        exact(
            Build::of("entryloop"),
            &["--count", "--attach-by", "perf_event"],
        )
        .map(drop)
    }));
    tests.push(test("counting::arms_nothing_but_entries", entries_alone));
    tests.push(test("counting::callers_are_exact", || {
        callers(Build::of("callers"))
    }));
    tests.push(test("counting::callers_in_a_pie_are_exact", || {
        callers(Build::of("callers").pie())
    }));
    tests.push(test(
        "counting::callers_in_a_stripped_binary_are_exact",
        || callers(Build::of("callers").stripped()),
    ));
    tests
}

/// Counts a whole load, and holds it against the target's own count.
fn exact(build: Build, options: &[&str]) -> Result<(Counted, Truth)> {
    let exe = build.executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let args = [options, &["main.*"]].concat();
    let measurement = Measurement::start(target.pid, &args)?;
    target.go()?;
    let truth = target.truth()?;
    let counted = measurement.interrupt_count()?;
    text::wait_until_original(target.pid, &exe)?;
    target.release()?;
    for (name, own) in &truth.functions {
        let calls = own.calls + own.in_flight;
        let seen = counted.calls.get(name).copied().unwrap_or(0);
        ensure!(seen == calls, "{name}: counted {seen}, true {calls}");
    }
    for (name, &calls) in &counted.calls {
        ensure!(
            calls == 0 || truth.functions.contains_key(name) || truth.uncounted.contains(name),
            "{name}: counted {calls}, never called"
        );
    }
    let lost = counted.ledger["lost"].as_object().context("no losses")?;
    ensure!(lost.values().all(|n| *n == 0), "{}", counted.ledger);
    Ok((counted, truth))
}

/// As many sites as functions: no return is armed, nor anything in the runtime.
fn entries_alone() -> Result<()> {
    let (counted, truth) = exact(Build::of("nesting"), &["--count"])?;
    ensure!(
        counted.session["sites"] == counted.session["functions"],
        "{}",
        counted.session
    );
    let entries: u64 = truth.functions.values().map(|own| own.calls).sum();
    ensure!(
        entries > 500 && counted.ledger["probe_hits"] == entries,
        "{entries} calls: {}",
        counted.ledger
    );
    Ok(())
}

/// Inlined, deferred and recursive callers, a goroutine's beginning and a loop to the first byte:
/// as the target counted them at the places that call.
fn callers(build: Build) -> Result<()> {
    let (counted, truth) = exact(build, &["--callers"])?;
    let mut own: BTreeMap<(String, String), u64> = BTreeMap::new();
    for line in truth.lines.iter().filter(|line| line["type"] == "caller") {
        let text = |field: &str| line[field].as_str().map(str::to_owned).context("no name");
        let calls = line["calls"].as_u64().context("no calls")?;
        own.insert((text("function")?, text("caller")?), calls);
    }
    ensure!(own.len() >= 9 && own.values().all(|&n| n > 0), "{own:?}");
    let mut seen = counted.callers;
    // The target can't count the calls of this one, which it names nowhere.
    seen.retain(|(function, _), _| function != "main.deferring");
    ensure!(seen == own, "callers {seen:?}\ntrue {own:?}");
    Ok(())
}
