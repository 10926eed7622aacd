//! Pid namespaces: how the kernel program must compare the target's pid.
//!
//! `bpf_get_current_pid_tgid` numbers processes as the initial namespace does, `/proc` as ours
//! does. Where those differ, `bpf_get_ns_current_pid_tgid(dev, ino)` gives a task's pid inside its
//! own namespace, if that is the one of `dev` and `ino` (the kernel's kernel/bpf/helpers.c).

use std::io;
use std::os::unix::fs::MetadataExt;

use super::Pid;
use super::procfs::Status;

/// `PROC_PID_INIT_INO` of the kernel's include/linux/proc_ns.h.
const INITIAL_INODE: u64 = 0xefff_fffc;

/// The pid namespace that a process lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PidNamespace {
    /// Device of the namespace's file.
    pub dev: u64,
    /// Its inode.
    pub ino: u64,
    /// The process's pid inside it.
    pub pid_inside: Pid,
}

impl PidNamespace {
    /// The namespace of process `pid`.
    pub(super) fn of(pid: Pid, status: &Status) -> io::Result<Self> {
        let file = std::fs::metadata(format!("/proc/{pid}/ns/pid"))?;
        Ok(Self {
            dev: file.dev(),
            ino: file.ino(),
            pid_inside: status.ns_pids.last().copied().map_or(pid, Pid),
        })
    }

    /// Whether it is the machine's own, in which the kernel's numbers are the user's.
    #[must_use]
    pub fn is_initial(&self) -> bool {
        self.ino == INITIAL_INODE
    }
}

/// Whether goinstr itself runs in the initial namespace, so that `/proc`'s pids are the kernel's.
pub(super) fn ours_is_initial() -> bool {
    std::fs::metadata("/proc/self/ns/pid").is_ok_and(|file| file.ino() == INITIAL_INODE)
}
