//! How soon a busy server that is covered runs at its own speed again:
//! `cargo bench --bench cover_settles`, as root.
//!
//! The server says ten times a second how many requests it has served and what CPU time they took.
//! What is compared is requests by CPU second, so that what else the machine does matters little:
//! that of each second while it is covered with that of the seconds before and after, round by round.

#[path = "../tests/support/build.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod build;
#[path = "../tests/support/toolchain.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod toolchain;

use std::{
    io::{BufRead as _, BufReader, Lines},
    process::{Child, ChildStdout, Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

/// Pairs of an uncovered and a covered time.
const ROUNDS: usize = 5;
/// Seconds before each covering, and after the last.
const QUIET: usize = 3;
/// Seconds of covering that are looked at.
const COVERED: usize = 10;
/// The last of them that count as settled.
const SETTLED: usize = 4;

/// What is covered, and how it is called.
const WAYS: [(&str, &[&str]); 3] = [
    ("every function", &["*"]),
    ("the functions of the main module", &[]),
    ("the lines of the main module", &["--lines"]),
];

fn main() -> ExitCode {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let exe = build::Build::of("busy").executable()?;
    for (name, args) in WAYS {
        let mut server = Server::start(&exe)?;
        let mut rounds: Vec<Vec<f64>> = Vec::new();
        let mut before = server.rate(QUIET)?;
        let mut armed = Vec::new();
        for _ in 0..ROUNDS {
            let mut covering = Command::new(env!("CARGO_BIN_EXE_goinstr"))
                .args(["cover", "--output", "json", "--pid"])
                .arg(server.child.id().to_string())
                .args(args)
                .stdout(Stdio::piped())
                .spawn()?;
            let out = covering.stdout.take().context("no stdout")?;
            // Read beside, so that goinstr never waits.
            let lines =
                thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).last());
            let seconds: Vec<f64> = (0..COVERED)
                .map(|_| server.rate(1))
                .collect::<Result<_>>()?;
            ensure!(covering.try_wait()?.is_none(), "goinstr ended early");
            Command::new("kill")
                .args(["-INT", &covering.id().to_string()])
                .status()?;
            covering.wait()?;
            armed.push(lines.join().ok().flatten().unwrap_or_default());
            // Until its own end has passed.
            thread::sleep(Duration::from_millis(500));
            server.drain();
            let after = server.rate(QUIET)?;
            let own = f64::midpoint(before, after);
            rounds.push(seconds.iter().map(|rate| rate / own).collect());
            before = after;
        }
        println!("{name}, {ROUNDS} rounds:");
        for second in 0..COVERED {
            let of = rounds.iter().map(|round| round[second]);
            println!(
                "  second {:>2}: {:.3} of its own speed",
                second + 1,
                median(of)
            );
        }
        let settled = rounds
            .iter()
            .map(|round| round[COVERED - SETTLED..].iter().sum::<f64>() / SETTLED as f64);
        println!(
            "  settled (the last {SETTLED} seconds): {:.3} of its own speed (goal: at least 0.97)",
            median(settled)
        );
        println!("  {}\n", armed.last().map_or("", String::as_str));
    }
    Ok(())
}

/// The busy server.
struct Server {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    last: (f64, f64),
}

impl Server {
    fn start(exe: &std::path::Path) -> Result<Self> {
        let mut child = Command::new(exe).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().context("no stdout")?;
        let mut lines = BufReader::new(out).lines();
        lines.next().context("no `ready`")??;
        let mut server = Self {
            child,
            lines,
            last: (0.0, 0.0),
        };
        // Its caches and heap get warm.
        server.rate(QUIET)?;
        Ok(server)
    }

    /// Requests by CPU second, over so many seconds from now.
    fn rate(&mut self, seconds: usize) -> Result<f64> {
        let first = self.last;
        for _ in 0..seconds * 10 {
            self.next()?;
        }
        let (requests, cpu_ns) = (self.last.0 - first.0, self.last.1 - first.1);
        Ok(requests / cpu_ns.max(1.0))
    }

    fn next(&mut self) -> Result<()> {
        let line = self.lines.next().context("the server has ended")??;
        let mut words = line.split(' ').map(str::parse::<f64>);
        let mut word = || words.next().and_then(Result::ok).context("no figure");
        self.last = (word()?, word()?);
        Ok(())
    }

    /// What it has said while nobody listened.
    fn drain(&mut self) {
        for _ in 0..4 {
            let _ = self.next();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
