//! The two sides of `goinstr diff`: recordings, or processes that are measured for it.
//!
//! A process is measured by a `goinstr record` of its own, into memory: each measures as if it were
//! alone, and both can go on at once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IsTerminal as _, Seek as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::error::ErrorKind;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, kill_process};

use tokio::signal::unix::{SignalKind, signal};

use super::args::time;
use super::config::usage;
use super::diff::{gathered, gathered_file};
use super::failure::Failure;
use crate::sink::Gathered;

/// Which processes are to be measured, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Live {
    /// Measure this process; twice: compare two processes, measured at once; once and no recording:
    /// compare it with itself before and after what you do between
    #[arg(long)]
    pid: Vec<u32>,
    /// Measure each for so long
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "30s", requires = "pid")]
    duration: Duration,
    /// Between before and after, wait so long, and not for Enter
    #[arg(long, value_name = "TIME", value_parser = time, requires = "pid")]
    between: Option<Duration>,
    /// What the probes may cost: percent of the CPU time that a process uses, and of one CPU where
    /// it uses less
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0, requires = "pid")]
    max_overhead: f64,
    /// Leave out no function, however much it costs
    #[arg(long, requires = "pid")]
    no_guard: bool,
}

/// The calls of both sides, by function.
pub(super) struct Sides {
    pub before: BTreeMap<String, Gathered>,
    pub after: BTreeMap<String, Gathered>,
}

impl Live {
    /// What is to be compared, measured if it has to be. `words`: recordings and patterns.
    pub fn sides(&self, mut words: Vec<String>) -> Result<Sides, Failure> {
        let wrong = |message: &str| Err(usage("diff", ErrorKind::WrongNumberOfValues, message));
        match self.pid[..] {
            [] => match <[String; 2]>::try_from(words) {
                Ok([before, after]) => Ok(Sides {
                    before: gathered_file(&PathBuf::from(before))?,
                    after: gathered_file(&PathBuf::from(after))?,
                }),
                Err(_) => wrong("compare what? give two recordings, or --pid"),
            },
            [first, second] => {
                let _interrupts = Interrupts::pass()?;
                // Both under way before either is waited for.
                let before = self.start(first, &words)?;
                let after = self.start(second, &words)?;
                Ok(Sides {
                    before: before.finish()?,
                    after: after.finish()?,
                })
            }
            [pid] => {
                let recording = words.first().map(PathBuf::from);
                let before = match recording.filter(|path| path.is_file()) {
                    Some(path) => {
                        words.remove(0);
                        gathered_file(&path)?
                    }
                    None => {
                        if self.between.is_none() && !answers() {
                            return wrong(
                                "before and after what? nobody can press Enter here: give --between TIME",
                            );
                        }
                        // Ctrl-C up to here means never mind.
                        let before = self.start(pid, &words)?.finish()?;
                        self.wait()?;
                        before
                    }
                };
                let _interrupts = Interrupts::pass()?;
                Ok(Sides {
                    before,
                    after: self.start(pid, &words)?.finish()?,
                })
            }
            _ => wrong("--pid more than twice: two are compared"),
        }
    }

    /// Begins to measure a process.
    fn start(&self, pid: u32, patterns: &[String]) -> Result<Side, Failure> {
        let failed = |error: io::Error| {
            Failure::failed(format_args!("can't measure process {pid}: {error}"))
        };
        // Not closed on exec: the child writes to it.
        let memory = memfd_create("goinstr-diff", MemfdFlags::empty())
            .map_err(|error| failed(error.into()))?;
        let memory = File::from(memory);
        let mut record = Command::new("/proc/self/exe");
        record
            .args(["record", "--pid", &pid.to_string(), "--calls", "0"])
            .args(["--duration", &format!("{}ns", self.duration.as_nanos())])
            .args(["--max-overhead", &self.max_overhead.to_string()])
            .args(self.no_guard.then_some("--no-guard"))
            .arg("--recording")
            .arg(format!("/proc/self/fd/{}", memory.as_raw_fd()))
            .arg("--")
            .args(patterns)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        // SAFETY: a single system call between fork and exec.
        unsafe {
            record.pre_exec(|| {
                // Nobody would wait for what it measures.
                rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
                Ok(())
            });
        }
        let child = record.spawn().map_err(failed)?;
        Ok(Side { pid, child, memory })
    }

    /// Waits for what is to be compared to be done.
    fn wait(&self) -> Result<(), Failure> {
        if let Some(between) = self.between {
            std::thread::sleep(between);
            return Ok(());
        }
        eprintln!("goinstr: measured before; do what you want to compare, then press Enter");
        let read = io::stdin().read_line(&mut String::new());
        match read {
            Ok(0) => Err(Failure::failed(
                "stdin was closed before anything was measured after: nothing to compare",
            )),
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::failed(format_args!("can't read stdin: {error}"))),
        }
    }
}

/// Whether a line may come from stdin: it is a terminal or a pipe.
fn answers() -> bool {
    let stdin = io::stdin();
    stdin.is_terminal()
        || rustix::fs::fstat(&stdin).is_ok_and(|stat| {
            rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Fifo
        })
}

/// Ctrl-C reaches those who measure, which end in good order: what they have is compared.
struct Interrupts {
    _runtime: tokio::runtime::Runtime,
}

impl Interrupts {
    fn pass() -> Result<Self, Failure> {
        let pass = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()?;
            let _here = runtime.enter();
            // That it is waited for at all keeps it from ending this process, from here on.
            drop(signal(SignalKind::interrupt())?);
            drop(_here);
            Ok(Self { _runtime: runtime })
        };
        pass().map_err(|error: io::Error| Failure::failed(error))
    }
}

/// A measurement under way; ended when dropped.
struct Side {
    pid: u32,
    child: Child,
    memory: File,
}

impl Side {
    /// Waits for its end; what was measured.
    fn finish(mut self) -> Result<BTreeMap<String, Gathered>, Failure> {
        let pid = self.pid;
        let failed = |what: String| {
            Failure::failed(format_args!("process {pid} could not be measured: {what}"))
        };
        let status = self
            .child
            .wait()
            .map_err(|error| failed(error.to_string()))?;
        match status.code() {
            Some(0) => {}
            // It has said why.
            Some(3) => {
                return Err(Failure::NothingMeasurable(format!(
                    "nothing of process {pid} could be measured"
                )));
            }
            _ => return Err(failed(status.to_string())),
        }
        self.memory
            .rewind()
            .map_err(|error| failed(error.to_string()))?;
        gathered(&self.memory, &format!("the measurement of process {pid}"))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id());
        // Where it has been waited for there is nothing left to end.
        if let (Ok(None), Some(pid)) = (self.child.try_wait(), pid.ok().and_then(Pid::from_raw)) {
            let _ = kill_process(pid, Signal::TERM);
            let _ = self.child.wait();
        }
    }
}
