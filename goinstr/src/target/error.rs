//! Why a process can't be a target, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::{Capability, Pid, capability};

/// Candidates that an error lists by name; the rest are a number.
const LISTED: usize = 20;

/// Why there is no target. Each message is one line: [what](TargetError::what), on what,
/// [what to do next](TargetError::remedy).
#[derive(Debug, Error)]
pub enum TargetError {
    /// `--pid` names no process (of this pid namespace).
    NoSuchPid { pid: Pid },
    /// `--pid` names a thread that doesn't lead its process.
    Thread { tid: Pid, pid: Pid },
    /// It was there and is gone.
    Vanished { pid: Pid },
    /// It has no userspace.
    KernelThread { pid: Pid, comm: String },
    /// It has exited and waits for its parent.
    Zombie { pid: Pid, comm: String },
    /// We may not look at it.
    Permission {
        pid: Pid,
        what: &'static str,
        source: io::Error,
    },
    /// No process has this name.
    NoSuchName { name: String, unreadable: usize },
    /// Several processes have this name.
    Ambiguous {
        name: String,
        matches: Vec<Candidate>,
    },
    /// `--exe`'s file can't be opened.
    Executable { path: PathBuf, source: io::Error },
    /// `--exe`'s path is no regular file.
    NotAFile { path: PathBuf },
    /// `/proc` itself is missing or unlike procfs.
    Procfs { path: PathBuf, source: io::Error },
    /// The kernel gave us no handle on the process.
    Pidfd { pid: Pid, source: io::Error },
}

impl TargetError {
    /// What is wrong, on what.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::NoSuchPid { pid } => format!("no process has pid {pid}"),
            Self::Thread { tid, pid } => {
                format!("{tid} is a thread of process {pid}, not a process")
            }
            Self::Vanished { pid } => format!("process {pid} exited while it was looked at"),
            Self::KernelThread { pid, comm } => {
                format!("process {pid} ({comm}) is a kernel thread")
            }
            Self::Zombie { pid, comm } => format!("process {pid} ({comm}) is a zombie"),
            Self::Permission { pid, what, source } => {
                format!("no permission to look at process {pid} ({what}: {source})")
            }
            Self::NoSuchName { name, .. } => format!(
                "no process is named {name:?} (neither its comm nor the base name of its executable)"
            ),
            Self::Ambiguous { name, matches } => {
                format!("{} processes are named {name:?}", matches.len())
            }
            Self::Executable { path, source } => {
                format!("can't open the executable {}: {source}", path.display())
            }
            Self::NotAFile { path } => format!("{} is not a regular file", path.display()),
            Self::Procfs { path, source } => format!("can't read {}: {source}", path.display()),
            Self::Pidfd { pid, source } => {
                format!("can't watch process {pid} (pidfd_open: {source})")
            }
        }
    }

    /// What to do next.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::NoSuchPid { .. } => {
                "give the pid as this machine (or container) numbers it, `pgrep -a NAME` lists them; or use --name"
                    .to_owned()
            }
            Self::Thread { pid, .. } => format!("use --pid {pid}"),
            Self::Vanished { .. } => "start it again and use its new pid".to_owned(),
            Self::KernelThread { .. } => "it runs no Go code; choose another process".to_owned(),
            Self::Zombie { .. } => "it has exited already; choose its successor".to_owned(),
            Self::Permission { .. } => what_it_takes(),
            Self::NoSuchName { unreadable, .. } => {
                format!("see `ps -e`, or use --pid{}", hidden(*unreadable))
            }
            Self::Ambiguous { matches, .. } => format!("use --pid with one of {}", listed(matches)),
            Self::Executable { .. } => {
                "give the path of a file that this user may read".to_owned()
            }
            Self::NotAFile { .. } => "give the path of the executable itself".to_owned(),
            Self::Procfs { .. } => "goinstr needs /proc (mount -t proc proc /proc)".to_owned(),
            Self::Pidfd { .. } => "goinstr needs Linux 5.3 or newer".to_owned(),
        }
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let between = match self {
            Self::Executable { .. } | Self::Procfs { .. } => ';',
            _ => ':',
        };
        write!(f, "{}{between} {}", self.what(), self.remedy())
    }
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
