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
        test("modes::each_single_call_has_its_parent", parents),
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

fn parents() -> Result<()> {
    let measured = Case::of(Build::of("nesting"))
        .options(&["--slower-than", "1ns"])
        .exact()?;
    let mut pairs: BTreeMap<(&str, Option<&str>), u64> = BTreeMap::new();
    for call in &measured.report.calls {
        *pairs
            .entry((&call.function, call.parent.as_deref()))
            .or_default() += 1;
    }
    let expected = BTreeMap::from([
        (("main.main.func1", None), 1),
        (("main.top", Some("main.main.func1")), 100),
        (("main.left", Some("main.top")), 100),
        (("main.right", Some("main.top")), 100),
        (("main.leaf", Some("main.left")), 100),
        (("main.leaf", Some("main.right")), 300),
    ]);
    ensure!(pairs == expected, "callers: {pairs:?}, true {expected:?}");
    Ok(())
}
