//! The same counts whoever makes the statistics and however the sites are armed; and single calls.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::{
    Test,
    support::{build::Build, case::Case, truth::shape_free},
    test,
};

pub fn tests() -> Vec<Test> {
    let mut tests = vec![
        test("modes::each_single_call_has_its_outcome", single_calls),
        test("modes::each_single_call_has_its_parent", || parents(&[])),
        test("modes::and_with_all_that_can_be_asked_for", || {
            parents(&["--states", "--stack", "--args"])
        }),
    ];
    for target in ["grow", "panics", "goexit", "threads"] {
        tests.push(test(
            format!("modes::{target}_aggregated_from_the_ring"),
            move || {
                let case = Case::of(Build::of(target)).options(&["--aggregate", "ring"]);
                case.exact().map(drop)
            },
        ));
    }
    // Closing a perf event takes the kernel some hundredths of a second: few sites.
    tests.push(test("modes::grow_armed_by_perf_events", || {
        let case = Case::of(Build::of("grow")).options(&["--attach-by", "perf_event"]);
        let measured = case.exact()?;
        ensure!(
            measured.report.session["attach"] == "perf_event",
            "armed otherwise"
        );
        Ok(())
    }));
    tests.push(test("modes::panics_armed_by_perf_events", || {
        let case = Case::of(Build::of("panics")).options(&["--attach-by", "perf_event"]);
        case.exact().map(drop)
    }));
    tests
}

/// `--slower-than` nothing at all: one line a call, adding up to the functions' figures. Raw, since
/// a call's duration less what the probes cost may be nothing.
fn single_calls() -> Result<()> {
    let case = Case::of(Build::of("goexit")).options(&["--slower-than", "1ns", "--raw"]);
    let measured = case.exact()?;
    ensure!(
        measured.report.ledger.dropped_records == Some(0),
        "{:?}",
        measured.report.ledger
    );
    let mut lines: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for call in &measured.report.calls {
        ensure!(call.goid > 0 && call.start_unix_ns > 0, "{call:?}");
        let (calls, unwound) = lines.entry(shape_free(&call.function)).or_default();
        *calls += 1;
        match call.outcome.as_str() {
            "returned" => {}
            "unwound" => *unwound += 1,
            _ => anyhow::bail!("{call:?}"),
        }
    }
    for (name, counts) in &measured.truth.functions {
        let seen = lines.get(name).copied().unwrap_or_default();
        ensure!(
            seen == (counts.calls, counts.unwound),
            "{name}: {seen:?} calls and unwound ones among the lines, true {counts:?}"
        );
    }
    for function in &measured.report.functions {
        let of = measured
            .report
            .calls
            .iter()
            .filter(|call| call.function == function.function);
        let total: u64 = of.map(|call| call.duration_ns).sum();
        ensure!(
            total == function.total_ns,
            "the lines add up to {total}: {function:?}"
        );
    }
    Ok(())
}

/// Each single call with all that was measured around it, innermost first.
fn parents(options: &[&'static str]) -> Result<()> {
    let options = [&["--slower-than", "1ns"], options].concat();
    let measured = Case::of(Build::of("nesting")).options(&options).exact()?;
    let mut seen: BTreeMap<(&str, Option<&str>, Vec<&str>), u64> = BTreeMap::new();
    for call in &measured.report.calls {
        let callers = call.callers.iter().map(String::as_str).collect();
        *seen
            .entry((&call.function, call.parent.as_deref(), callers))
            .or_default() += 1;
    }
    let [root, top, left, right] = ["main.main.func1", "main.top", "main.left", "main.right"];
    let expected = [
        (root, vec![], 1),
        (top, vec![root], 100),
        (left, vec![top, root], 100),
        (right, vec![top, root], 100),
        ("main.leaf", vec![left, top, root], 100),
        ("main.leaf", vec![right, top, root], 300),
    ];
    let expected = expected
        .map(|(function, callers, calls)| ((function, callers.first().copied(), callers), calls));
    ensure!(
        seen == BTreeMap::from(expected),
        "with their callers: {seen:?}"
    );
    Ok(())
}
