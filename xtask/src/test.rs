//! `cargo xtask test`: every test there is, those that need root included.
//!
//! The count at the end is made of what the test runners' own closing lines say, and what failed is
//! told once more before it: of a long run often only the end is kept.

use crate::{
    command, go::Go, packages::Apt, programs, runner, setup, toolchains, tools, workspace,
};
use anyhow::{Context, Result, bail};
use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

#[derive(clap::Args)]
pub struct Arguments {
    /// Don't fetch the Go toolchains of other versions, nor programs and tools: test with what is there
    #[arg(long)]
    no_toolchains: bool,
    /// What else to give to `cargo test`: a package, a filter, `-- --nocapture`, …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    cargo: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    setup::run(setup::Scope::Everything)?;
    if !arguments.no_toolchains {
        toolchains::run()?;
        programs::small()?;
        tools::set_up(Apt::here().as_ref())?;
    }
    if !command::is_root() && command::find("sudo").is_none() {
        eprintln!(
            "warning: neither root nor sudo: the tests that measure live processes are skipped"
        );
    }
    let go = Go::find().context("no Go toolchain")?;

    let mut cargo = workspace::cargo();
    cargo
        .args(["test", "--locked", "--no-fail-fast"])
        .args((!names_a_package(&arguments.cargo)).then_some("--workspace"));
    runner::through_us(&mut cargo, runner::AsRoot::Live)?;
    cargo
        .args(&arguments.cargo)
        .env("PATH", tools::last_on_path(go.first_on_path()?)?)
        .env("PYTHONPATH", tools::python_path()?)
        .stdout(Stdio::piped());
    command::say(&cargo);
    let mut running = cargo.spawn().context("cannot run cargo test")?;
    let mut output = BufReader::new(running.stdout.take().context("cargo's stdout")?);
    let mut total = Tally::default();
    let mut failures = Failures::default();
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        std::io::stdout().write_all(&line)?;
        let text = String::from_utf8_lossy(&line);
        total.add(&text);
        failures.add(&text);
        line.clear();
    }
    let status = running.wait()?;
    give_back()?;

    if !failures.told.is_empty() {
        println!("\nwhat failed, once more:\n{}", failures.told);
    }
    println!(
        "\n{} passed, {} failed, {} skipped",
        total.passed, total.failed, total.skipped
    );
    if !status.success() || total.failed > 0 {
        bail!("cargo test failed: {status}");
    }
    if total.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

fn names_a_package(arguments: &[String]) -> bool {
    arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument.starts_with("-p") || argument.starts_with("--package"))
}

/// What the live tests left as root becomes ours again: else the next build or clean fails.
fn give_back() -> Result<()> {
    let left = workspace::target_dir().join("tmp");
    if command::is_root() || command::find("sudo").is_none() || !left.exists() {
        return Ok(());
    }
    let owner = command::output(std::process::Command::new("id").arg("-u")).context("id -u")?;
    command::run(command::as_root("chown")?.arg("-R").arg(owner).arg(&left))
}

/// The sum of the closing lines.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Tally {
    /// Adds a line of output, if it is a closing line:
    /// `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; …`
    fn add(&mut self, line: &str) {
        if line.starts_with(runner::DIED) {
            self.failed += 1;
        }
        let Some(result) = line.trim().strip_prefix("test result: ") else {
            return;
        };
        let counts = result.split_once(". ").map_or("", |(_, counts)| counts);
        for part in counts.split(';') {
            let mut words = part.split_whitespace();
            let (Some(Ok(count)), Some(what)) = (words.next().map(str::parse::<u64>), words.next())
            else {
                continue;
            };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.skipped += count,
                _ => {}
            }
        }
    }
}

/// What the runners tell of tests that failed: the lines from `failures:` to the closing line, and
/// the lines of binaries that died or left something.
#[derive(Debug, Default)]
struct Failures {
    told: String,
    inside: bool,
}

impl Failures {
    fn add(&mut self, line: &str) {
        if line.trim_end() == "failures:" {
            self.inside = true;
        }
        if line.starts_with("test result: ") {
            self.inside = false;
        }
        if self.inside || line.starts_with(runner::DIED) || line.starts_with(runner::LEFT) {
            self.told.push_str(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_kept_and_nothing_else() {
        let mut failures = Failures::default();
        for line in [
            "running 2 tests\n",
            "test a ... ok\n",
            "test b ... FAILED\n",
            "\n",
            "failures:\n",
            "\n",
            "---- b ----\n",
            "3 calls, not 4\n",
            "\n",
            "\n",
            "failures:\n",
            "    b\n",
            "\n",
            "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n",
            "left in the kernel: 1 link\n",
            "test c ... ok\n",
        ] {
            failures.add(line);
        }
        assert_eq!(
            failures.told,
            "failures:\n\n---- b ----\n3 calls, not 4\n\n\nfailures:\n    b\n\n\
             left in the kernel: 1 link\n"
        );
    }

    #[test]
    fn the_total_is_the_sum_of_all_closing_lines() {
        let mut total = Tally::default();
        for line in [
            "running 3 tests",
            "test a ... ok",
            "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "",
            "test result: FAILED. 4 passed; 1 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.20s",
        ] {
            total.add(line);
        }
        assert_eq!(
            total,
            Tally {
                passed: 6,
                failed: 1,
                skipped: 1
            }
        );
    }

    #[test]
    fn a_binary_that_dies_is_a_failure() {
        let mut total = Tally::default();
        total.add("test binary died: target/debug/deps/live-1 (signal: 9 (SIGKILL))\n");
        assert_eq!(total.failed, 1);
    }
}
