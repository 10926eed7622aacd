//! What a traced call costs as more functions, goroutines and CPUs are measured: the same, it should be.

use std::path::Path;

use anyhow::{Result, ensure};
use goinstr::{
    attach::{Aggregation, Attached, Costs},
    plan::ProbePlan,
};
use goinstr_common::control::{PHASE_CLOSING, PHASE_RECORDING};

use crate::{
    many,
    rounds::{go_first, median, print_ratio},
    target::Target,
    ways::{plan_of, settings},
};

const ROUNDS: usize = 7;
/// Calls of a round.
const CALLS: u64 = 10_000;

/// What grows: its name, the letter that the program knows it by, and numbers of it.
const GROWING: [(&str, char, &[usize]); 3] = [
    (
        "functions, called in turn",
        'f',
        &[1, 10, 100, 1_000, 10_000],
    ),
    ("goroutines", 'g', &[1, 10, 100, 1_000]),
    ("CPUs", 'p', &[1, 2, 4, 8, 16]),
];

/// Times calls with more and more of each.
pub fn run() -> Result<()> {
    let cpus = std::thread::available_parallelism()?.get();
    go_first();
    let exe = many::build()?;
    let mut target = Target::start(&exe)?;
    let whole = plan_of(&exe, "/^main\\.f[0-9]+$/")?;
    println!(
        "{ROUNDS} rounds of {CALLS} calls, interleaved; cost of a call, and ÷ that with one of them\n"
    );
    for (what, letter, numbers) in GROWING {
        let numbers: Vec<usize> = numbers
            .iter()
            .copied()
            .filter(|&n| letter != 'p' || n <= cpus)
            .collect();
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let round: Vec<f64> = numbers
                .iter()
                .map(|&number| time(&whole, &exe, &mut target, letter, number))
                .collect::<Result<_>>()?;
            rounds.push(round);
        }
        for (index, number) in numbers.iter().enumerate() {
            let ns = median(rounds.iter().map(|round| round[index]));
            let ratio = median(rounds.iter().map(|round| round[index] / round[0]));
            print_ratio(ratio, &format!("{number} {what}: {ns:.0} ns"), None);
        }
    }
    Ok(())
}

/// What measuring adds to a call, in ns.
fn time(
    whole: &ProbePlan,
    exe: &Path,
    target: &mut Target,
    letter: char,
    number: usize,
) -> Result<f64> {
    let order = format!("{letter}{number}");
    let untraced = target.time(&order, CALLS)?;
    let mut plan = whole.clone();
    let functions = if letter == 'f' { number } else { 1 };
    plan.functions.retain(|function| {
        function
            .name
            .trim_start_matches("main.f")
            .parse::<usize>()
            .is_ok_and(|n| n < functions)
    });
    let settings = settings(target.pid(), Aggregation::Kernel, Costs::default());
    let attached = Attached::arm(&plan, exe, &settings)?;
    attached.kernel.set_phase(PHASE_RECORDING);
    let traced = target.time(&order, CALLS)?;
    attached.kernel.set_phase(PHASE_CLOSING);
    let kernel = attached.disarm();
    let counted: u64 = (0..kernel.functions())
        .map(|id| kernel.totals(id as u32).returned)
        .sum();
    let made = if letter == 'p' {
        CALLS * number as u64
    } else {
        CALLS
    };
    ensure!(counted == made, "{counted} of {made} calls were counted");
    Ok(traced - untraced)
}
