//! What a traced call costs, against the same calls run in other ways.

use anyhow::Result;

use crate::{
    rounds::{go_first, median, print_ratio},
    target::{self, Target},
    ways::Way,
};

/// Rounds of each way.
const ROUNDS: usize = 15;
/// Calls of a round: some tens of milliseconds where a call costs ten microseconds.
const CALLS: u64 = 3_000;

/// Times the calls in each way.
pub fn run() -> Result<()> {
    go_first();
    let exe = target::build("calls")?;
    let mut target = Target::start(&exe)?;
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let round: Vec<f64> = Way::ALL
            .iter()
            .map(|&way| way.time(&exe, &mut target, CALLS))
            .collect::<Result<_>>()?;
        rounds.push(round);
    }
    println!(
        "{ROUNDS} rounds of {CALLS} calls each, interleaved; ns per call (median) and ratios (median of the rounds')\n"
    );
    for (way, name) in Way::ALL.iter().zip(0..) {
        println!(
            "{:>10.0} ns  {}",
            median(rounds.iter().map(|round: &Vec<f64>| round[name])),
            way.name()
        );
    }
    println!();
    let ratio = |above: Way, below: Way| {
        let of = |round: &Vec<f64>, way: Way| round[way.index()] - round[Way::Untraced.index()];
        median(
            rounds
                .iter()
                .map(|round| of(round, above) / of(round, below)),
        )
    };
    for (above, below, goal) in [
        (Way::Kernel, Way::Idle, Some("at most 1.15")),
        (Way::Ring, Way::Idle, Some("at most 1.3")),
        (Way::Kernel, Way::KernelFirstByte, Some("at most 0.65")),
        (Way::EntryOnly, Way::Kernel, None),
    ] {
        print_ratio(
            ratio(above, below),
            &format!("{} ÷ {}", above.name(), below.name()),
            goal,
        );
    }
    Ok(())
}
