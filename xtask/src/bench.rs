//! `cargo xtask bench`: the benchmarks, as root.

use crate::{
    command,
    go::Go,
    peers,
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
    let mut path = go.first_on_path()?;
    if wants_peers(&arguments.cargo) {
        path = peers::first_on_path(path)?;
    }
    let mut cargo = workspace::cargo();
    cargo.args(["bench", "--locked", "--package", "goinstr"]);
    cargo.args((!names_benchmarks(&arguments.cargo)).then_some("--benches"));
    runner::through_us(&mut cargo, AsRoot::All)?;
    cargo.args(&arguments.cargo).env("PATH", path);
    command::run(&mut cargo)
}

/// Whether it is said which benchmarks are to be run: `--benches` would run all others too.
fn names_benchmarks(arguments: &[String]) -> bool {
    arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == "--bench" || argument.starts_with("--bench="))
}

/// Whether goinstr is compared with other tools: where no other part is named.
fn wants_peers(arguments: &[String]) -> bool {
    let mut parts = arguments.iter().skip_while(|argument| *argument != "--");
    parts.next();
    let mut parts = parts.filter(|part| !part.starts_with('-')).peekable();
    parts.peek().is_none() || parts.any(|part| part == "peers")
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

    #[test]
    fn other_tools_are_fetched_where_they_are_compared_with() {
        let wants = |line: &str| {
            let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
            wants_peers(&arguments)
        };
        assert!(wants("--bench cost"));
        assert!(wants("--bench cost -- calls peers"));
        assert!(!wants("--bench cost -- calls"));
    }
}
