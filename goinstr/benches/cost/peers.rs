//! goinstr against other tools, on the same function of the same program.
//!
//! bpftrace is taken from PATH; Delve is built from the Go module proxy into the benchmark's own folder.
//! What can't be had is said and left out.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use goinstr::binary::GoBinary;

use crate::{
    rounds::{go_first, median, print_ratio},
    target::{self, Target},
    ways::{Way, plan_of},
};

const ROUNDS: usize = 7;
const FUNCTION: &str = "main.work";
/// Calls of a round; and where the other tool stops the program at each call.
const CALLS: u64 = 3_000;
const FEW_CALLS: u64 = 300;
/// The last Delve that builds with the oldest Go that this benchmark is run with.
const DELVE: &str = "github.com/go-delve/delve/cmd/dlv@v1.25.2";
/// From its first words to its probes: neither tool says when these are in place.
const SETTLE: Duration = Duration::from_millis(1_500);

/// What else measures the function.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Peer {
    /// Entry, return, and a histogram of the time between, by thread.
    Bpftrace,
    /// A line for each call and each return, from eBPF.
    DelveEbpf,
    /// A line for each, from breakpoints.
    Delve,
}

impl Peer {
    const ALL: [Self; 3] = [Self::Bpftrace, Self::DelveEbpf, Self::Delve];

    fn name(self) -> &'static str {
        match self {
            Self::Bpftrace => "bpftrace, entry + return + hist()",
            Self::DelveEbpf => "dlv trace --ebpf",
            Self::Delve => "dlv trace",
        }
    }

    fn goal(self) -> Option<&'static str> {
        (self == Self::Bpftrace).then_some("at most 0.6")
    }

    fn calls(self) -> u64 {
        match self {
            Self::Delve => FEW_CALLS,
            _ => CALLS,
        }
    }

    /// Its program, if it can be had.
    fn program(self) -> Result<PathBuf> {
        match self {
            Self::Bpftrace => {
                let version = Command::new("bpftrace").arg("--version").output();
                let version = version.context("not installed: apt-get install bpftrace")?;
                print!("{}", String::from_utf8_lossy(&version.stdout));
                Ok("bpftrace".into())
            }
            Self::Delve | Self::DelveEbpf => {
                let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers");
                let program = folder.join("dlv");
                if !program.exists() {
                    let built = Command::new("go")
                        .args(["install", DELVE])
                        .env("GOBIN", &folder)
                        .status()?;
                    ensure!(built.success(), "go install {DELVE} failed");
                }
                Ok(program)
            }
        }
    }

    fn command(self, program: &Path, exe: &Path, pid: u32) -> Result<Command> {
        let mut command = Command::new(program);
        match self {
            Self::Bpftrace => {
                // Debian's can't tell instructions apart, and refuses places within functions without it.
                command.args(["--unsafe", "-p", &pid.to_string(), "-e", &script(exe)?]);
            }
            Self::Delve | Self::DelveEbpf => {
                command.args(["trace", "-p", &pid.to_string()]);
                if self == Self::DelveEbpf {
                    command.arg("--ebpf");
                }
                command.arg("^main\\.work$");
            }
        }
        Ok(command)
    }
}

/// Times the function under goinstr and under each peer, in turn.
pub fn run() -> Result<()> {
    go_first();
    let exe = target::build("calls")?;
    println!("{ROUNDS} rounds, interleaved; what a call costs under goinstr ÷ under the other\n");
    for peer in Peer::ALL {
        let ratios = peer
            .program()
            .and_then(|program| rounds(peer, &program, &exe));
        match ratios {
            Ok(rounds) => {
                let ratio = median(rounds.iter().map(|(own, other)| own / other));
                let other = median(rounds.iter().map(|(_, other)| *other));
                print_ratio(
                    ratio,
                    &format!("{}: {other:.0} ns", peer.name()),
                    peer.goal(),
                );
            }
            Err(error) => println!("   skipped  {}: {error:#}", peer.name()),
        }
    }
    Ok(())
}

/// What goinstr and the peer add to a call, in ns.
fn rounds(peer: Peer, program: &Path, exe: &Path) -> Result<Vec<(f64, f64)>> {
    (0..ROUNDS)
        .map(|_| {
            // A new process each time: not all tools leave one as they have found it.
            let mut target = Target::start(exe)?;
            let untraced = target.time("work", CALLS * 100)?;
            let own = Way::Kernel.time(exe, &mut target, CALLS)?;
            let running = Running::start(peer.command(program, exe, target.pid())?)?;
            let other = target.time("work", peer.calls())?;
            let told = running.end()?;
            ensure!(
                told >= peer.calls(),
                "it has told {told} of {} calls",
                peer.calls()
            );
            Ok((own - untraced, other - untraced))
        })
        .collect()
}

/// A program for bpftrace that does what goinstr does, as its users write it.
fn script(exe: &Path) -> Result<String> {
    let binary = GoBinary::open(exe)?;
    let function = binary.named(FUNCTION).next().context("no such function")?;
    let plan = plan_of(exe, FUNCTION)?;
    let exe = exe.display();
    let returns: Vec<String> = plan.functions[0]
        .exits
        .iter()
        .map(|exit| {
            let offset = exit.address.0 - function.entry.0;
            format!("uprobe:{exe}:\"{FUNCTION}\"+{offset}")
        })
        .collect();
    Ok(format!(
        "uprobe:{exe}:\"{FUNCTION}\" {{ @start[tid] = nsecs; }} \
         {} /@start[tid]/ {{ @ns = hist(nsecs - @start[tid]); delete(@start[tid]); }}",
        returns.join(", ")
    ))
}

/// A tool that runs.
struct Running {
    child: Child,
    said: [JoinHandle<u64>; 2],
}

impl Running {
    fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().context("no stdout")?;
        let err = child.stderr.take().context("no stderr")?;
        let said = [told(out), told(err)];
        thread::sleep(SETTLE);
        ensure!(child.try_wait()?.is_none(), "it ended at once");
        Ok(Self { child, said })
    }

    /// Ends it; how many calls it has told of.
    fn end(mut self) -> Result<u64> {
        thread::sleep(SETTLE / 3);
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(100));
            if self.child.try_wait()?.is_some() {
                break;
            }
        }
        let _ = self.child.kill();
        self.child.wait()?;
        Ok(self
            .said
            .map(|said| said.join().unwrap_or(0))
            .into_iter()
            .sum())
    }
}

/// Counts the calls that are told of: a line of the function's, or in a line of a histogram.
fn told(from: impl std::io::Read + Send + 'static) -> JoinHandle<u64> {
    thread::spawn(move || {
        let mut calls = 0;
        for line in BufReader::new(from.take(1 << 30))
            .lines()
            .map_while(Result::ok)
        {
            // `[8K, 16K)           2990 |@@@@   |`
            let slot = line.split_once(')').filter(|_| line.starts_with('['));
            if let Some((_, rest)) = slot {
                let number = rest.split_whitespace().next().unwrap_or_default();
                calls += number.parse::<u64>().unwrap_or(0);
            } else if line.starts_with("> ") && line.contains(FUNCTION) {
                calls += 1;
            }
        }
        calls
    })
}
