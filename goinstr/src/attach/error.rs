//! What can go wrong between a plan and armed probes.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why the probes could not be armed. Each message says what failed and what to do next.
#[derive(Debug, Error)]
pub enum AttachError {
    /// The kernel refuses BPF to this user.
    #[error(
        "the kernel refuses {what}: operation not permitted; run as root, or give goinstr the capabilities \
         CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE (before Linux 5.8: CAP_SYS_ADMIN)"
    )]
    NotPermitted {
        /// What was refused.
        what: &'static str,
    },
    /// The kernel has no BPF system call.
    #[error(
        "this kernel has no BPF (CONFIG_BPF_SYSCALL); goinstr needs Linux 5.17 or newer with BPF"
    )]
    NoBpf,
    /// The kernel can't place uprobes.
    #[error(
        "this kernel has no uprobes for BPF (CONFIG_UPROBES, CONFIG_BPF_EVENTS); goinstr can't measure here"
    )]
    NoUprobes,
    /// The object in this binary does not load.
    #[error(
        "the kernel does not accept the probe program `{program}`: {reason}; please report this with the output of -vv"
    )]
    Program {
        /// Name of the program, or of what else failed to load.
        program: String,
        /// The kernel's or the loader's words.
        reason: String,
    },
    /// A map could not be made or mapped.
    #[error(
        "no room in the kernel for goinstr's tables ({what}: {source}); choose fewer functions, or raise the memory limit"
    )]
    Map {
        /// Which.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The target's file is gone.
    #[error("can't open {exe}: {source}; the process has exited or its executable is out of reach")]
    Gone {
        /// Path of the file.
        exe: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A site or a group of sites is refused.
    #[error("the kernel refuses to arm {sites} sites for `{program}` in {exe}: {source}")]
    Arm {
        /// Name of the program.
        program: &'static str,
        /// How many.
        sites: usize,
        /// Path of the file.
        exe: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What probes cost could not be measured.
    #[error(
        "can't measure what probes cost on this machine: {source}; --raw measures without that"
    )]
    Calibration {
        /// Why.
        source: io::Error,
    },
    /// One perf event a site, and the limit on open files is too low for that.
    #[error(
        "this kernel has no uprobe.multi (Linux 6.6), so each of the {sites} sites takes two open files, and the \
         limit is {limit}; choose fewer functions, or raise the limit (ulimit -n)"
    )]
    TooManySites {
        /// How many sites.
        sites: usize,
        /// The limit on open files.
        limit: u64,
    },
}
