//! What can go wrong between a plan and armed probes.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::target::{Capability, capability};

/// What is refused where the kernel wants more for perf events than for `uprobe.multi`.
pub(super) const ARM_BY_PERF: &str = "to arm uprobes by perf events";

/// Why the probes could not be armed. Each message says what failed and what to do next.
#[derive(Debug, Error)]
pub enum AttachError {
    /// The kernel refuses BPF to this user.
    #[error(
        "the kernel refuses {what}: operation not permitted; {}",
        what_it_takes(what)
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
    /// Sites are perf events, each of which takes a tenth of a second to go.
    #[error(
        "--duty needs uprobe.multi (Linux 6.6, 6.10 to be usable): one perf event a site can't be armed and disarmed that \
         often; leave --duty out, or count calls alone by --count"
    )]
    NoWindows,
    /// The kernel takes no types with a program.
    #[error(
        "this kernel takes no type information (BTF) with a BPF program, without which it has no bpf_loop; goinstr \
         needs Linux 5.17 or newer"
    )]
    NoBtf,
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
    /// The kernel lacks what the probe programs are made with.
    #[error(
        "this kernel ({release}) can't run goinstr's probe programs: {lacks}; goinstr needs {needs}"
    )]
    Kernel {
        /// As `uname -r` prints it.
        release: String,
        /// What it lacks, by name.
        lacks: String,
        /// What has it.
        needs: String,
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
    /// Functions can't be taken out of a measurement without a miscount of the others.
    #[error(
        "this kernel runs the older of two probes at one place first, so that no function can be shed exactly"
    )]
    Order,
    /// Whether they can could not be tried.
    #[error("can't try whether functions can be shed exactly: {source}")]
    Features {
        /// Why.
        source: io::Error,
    },
    /// The process that arms and holds the probes can't be started.
    #[error(
        "can't start the process that holds the probes: {source}; is the number of processes limited (ulimit -u, pids.max)?"
    )]
    Holder {
        /// Why.
        source: io::Error,
    },
    /// Somebody killed it.
    #[error(
        "the process that holds the probes (`uprobe-holder`) was killed: they are gone, and what was called since is in \
         no count; measure again"
    )]
    HolderGone,
    /// What probes cost could not be measured.
    #[error(
        "can't measure what probes cost on this machine: {source}; --raw measures without that"
    )]
    Calibration {
        /// Why.
        source: io::Error,
    },
    /// Returns can't be made by the program here.
    #[error("the kernel program can't make the returns: {why}; leave --ret-by out")]
    ReturnsByKernel {
        /// Why.
        why: String,
    },
    /// One perf event a site, and the limit on open files is too low for that.
    #[error(
        "this kernel has no uprobe.multi (Linux 6.6), so each of the {sites} sites takes an open file, and the \
         limit is {limit}; choose fewer functions, or raise the limit (ulimit -n)"
    )]
    TooManySites {
        /// How many sites.
        sites: usize,
        /// The limit on open files.
        limit: u64,
    },
}

/// The capabilities that are missing, by name; where none is, who else may refuse.
fn what_it_takes(what: &str) -> String {
    match Capability::missing().as_slice() {
        [] if what == ARM_BY_PERF && !Capability::SysAdmin.is_ours() => format!(
            "probes by perf events take CAP_SYS_ADMIN: {}",
            capability::remedy(&[Capability::SysAdmin])
        ),
        [] => "goinstr has the capabilities, so a lockdown, a seccomp profile or a security module refuses: \
               `goinstr doctor` shows what"
            .to_owned(),
        missing => format!(
            "goinstr lacks {}: {}",
            capability::names(missing),
            capability::remedy(&[])
        ),
    }
}
