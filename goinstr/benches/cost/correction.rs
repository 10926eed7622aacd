//! How well durations are corrected for what the probes add to them.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use goinstr::attach::{
    Aggregation, Attached,
    calibration::{self, Trial},
};
use goinstr_common::control::{PHASE_CLOSING, PHASE_RECORDING};

use crate::{
    rounds::{go_first, median, print_ratio, quantile},
    target::{self, Target},
    ways::{plan_of, settings},
};

const ROUNDS: usize = 25;
/// Calls of the parent, which makes 1,000 calls each time.
const CALLS: u64 = 5;

/// Compares what goinstr tells of a call that holds 1,000 traced calls with what it takes untraced, just
/// before and just after. Costs are measured anew in each round, as each goinstr does.
pub fn run() -> Result<()> {
    go_first();
    let exe = target::build("calls")?;
    let mut target = Target::start(&exe)?;
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        rounds.push(round(&exe, &mut target)?);
    }
    let (corrected, raw): (Vec<f64>, Vec<f64>) = rounds.into_iter().unzip();
    println!(
        "{ROUNDS} rounds; duration of a call with 1,000 traced calls inside ÷ the same untraced\n"
    );
    print_ratio(median(raw), "with what the probes add", None);
    print_ratio(
        median(corrected.iter().copied()),
        "corrected",
        Some("0.95 to 1.05"),
    );
    let [low, high] = [0.25, 0.75].map(|q| quantile(corrected.iter().copied(), q));
    println!("            (half of the rounds between {low:.3} and {high:.3})");
    Ok(())
}

fn round(exe: &Path, target: &mut Target) -> Result<(f64, f64)> {
    let plan = plan_of(exe, "/^main\\.(parent|spin)$/")?;
    let costs = calibration::measure(&Trial {
        layout: plan.layout,
        ..Trial::default()
    })?;
    let before = target.time("parent", CALLS)?;
    let settings = settings(target.pid(), Aggregation::Kernel, costs);
    let attached = Attached::arm(&plan, exe, &settings)?;
    attached.kernel.set_phase(PHASE_RECORDING);
    let raw = target.time("parent", CALLS)?;
    attached.kernel.set_phase(PHASE_CLOSING);
    let kernel = attached.disarm();
    let after = target.time("parent", CALLS)?;
    let mut functions = plan.functions.iter();
    let id = functions.position(|function| function.name == "main.parent");
    let totals = kernel.totals(u32::try_from(id.context("no main.parent")?)?);
    ensure!(
        totals.returned == CALLS,
        "{} of {CALLS} calls were counted",
        totals.returned
    );
    let truth = f64::midpoint(before, after);
    Ok((totals.total_ns as f64 / CALLS as f64 / truth, raw / truth))
}
