//! How long a server that becomes twenty times as busy is held up by the probes that were within the budget
//! before: everything is armed, as far as the guard lets it, and then the load comes.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{
    conversation::Conversation,
    rounds::median,
    target,
    throughput::{attach, end},
};

const ROUNDS: usize = 5;
const CLIENTS: &str = "16";
/// Requests a second before, and after.
const CALM: u32 = 1_500;
const BUSY: u32 = 20 * CALM;
/// How long it is calm while it is measured, and how long it is busy, in ms.
const CALM_MS: u32 = 3_000;
const BUSY_MS: u32 = 5_000;
/// What a number of the load's answer is of, in ms.
const SLOT_MS: usize = 50;
/// Shares of what is answered untraced that are waited for, in percent.
const SHARES: [u32; 2] = [50, 90];
/// Slots that are looked at together: a single one may be low for other reasons.
const TOGETHER: usize = 4;

/// Makes the server busy, untraced and traced, in turn.
pub fn run() -> Result<()> {
    let exe = target::build("throughput")?;
    let (server, port) = Conversation::with(Command::new(&exe).arg("serve"))?;
    let (mut load, _) = Conversation::with(Command::new(&exe).args(["paced", &port, CLIENTS]))?;
    println!(
        "{ROUNDS} rounds, interleaved; {CALM} requests/s for {CALM_MS} ms with everything armed, then {BUSY} requests/s\n"
    );
    let mut ask = |rate: u32, ms: u32| -> Result<Vec<f64>> {
        let answer = load.ask(&format!("{rate} {ms}"))?;
        let slots = answer.split_whitespace().map(str::parse);
        slots.collect::<Result<_, _>>().context("no figures")
    };
    let mut waited: Vec<[Option<usize>; SHARES.len()]> = Vec::new();
    let mut shares = Vec::new();
    let mut calm = Vec::new();
    for _ in 0..ROUNDS {
        ask(CALM, CALM_MS)?;
        let untraced = mean(&ask(BUSY, BUSY_MS)?);
        let before = mean(&ask(CALM, CALM_MS)?);
        let (goinstr, functions) = attach(server.pid(), &["*"])?;
        ensure!(functions > 0, "nothing is measured");
        calm.push(mean(&ask(CALM, CALM_MS)?) / before);
        let slots = ask(BUSY, BUSY_MS)?;
        end(goinstr)?;
        waited.push(SHARES.map(|percent| {
            let enough = untraced * f64::from(percent) / 100.0;
            slots
                .windows(TOGETHER)
                .position(|slots| mean(slots) >= enough)
        }));
        let settled = &slots[slots.len() / 2..];
        shares.push(mean(settled) / untraced);
    }
    println!(
        "{:>10.3}  of the requests are answered while it is calm",
        median(calm)
    );
    for (index, percent) in SHARES.iter().enumerate() {
        let after = |round: &[Option<usize>; SHARES.len()]| {
            round[index].map_or(f64::INFINITY, |slot| (slot * SLOT_MS) as f64)
        };
        let mut all: Vec<f64> = waited.iter().map(after).collect();
        all.sort_by(f64::total_cmp);
        println!(
            "{:>10.0}  ms until {percent} % of what it answers untraced (median of {all:?})",
            median(all.iter().copied())
        );
    }
    println!(
        "{:>10.3}  of what it answers untraced, in the second half",
        median(shares)
    );
    Ok(())
}

fn mean(slots: &[f64]) -> f64 {
    slots.iter().sum::<f64>() / slots.len().max(1) as f64
}
