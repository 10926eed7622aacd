//! What measuring costs, as ratios of interleaved rounds: `cargo bench --bench cost -- [PART]...`, as root.
//!
//! Absolute times mean little on a shared machine; each line compares two ways to do the same, round by
//! round in turn, and prints the median of the rounds' ratios.

mod analysis;
mod arming;
mod calls;
mod conditions;
mod conversation;
mod correction;
mod draining;
mod flood;
mod growth;
mod many;
mod peers;
mod programs;
mod ring;
mod rounds;
mod surge;
mod target;
mod throughput;
mod ways;

use std::process::ExitCode;

use anyhow::Result;

/// A part by its name.
type Part = (&'static str, fn() -> Result<()>);

const PARTS: [Part; 11] = [
    ("calls", calls::run),
    ("conditions", conditions::run),
    ("programs", programs::run),
    ("correction", correction::run),
    ("arming", arming::run),
    ("growth", growth::run),
    ("ring", ring::run),
    ("peers", peers::run),
    ("throughput", throughput::run),
    ("surge", surge::run),
    ("analysis", analysis::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to know that it starts.
    if arguments.iter().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    if let Some(unknown) = wanted
        .iter()
        .find(|name| PARTS.iter().all(|(part, _)| part != *name))
    {
        let names = PARTS.map(|(name, _)| name).join(", ");
        eprintln!("error: there is no part {unknown}; there are {names}");
        return ExitCode::FAILURE;
    }
    let mut code = ExitCode::SUCCESS;
    for (name, run) in PARTS {
        if wanted.is_empty() || wanted.contains(&name) {
            println!("\n## {name}\n");
            if let Err(error) = run() {
                eprintln!("error: {name}: {error:#}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
