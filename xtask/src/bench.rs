//! `cargo xtask bench`: the benchmarks, as root.

use crate::{
    command,
    go::Go,
    runner::{self, AsRoot},
    setup, workspace,
};
use anyhow::{Context, Result};

#[derive(clap::Args)]
pub struct Arguments {
    /// What else to give to `cargo bench`: `--bench NAME`, …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    cargo: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    setup::run(setup::Scope::Everything)?;
    let go = Go::find().context("no Go toolchain")?;
    let mut cargo = workspace::cargo();
    cargo.args(["bench", "--locked", "--package", "goinstr", "--benches"]);
    runner::through_us(&mut cargo, AsRoot::All)?;
    cargo
        .args(&arguments.cargo)
        .env("PATH", go.first_on_path()?);
    command::run(&mut cargo)
}
