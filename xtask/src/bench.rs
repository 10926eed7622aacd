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
    cargo.args(["bench", "--locked", "--package", "goinstr"]);
    cargo.args((!names_benchmarks(&arguments.cargo)).then_some("--benches"));
    runner::through_us(&mut cargo, AsRoot::All)?;
    cargo
        .args(&arguments.cargo)
        .env("PATH", go.first_on_path()?);
    command::run(&mut cargo)
}

/// Whether it is said which benchmarks are to be run: `--benches` would run all others too.
fn names_benchmarks(arguments: &[String]) -> bool {
    arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == "--bench" || argument.starts_with("--bench="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benchmarks_are_named_before_what_is_theirs() {
        let names = |line: &str| {
            let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
            names_benchmarks(&arguments)
        };
        assert!(names("--bench cost -- peers"));
        assert!(names("--bench=cost"));
        assert!(!names("-- --bench"));
        assert!(!names("--no-run --benches"));
    }
}
