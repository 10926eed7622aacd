//! What a call costs that `--where` does not want to see: decided in the kernel, against decided in userspace.

use std::path::Path;

use anyhow::{Result, ensure};
use goinstr::{
    attach::{Aggregation, Attached, Costs, Settings, Watch},
    binary::GoBinary,
    plan::{CapturePlan, Condition, Limits, ProbePlan, Redaction, Wanted},
};
use goinstr_common::{
    control::{PHASE_CLOSING, PHASE_RECORDING},
    counter::{DROPPED_RECORDS, KEPT_BACK},
};

use crate::{
    draining::Draining,
    rounds::{go_first, median, print_ratio},
    target::{self, Target},
    ways::{plan_of, settings},
};

/// Rounds of each way.
const ROUNDS: usize = 15;
/// Calls of a round.
const CALLS: u64 = 3_000;

/// What is asked of the calls, none of which matches.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    /// Nothing: each is told of.
    Nothing,
    /// What the kernel side leaves open: userspace is told of each, and tells nobody.
    Open,
    /// What it decides.
    Decided,
}

impl Asked {
    const ALL: [Self; 3] = [Self::Nothing, Self::Open, Self::Decided];

    fn condition(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Open => Some("n < -0.5"),
            Self::Decided => Some("n < 0"),
        }
    }
}

/// Times the calls in each way.
pub fn run() -> Result<()> {
    go_first();
    let exe = target::build("calls")?;
    let mut target = Target::start(&exe)?;
    println!(
        "{ROUNDS} rounds of {CALLS} calls each, interleaved; ns per call (median), records in the ring buffer of a round\n"
    );
    for entries in [false, true] {
        let mut rounds: Vec<Vec<(f64, u64)>> = Vec::new();
        for _ in 0..ROUNDS {
            let round = Asked::ALL
                .iter()
                .map(|&asked| time(&exe, &mut target, asked, entries));
            rounds.push(round.collect::<Result<_>>()?);
        }
        let what = if entries {
            "as it begins"
        } else {
            "as it returns"
        };
        for (asked, name) in Asked::ALL.iter().zip(0..) {
            println!(
                "{:>10.0} ns {:>6} records  each call {what}, with --args{}",
                median(rounds.iter().map(|round| round[name].0)),
                rounds.iter().map(|round| round[name].1).max().unwrap_or(0),
                asked
                    .condition()
                    .map_or(String::new(), |text| format!(" --where '{text}'"))
            );
        }
        let untraced = target.time("work", CALLS * 100)?;
        for (above, below, name) in [
            (2, 1, "decided in the kernel ÷ in userspace"),
            (2, 0, "decided in the kernel ÷ each told of"),
        ] {
            let ratios = rounds
                .iter()
                .map(|round| (round[above].0 - untraced) / (round[below].0 - untraced));
            print_ratio(median(ratios), &format!("{what}, {name}"), None);
        }
        println!();
    }
    Ok(())
}

/// Times calls of `main.work`; ns per call, and records.
fn time(exe: &Path, target: &mut Target, asked: Asked, entries: bool) -> Result<(f64, u64)> {
    let plan = planned(exe, asked)?;
    let settings = Settings {
        watch: match entries {
            true => Watch::Entries {
                callers: false,
                told: true,
            },
            false => Watch::Calls,
        },
        slower_than_ns: (!entries).then_some(0),
        ..settings(target.pid(), Aggregation::Kernel, Costs::default())
    };
    let mut attached = Attached::arm(&plan, exe, &settings)?;
    let draining = Draining::start(&mut attached.kernel, settings.ring_bytes)?;
    attached.kernel.set_phase(PHASE_RECORDING);
    let took = target.time("work", CALLS)?;
    attached.kernel.set_phase(PHASE_CLOSING);
    let kernel = attached.disarm();
    let records = draining.end()? as u64;
    ensure!(kernel.counter(DROPPED_RECORDS) == 0, "records were dropped");
    ensure!(
        kernel.totals(0).entries == CALLS,
        "not all calls were counted"
    );
    let expected = match asked {
        Asked::Decided => (0, CALLS),
        Asked::Open | Asked::Nothing => (CALLS, 0),
    };
    let came = (records, kernel.counter(KEPT_BACK));
    ensure!(
        came == expected,
        "{came:?} records and calls kept back, not {expected:?}"
    );
    Ok((took, records))
}

fn planned(exe: &Path, asked: Asked) -> Result<ProbePlan> {
    let plan = plan_of(exe, "main.work")?;
    let wanted = Wanted {
        arguments: true,
        results: false,
        limits: Limits::default(),
        redaction: Redaction::default(),
        signatures: Vec::new(),
        condition: asked.condition().map(Condition::parse).transpose()?,
    };
    let captures = CapturePlan::of(&GoBinary::open(exe)?, &plan, &wanted);
    Ok(ProbePlan {
        captures: Some(captures),
        ..plan
    })
}
