//! What a traced call costs, as ratios of interleaved rounds: `cargo bench --bench traced_call`, as root.
//!
//! Absolute times mean little on a shared machine; each line compares two ways to run the same
//! calls, round by round in turn, and prints the median of the rounds' ratios.

mod target;
mod ways;

use std::process::ExitCode;

use anyhow::Result;

use self::{target::Target, ways::Way};

/// Rounds of each way.
const ROUNDS: usize = 15;
/// Calls of a round: some tens of milliseconds where a call costs ten microseconds.
const CALLS: u64 = 3_000;

fn main() -> ExitCode {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let exe = target::build()?;
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
        (Way::Kernel, Way::Idle, Some(1.15)),
        (Way::Ring, Way::Idle, Some(1.3)),
        (Way::Kernel, Way::KernelFirstByte, Some(0.65)),
        (Way::EntryOnly, Way::Kernel, None),
    ] {
        let goal = goal.map_or(String::new(), |goal| format!("  (goal: at most {goal})"));
        println!(
            "{:>10.2}  {} ÷ {}{goal}",
            ratio(above, below),
            above.name(),
            below.name()
        );
    }
    println!(
        "\nkernel programs: instructions left by the verifier, bytes of machine code, instructions verified\n"
    );
    for size in ways::sizes(&exe)? {
        println!(
            "{:>10} {:>8} {:>8}  {}",
            size.instructions, size.machine_code, size.verified, size.name
        );
    }
    let (measured, truth) = ways::parent(&exe, &mut target)?;
    println!(
        "\n{:>10.3}  duration of a call with 1,000 traced calls inside, as goinstr corrects it, ÷ the same untraced (goal: 0.95 to 1.05)",
        measured / truth
    );
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
