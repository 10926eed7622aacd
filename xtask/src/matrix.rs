//! `cargo xtask matrix`: every Go version, form and architecture, and real programs, against Go's own tools.
//!
//! Half an hour of CPU time with nothing built yet. What has to be fetched is fetched.

use crate::{command, go::Go, programs, setup, toolchains, workspace};
use anyhow::{Context, Result};

#[derive(clap::Args)]
pub struct Arguments {
    /// Only rows whose name contains this: a version and architecture ("1.26.6 arm64"), a program ("hugo")
    filter: Option<String>,
}

/// Prints the table.
pub fn run(arguments: &Arguments) -> Result<()> {
    setup::run(setup::Scope::Everything)?;
    toolchains::run()?;
    programs::run()?;
    let go = Go::find().context("no Go toolchain")?;
    let mut cargo = workspace::cargo();
    cargo
        .args(["test", "--locked", "--package", "goinstr"])
        .args(["--test", "matrix", "--"])
        .args(&arguments.filter)
        .env("PATH", go.first_on_path()?)
        .env("GOINSTR_MATRIX", "all");
    command::run(&mut cargo)
}
