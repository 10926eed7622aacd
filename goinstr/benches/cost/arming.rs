//! How long it takes to arm and to disarm, by the number of sites.

use std::{path::Path, time::Instant};

use anyhow::{Result, ensure};
use goinstr::{
    attach::{Aggregation, Attached, Costs, Method},
    plan::ProbePlan,
};

use crate::{
    many,
    rounds::{median, print_ratio},
    target::Target,
    ways::{plan_of, settings},
};

const ROUNDS: usize = 5;
/// Numbers of sites.
const SITES: [usize; 5] = [10, 100, 1_000, 10_000, 30_000];
/// Those for which one perf event a site is bearable: each takes a tenth of a second to go.
const BEARABLE: usize = 100;

/// Arms and disarms, in both ways.
pub fn run() -> Result<()> {
    let exe = many::build()?;
    let target = Target::start(&exe)?;
    let whole = plan_of(&exe, "/^main\\.f[0-9]+$/")?;
    println!("{ROUNDS} rounds, interleaved; medians, in ms\n");
    println!(
        "   sites  uprobe.multi: load and arm, disarm   a perf event a site: load and arm, disarm"
    );
    for sites in SITES {
        let plan = first(&whole, sites)?;
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let multi = time(&plan, &exe, &target, Method::UprobeMulti)?;
            let perf = match sites <= BEARABLE {
                true => Some(time(&plan, &exe, &target, Method::PerfEvent)?),
                false => None,
            };
            rounds.push((multi, perf));
        }
        let of = |part: fn(&(f64, f64)) -> f64| {
            let multi = median(rounds.iter().map(|(multi, _)| part(multi)));
            let perf = median(
                rounds
                    .iter()
                    .filter_map(|(_, perf)| perf.as_ref().map(part)),
            );
            (multi, perf)
        };
        let ((arm, perf_arm), (disarm, perf_disarm)) = (of(|t| t.0), of(|t| t.1));
        print!("{sites:>8}  {arm:>24.1} {disarm:>10.1}");
        match perf_arm.is_nan() {
            true => println!("   (not bearable)"),
            false => println!("   {perf_arm:>30.1} {perf_disarm:>9.1}"),
        }
        if sites == 10_000 {
            let both = rounds.iter().map(|((arm, disarm), _)| (arm + disarm) / 1e3);
            print_ratio(
                median(both),
                "seconds for 10,000 sites both ways",
                Some("at most 1"),
            );
        }
        if sites == BEARABLE {
            let ratios = rounds.iter().filter_map(|((arm, disarm), perf)| {
                perf.map(|(perf_arm, perf_disarm)| (arm + disarm) / (perf_arm + perf_disarm))
            });
            print_ratio(
                median(ratios),
                "uprobe.multi ÷ a perf event a site, both ways",
                None,
            );
        }
    }
    Ok(())
}

/// The functions of a plan that have the first so many sites.
fn first(plan: &ProbePlan, sites: usize) -> Result<ProbePlan> {
    let mut plan = plan.clone();
    let mut left = sites;
    plan.functions.retain(|function| {
        let own = 1 + function.exits.len();
        let fits = own <= left;
        left -= if fits { own } else { 0 };
        fits
    });
    ensure!(left == 0, "the program has {left} sites less than {sites}");
    Ok(plan)
}

/// Milliseconds to arm and to disarm.
fn time(plan: &ProbePlan, exe: &Path, target: &Target, method: Method) -> Result<(f64, f64)> {
    let mut settings = settings(target.pid(), Aggregation::Kernel, Costs::default());
    settings.method = Some(method);
    let start = Instant::now();
    let attached = Attached::arm(plan, exe, &settings)?;
    let armed = Instant::now();
    drop(attached.disarm());
    Ok((
        (armed - start).as_secs_f64() * 1e3,
        armed.elapsed().as_secs_f64() * 1e3,
    ))
}
