//! What measuring does to the throughput of a real server, and of a program that only computes.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    conversation::Conversation,
    rounds::{median, print_ratio},
    target,
};

const ROUNDS: usize = 5;
/// How long each way is loaded, in ms.
const SPAN_MS: u32 = 1_500;
/// How long it is loaded before that, for a guard to leave out what is too costly.
const SETTLE_MS: u32 = 2_500;
const CLIENTS: &str = "8";

/// What is measured: its name and the arguments for goinstr.
type Way = (&'static str, &'static [&'static str]);

/// The first is nothing. The names of about one function in a hundred match the pattern.
const WAYS: [Way; 5] = [
    ("untraced", &[]),
    ("default patterns", &["--no-guard"]),
    (
        "one function in 100",
        &["--no-guard", "/[jqzKQX].$/", "!runtime.*"],
    ),
    ("everything, within the default budget", &["*"]),
    ("everything, --no-guard", &["--no-guard", "*"]),
];

/// Loads the server and the computing program, untraced and traced, in turn.
pub fn run() -> Result<()> {
    let exe = target::build("throughput")?;
    let (mut server, port) = Conversation::with(Command::new(&exe).arg("serve"))?;
    let (mut load, _) = Conversation::with(Command::new(&exe).args(["load", &port, CLIENTS]))?;
    let mut rounds = Vec::new();
    let mut functions = Vec::new();
    for round in 0..ROUNDS {
        let mut figures = Vec::new();
        for (name, arguments) in WAYS {
            let goinstr = match arguments {
                [] => None,
                _ => Some(attach(server.pid(), arguments).with_context(|| name)?),
            };
            load.ask(&SETTLE_MS.to_string())?;
            let span = SPAN_MS.to_string();
            let answered = load.ask(&span)?;
            let computed = server.ask(&span)?;
            if round == 0 {
                functions.push(goinstr.as_ref().map_or(0, |(_, functions)| *functions));
            }
            if let Some((goinstr, _)) = goinstr {
                end(goinstr).with_context(|| name)?;
            }
            let mut answered = answered.split_whitespace();
            let mut number = || -> Result<f64> {
                Ok(answered.next().context("too few figures")?.parse::<f64>()?)
            };
            figures.push([number()?, number()?, computed.parse::<f64>()?]);
        }
        rounds.push(figures);
    }
    println!(
        "{ROUNDS} rounds of {SPAN_MS} ms each, {SETTLE_MS} ms after the load began, interleaved; {CLIENTS} clients\n"
    );
    let seconds = f64::from(SPAN_MS) / 1e3;
    for (index, (name, _)) in WAYS.iter().enumerate() {
        let of = |figure: usize| median(rounds.iter().map(|round| round[index][figure]));
        let ratio = |figure: usize| {
            median(
                rounds
                    .iter()
                    .map(|round| round[index][figure] / round[0][figure]),
            )
        };
        println!("{name} ({} functions)", functions[index]);
        print_ratio(
            ratio(0),
            &format!("requests/s: {:.0}", of(0) / seconds),
            None,
        );
        print_ratio(
            ratio(1),
            &format!("p99 of a request: {:.2} ms", of(1) / 1e6),
            None,
        );
        print_ratio(
            ratio(2),
            &format!("computing, units/s: {:.0}", of(2) / seconds),
            None,
        );
    }
    Ok(())
}

/// Ends it as Ctrl-C does.
pub fn end(mut goinstr: Child) -> Result<()> {
    let pid = rustix::process::Pid::from_child(&goinstr);
    rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
    ensure!(goinstr.wait()?.success(), "goinstr failed");
    Ok(())
}

/// Starts goinstr on a process; it, measuring, and how many functions it measures.
pub fn attach(pid: u32, arguments: &[&str]) -> Result<(Child, u64)> {
    let mut goinstr = Command::new(Path::new(env!("CARGO_BIN_EXE_goinstr")))
        .args(["attach", "--output", "json", "--pid", &pid.to_string()])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut lines = BufReader::new(goinstr.stdout.take().context("no stdout")?).lines();
    let session: serde_json::Value = loop {
        let line = lines.next().context("goinstr measures nothing")??;
        let line: serde_json::Value = serde_json::from_str(&line)?;
        if line["type"] == "session" {
            break line;
        }
    };
    // Read to the end, or its last words would find nobody.
    std::thread::spawn(move || lines.for_each(drop));
    Ok((goinstr, session["functions"].as_u64().unwrap_or(0)))
}
