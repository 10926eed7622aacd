//! How large the kernel programs are, and how long a run of them takes, by the kernel's own statistics.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use aya::{
    programs::loaded_programs,
    sys::{Stats, enable_stats},
};

use crate::{
    rounds::{go_first, median},
    target::{self, Target},
    ways::{self, Way},
};

const ROUNDS: usize = 7;
const CALLS: u64 = 3_000;

/// Prints the sizes of the kernel programs as they are loaded to measure durations, and what the kernel says
/// that their runs take.
pub fn run() -> Result<()> {
    let exe = target::build("calls")?;
    println!("instructions left by the verifier, bytes of machine code, instructions verified\n");
    for size in ways::sizes(&exe)? {
        println!(
            "{:>10} {:>8} {:>8}  {}",
            size.instructions, size.machine_code, size.verified, size.name
        );
    }
    go_first();
    let mut target = Target::start(&exe)?;
    println!(
        "\n{ROUNDS} rounds of {CALLS} calls each; ns a run (bpf_prog_info: run_time_ns ÷ run_cnt), of which the \
         kernel's own clock is a part\n"
    );
    for way in [Way::Kernel, Way::Ring] {
        let rounds: Vec<BTreeMap<String, f64>> = (0..ROUNDS)
            .map(|_| runs(&exe, &mut target, way))
            .collect::<Result<_>>()?;
        for name in rounds[0].keys() {
            let of = |round: &BTreeMap<String, f64>| round.get(name).copied();
            println!(
                "{:>10.0}  {name}, {}",
                median(rounds.iter().filter_map(of)),
                way.name()
            );
        }
    }
    Ok(())
}

/// How long a run of each program took that the calls ran, in ns, by the program's name.
fn runs(exe: &std::path::Path, target: &mut Target, way: Way) -> Result<BTreeMap<String, f64>> {
    let before: Vec<u32> = loaded_programs()
        .filter_map(|program| Some(program.ok()?.id()))
        .collect();
    let counting = enable_stats(Stats::RunTime).context("BPF_ENABLE_STATS")?;
    let mut runs = BTreeMap::new();
    way.time_and(exe, target, CALLS, || {
        for program in loaded_programs().flatten() {
            if before.contains(&program.id()) || program.run_count() == 0 {
                continue;
            }
            let name = program.name_as_str().unwrap_or_default().to_owned();
            ensure!(
                program.run_count() >= CALLS,
                "{name} ran {} times for {CALLS} calls",
                program.run_count()
            );
            let each = program.run_time().as_nanos() as f64 / program.run_count() as f64;
            runs.insert(name, each);
        }
        Ok(())
    })?;
    drop(counting);
    ensure!(runs.len() >= 2, "only {:?} ran", runs.keys());
    Ok(runs)
}
