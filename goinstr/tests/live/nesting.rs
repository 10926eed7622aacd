//! Exclusive time: what a call spends outside of the traced calls inside it.

use anyhow::{Context as _, Result, ensure};

use crate::{
    Test,
    support::{build::Build, case::Case},
    test,
};

/// How far a mean may be above what the target spun for: its own bookkeeping and the probes' cost
/// on a machine with other things to do.
const TOLERANCE: f64 = 0.15;

pub fn tests() -> Vec<Test> {
    vec![test("nesting::self_time_is_exact", exclusive)]
}

fn exclusive() -> Result<()> {
    let measured = Case::of(Build::of("nesting")).exact()?;
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
    for line in measured
        .truth
        .lines
        .iter()
        .filter(|line| line["type"] == "self")
    {
        let name = line["function"].as_str().context("no name")?;
        let expected = line["self_ns_per_call"].as_f64().context("no time")?;
        let function = measured.report.function(name)?;
        // Counts and nanoseconds of a test are far below 2^52.
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let mean = function.self_ns as f64 / function.calls as f64;
        ensure!(
            mean >= expected && mean <= expected * (1.0 + TOLERANCE),
            "{name} spun {expected} ns on its own, measured {mean} ns"
        );
    }
    Ok(())
}
