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
    /// The kernel's verifier goes through a million instructions at most, and how many there are is not the same for
    /// each kernel's.
    #[error(
        "the verifier of this kernel ({release}) gives up on the probe program `{program}`, which is too much for it with \
         these options: {TOO_LARGE}"
    )]
    TooLarge {
        /// Name of the program.
        program: String,
        /// As `uname -r` says.
        release: String,
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

/// What makes programs smaller, the most first.
const TOO_LARGE: &str = "leave out --states, else --stack, --args, --returns or --where";

impl AttachError {
    /// What to do next, by itself: where goinstr can't even be measured by itself.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::NotPermitted { what } => rights(what, &Capability::missing()),
            Self::NoBpf | Self::NoBtf | Self::Order | Self::NoWindows => {
                "install a newer kernel: goinstr needs Linux 5.17 or newer with BPF, and is best from 6.10 on"
                    .to_owned()
            }
            Self::Kernel { needs, .. } => needs.clone(),
            Self::NoUprobes => {
                "a kernel with CONFIG_UPROBE_EVENTS and CONFIG_BPF_EVENTS".to_owned()
            }
            Self::Map { .. } => {
                "ulimit -l unlimited, or a larger memory limit of the control group (memory.max)"
                    .to_owned()
            }
            Self::Holder { .. } => {
                "allow more processes: ulimit -u, or pids.max of the control group".to_owned()
            }
            Self::HolderGone => {
                "find out who kills processes named uprobe-holder, and try again".to_owned()
            }
            Self::Calibration { .. } => {
                "try again when the machine is less busy; --raw --no-guard measures without".to_owned()
            }
            Self::TooManySites { .. } => "ulimit -n 65536, or choose fewer functions".to_owned(),
            Self::TooLarge { .. } => TOO_LARGE.to_owned(),
            Self::ReturnsByKernel { .. } => "leave --ret-by out".to_owned(),
            Self::Program { .. } | Self::Gone { .. } | Self::Arm { .. } | Self::Features { .. } => {
                "try --attach-by perf_event; and please report it, with the output of goinstr doctor -vv".to_owned()
            }
        }
    }
}

/// What mends a refusal to a user who lacks these capabilities.
fn rights(what: &str, missing: &[Capability]) -> String {
    match missing {
        [] if what == ARM_BY_PERF && !Capability::SysAdmin.is_ours() => {
            capability::remedy(&[Capability::SysAdmin])
        }
        [] => "let the seccomp profile or the security module that refuses it allow bpf(2) and perf_event_open(2), or \
               run goinstr on the machine itself"
            .to_owned(),
        _ => capability::remedy(&[]),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_says_what_to_do() {
        let source = || io::Error::from_raw_os_error(libc::ENOMEM);
        for (error, remedy) in [
            (AttachError::NoBpf, "5.17"),
            (AttachError::NoBtf, "5.17"),
            (AttachError::NoUprobes, "CONFIG_UPROBE_EVENTS"),
            (
                AttachError::TooLarge {
                    program: "entry".to_owned(),
                    release: String::new(),
                },
                "leave out --states",
            ),
            (
                AttachError::Kernel {
                    release: String::new(),
                    lacks: String::new(),
                    needs: "a kernel that has it".to_owned(),
                },
                "a kernel that has it",
            ),
            (
                AttachError::Map {
                    what: String::new(),
                    source: source(),
                },
                "ulimit -l",
            ),
            (AttachError::Holder { source: source() }, "ulimit -u"),
            (AttachError::Calibration { source: source() }, "--raw"),
            (
                AttachError::TooManySites { sites: 9, limit: 8 },
                "ulimit -n",
            ),
            (
                AttachError::Program {
                    program: String::new(),
                    reason: String::new(),
                },
                "--attach-by perf_event",
            ),
        ] {
            assert!(error.remedy().contains(remedy), "{error}");
        }
        assert!(rights("to arm", &[Capability::Bpf]).contains("setcap"));
        assert!(rights("to arm", &[]).contains("seccomp"));
    }
}
