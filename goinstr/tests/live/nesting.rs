//! Exclusive time: what a call spends outside of the traced calls inside it.

use anyhow::{Context as _, Result, ensure};

use crate::{
    Test,
    support::{
        build::Build,
        case::{Case, Measured},
    },
    test,
};

/// What part of the time that the target told may be added or missing: its own bookkeeping, and
/// how well the probes' cost is known.
const TOLERANCE: u64 = 10;

/// Runs that a busy machine gets: a thread that loses its CPU between two looks at its own clock
/// was longer in its function than it knows.
const ATTEMPTS: u32 = 5;

pub fn tests() -> Vec<Test> {
    vec![
        test("nesting::exclusive_times_add_up", || {
            // Corrected too: one that is too large for a call stops at what is inside the call.
            add_up(&Case::of(Build::of("nesting")).options(&["--raw"]).exact()?)?;
            add_up(&Case::of(Build::of("nesting")).exact()?)
        }),
        test("nesting::self_time_is_the_targets_own", || {
            let mut last = Ok(());
            for _ in 0..ATTEMPTS {
                let measured = Case::of(Build::of("nesting")).exact()?;
                last = as_told(&measured);
                if last.is_ok() {
                    break;
                }
            }
            last
        })
        .alone(),
    ]
}

fn add_up(measured: &Measured) -> Result<()> {
    let of = |name: &str| measured.report.function(&format!("main.{name}"));
    let (root, top, left, right, leaf) = (
        of("main.func1")?,
        of("top")?,
        of("left")?,
        of("right")?,
        of("leaf")?,
    );
    ensure!(
        leaf.self_ns == leaf.total_ns,
        "{leaf:?} has no traced call inside"
    );
    // All of left and right is inside top, all of leaf inside those, all of top inside the root:
    // exclusive times add up to the whole, to the nanosecond.
    let parts = root.self_ns + top.self_ns + left.self_ns + right.self_ns + leaf.self_ns;
    ensure!(
        parts == root.total_ns,
        "exclusive times add up to {parts} ns of {} ns",
        root.total_ns
    );
    ensure!(
        top.total_ns - top.self_ns == left.total_ns + right.total_ns,
        "inside top: {top:?}, {left:?}, {right:?}"
    );
    Ok(())
}

fn as_told(measured: &Measured) -> Result<()> {
    for line in measured
        .truth
        .lines
        .iter()
        .filter(|line| line["type"] == "self")
    {
        let name = line["function"].as_str().context("no name")?;
        let told = line["self_ns"].as_u64().context("no time")?;
        let measured = measured.report.function(name)?.self_ns;
        ensure!(
            measured.abs_diff(told) <= told / TOLERANCE,
            "{name} spun {told} ns on its own, measured {measured} ns"
        );
    }
    Ok(())
}
