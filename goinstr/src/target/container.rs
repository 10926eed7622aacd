//! How a process stands to this goinstr: namespaces, the file system of its executable, features
//! of its threads.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use super::procfs::Status;
use super::{Pid, Process};

/// `OVERLAYFS_SUPER_MAGIC` of the kernel's include/uapi/linux/magic.h.
const OVERLAYFS: u64 = 0x794c_7630;

/// What differs between a process's surroundings and ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its pid in a pid namespace that is not ours.
    pub pid_inside: Option<Pid>,
    /// Whether we are in the machine's own pid namespace, where `/proc` numbers as the kernel does.
    pub ours_is_initial: bool,
    /// Whether its mounts are others than ours, so that its paths don't lead to the same files here.
    pub other_mounts: Option<bool>,
    /// Whether its executable lies on overlayfs.
    pub overlay: bool,
    /// Whether it keeps a shadow stack (x86's CET), where the kernel tells.
    pub shadow_stack: bool,
}

impl Container {
    /// Looks at `process`. What this user may not see is taken for being as usual.
    #[must_use]
    pub fn of(process: &Process) -> Self {
        let pid = process.pid();
        let inode = |path: String| std::fs::metadata(path).ok().map(|file| file.ino());
        let same = |which: &str| {
            let theirs = inode(format!("/proc/{pid}/ns/{which}"))?;
            Some(theirs == inode(format!("/proc/self/ns/{which}"))?)
        };
        let inside = process.namespace().map(|namespace| namespace.pid_inside);
        let overlay = File::open(process.executable().open_path())
            .ok()
            .and_then(|file| rustix::fs::fstatfs(file).ok())
            .is_some_and(|system| u64::try_from(system.f_type) == Ok(OVERLAYFS));
        Self {
            pid_inside: inside.filter(|_| same("pid") == Some(false)),
            ours_is_initial: super::namespace::ours_is_initial(),
            other_mounts: same("mnt").map(|same| !same),
            overlay,
            shadow_stack: Status::read(pid).is_ok_and(|status| status.shadow_stack),
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
        assert_eq!(container.pid_inside, None);
        assert_eq!(container.other_mounts, Some(false));
    }
}
