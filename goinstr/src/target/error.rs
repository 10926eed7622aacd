//! Why a process can't be a target, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::{Capability, Pid, capability};

/// Candidates that an error lists by name; the rest are a number.
const LISTED: usize = 20;

/// Why there is no target. Each message is one line: what, on what, what to do next.
#[derive(Debug, Error)]
pub enum TargetError {
    /// `--pid` names no process (of this pid namespace).
    #[error(
        "no process has pid {pid}: give the pid as this machine (or container) numbers it, \
         `pgrep -a NAME` lists them; or use --name"
    )]
    NoSuchPid { pid: Pid },
    /// `--pid` names a thread that doesn't lead its process.
    #[error("{tid} is a thread of process {pid}, not a process: use --pid {pid}")]
    Thread { tid: Pid, pid: Pid },
    /// It was there and is gone.
    #[error("process {pid} exited while it was looked at: start it again and use its new pid")]
    Vanished { pid: Pid },
    /// It has no userspace.
    #[error(
        "process {pid} ({comm}) is a kernel thread: it runs no Go code; choose another process"
    )]
    KernelThread { pid: Pid, comm: String },
    /// It has exited and waits for its parent.
    #[error("process {pid} ({comm}) is a zombie: it has exited already; choose its successor")]
    Zombie { pid: Pid, comm: String },
    /// We may not look at it.
    #[error(
        "no permission to look at process {pid} ({what}: {source}): {}",
        what_it_takes()
    )]
    Permission {
        pid: Pid,
        what: &'static str,
        source: io::Error,
    },
    /// No process has this name.
    #[error(
        "no process is named {name:?} (neither its comm nor the base name of its executable): \
         see `ps -e`, or use --pid{}",
        hidden(*.unreadable)
    )]
    NoSuchName { name: String, unreadable: usize },
    /// Several processes have this name.
    #[error("{} processes are named {name:?}: use --pid with one of {}", .matches.len(), listed(.matches))]
    Ambiguous {
        name: String,
        matches: Vec<Candidate>,
    },
    /// `--exe`'s file can't be opened.
    #[error("can't open the executable {}: {source}; give the path of a file that this user may read", .path.display())]
    Executable { path: PathBuf, source: io::Error },
    /// `--exe`'s path is no regular file.
    #[error("{} is not a regular file: give the path of the executable itself", .path.display())]
    NotAFile { path: PathBuf },
    /// `/proc` itself is missing or unlike procfs.
    #[error("can't read {}: {source}; goinstr needs /proc (mount -t proc proc /proc)", .path.display())]
    Procfs { path: PathBuf, source: io::Error },
    /// The kernel gave us no handle on the process.
    #[error("can't watch process {pid} (pidfd_open: {source}): goinstr needs Linux 5.3 or newer")]
    Pidfd { pid: Pid, source: io::Error },
}

/// One of several processes that a name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its pid.
    pub pid: Pid,
    /// Path of its executable, or its comm where that may not be read.
    pub what: String,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.pid, self.what)
    }
}

/// Another user's process takes the one capability; with it, only a file that this user may not read
/// takes another.
fn what_it_takes() -> String {
    if Capability::SysPtrace.is_ours() {
        return format!(
            "this user may not read the file; goinstr lacks CAP_DAC_READ_SEARCH: {}",
            capability::remedy(&[Capability::DacReadSearch])
        );
    }
    format!("goinstr lacks CAP_SYS_PTRACE: {}", capability::remedy(&[]))
}

fn listed(candidates: &[Candidate]) -> String {
    let mut text = String::new();
    for (index, candidate) in candidates.iter().take(LISTED).enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        text.push_str(&candidate.to_string());
    }
    if candidates.len() > LISTED {
        text.push_str(&format!(" and {} more", candidates.len() - LISTED));
    }
    text
}

fn hidden(unreadable: usize) -> String {
    match unreadable {
        0 => String::new(),
        n => {
            format!("; the executables of {n} processes may not be read by this user: try as root")
        }
    }
}
