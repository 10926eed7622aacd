//! How a process stands to this goinstr: namespaces, the file system of its executable, features
//! of its threads.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use super::procfs::Status;
use super::{Pid, Process};

/// `OVERLAYFS_SUPER_MAGIC` of the kernel's include/uapi/linux/magic.h.
const OVERLAYFS: u64 = 0x794c_7630;

/// What differs between a process's surroundings and ours. `None`: this user may not see it, or the process
/// has exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Container {
    /// How `/proc` numbers it here and where it lives.
    pub pids: Option<Pids>,
    /// Whether we are in the machine's own pid namespace, where `/proc` numbers as the kernel does.
    pub ours_is_initial: bool,
    /// Whether its mounts are others than ours, so that its paths don't lead to the same files here.
    pub other_mounts: Option<bool>,
    /// Whether its executable lies on overlayfs.
    pub overlay: Option<bool>,
    /// Whether it keeps a shadow stack (x86's CET), where the kernel tells.
    pub shadow_stack: Option<bool>,
}

/// The pid namespace of a process, beside ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pids {
    /// Ours.
    Ours,
    /// Another, in which it has this pid.
    Inside(Pid),
}

impl Container {
    /// Looks at `process`.
    #[must_use]
    pub fn of(process: &Process) -> Self {
        let pid = process.pid();
        let inode = |path: String| std::fs::metadata(path).ok().map(|file| file.ino());
        let same = |which: &str| {
            let theirs = inode(format!("/proc/{pid}/ns/{which}"))?;
            Some(theirs == inode(format!("/proc/self/ns/{which}"))?)
        };
        let pids = || match same("pid")? {
            true => Some(Pids::Ours),
            false => Some(Pids::Inside(process.namespace()?.pid_inside)),
        };
        let overlay = File::open(process.executable().open_path())
            .ok()
            .and_then(|file| rustix::fs::fstatfs(file).ok())
            .map(|system| u64::try_from(system.f_type) == Ok(OVERLAYFS));
        Self {
            pids: pids(),
            ours_is_initial: super::namespace::ours_is_initial(),
            other_mounts: same("mnt").map(|same| !same),
            overlay,
            shadow_stack: Status::read(pid).ok().map(|status| status.shadow_stack),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_its_own_surroundings() {
        let own = Process::open(Pid(std::process::id())).expect("opens");
        let container = Container::of(&own);
        assert_eq!(container.pids, Some(Pids::Ours));
        assert_eq!(container.other_mounts, Some(false));
    }
}
