//! `cargo xtask demo`: a Go server under load, measured for some seconds.
//!
//! The server and its customers are two processes of one program, `testdata/targets/demo`; only
//! the server is measured. Both are gone at the end, however it comes.

use crate::{build, command, go::Go, setup, workspace};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

#[derive(clap::Args)]
pub struct Arguments {
    /// How long to measure, in seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// What else to give to `goinstr attach`: patterns, `--sort p99`, …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    attach: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    setup::run(setup::Scope::Everything)?;
    let goinstr = build::run()?;

    let shop = workspace::target_dir().join("demo/shop");
    if let Some(parent) = shop.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
    }
    Go::find_or_install(None)?.build(&workspace::root().join("testdata/targets/demo"), &shop)?;

    // Should we be killed, they end by themselves soon after the measurement would have.
    let lifetime = format!("{}s", arguments.seconds + 20);
    let mut server = Running::start(
        Command::new(&shop)
            .args(["-for", &lifetime])
            .stdout(Stdio::piped()),
    )?;
    let address = server.address()?;
    let _customers = Running::start(
        Command::new(&shop)
            .args(["-for", &lifetime, "-load", &address])
            .stdout(Stdio::null()),
    )?;

    let mut attach = command::as_root(&goinstr)?;
    attach
        .arg("attach")
        .args(["--pid", &server.0.id().to_string()])
        .args(["--duration", &format!("{}s", arguments.seconds)])
        .args(&arguments.attach);
    command::run(&mut attach)
}

/// A child that ends with us.
pub struct Running(pub Child);

impl Running {
    pub fn start(command: &mut Command) -> Result<Self> {
        command::say(command);
        Ok(Self(
            command
                .stdin(Stdio::null())
                .spawn()
                .with_context(|| format!("cannot start {command:?}"))?,
        ))
    }

    /// Waits for the `listening ADDRESS` that the server prints.
    pub fn address(&mut self) -> Result<String> {
        let stdout = self.0.stdout.take().context("the server's stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        match line.trim().strip_prefix("listening ") {
            Some(address) => Ok(address.to_owned()),
            None => bail!("the demo's server said {line:?} and not where it listens"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
