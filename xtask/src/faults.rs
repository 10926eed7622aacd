//! `cargo xtask faults`: the live tests of faults, many times over, and what came of each as rows of
//! a table, as docs/reliability.md has it.

use crate::{command, go::Go, runner, setup, workspace};
use anyhow::{Context, Result, bail};
use std::fs;

#[derive(clap::Args)]
pub struct Arguments {
    /// How often each is tried that depends on chance
    #[arg(long, default_value_t = 100)]
    times: u64,
    /// Only the faults whose names contain it
    #[arg(long, default_value = "")]
    only: String,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    setup::run(setup::Scope::Everything)?;
    let go = Go::find().context("no Go toolchain")?;
    let table = workspace::target_dir().join("faults.md");
    if table.exists() {
        fs::remove_file(&table).with_context(|| format!("cannot remove {}", table.display()))?;
    }
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--locked", "--package", "goinstr", "--test", "live"]);
    runner::through_us(&mut cargo, runner::AsRoot::Live)?;
    cargo
        .args(["--", &format!("faults::{}", arguments.only)])
        .env("PATH", go.first_on_path()?)
        .env("GOINSTR_FAULTS", arguments.times.to_string())
        .env("GOINSTR_FAULTS_TABLE", &table);
    let outcome = command::run(&mut cargo);
    let rows = fs::read_to_string(&table).unwrap_or_default();
    println!("\n| fault | tried | result |\n|---|---|---|\n{rows}");
    outcome?;
    if rows.is_empty() {
        bail!("no fault was tried");
    }
    Ok(())
}
