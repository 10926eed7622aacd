//! Opens the files that a process names: what stands there is its own doing, and may have become a FIFO, a device or
//! another file since.
//!
//! A path is resolved first, to something that can be asked what it is and has no effect (`O_PATH`, open(2)). Only a
//! regular file is opened then: by what was resolved, never by its path again.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};

use super::Pid;

/// A regular file, open for reading, and what it was when it was resolved.
pub(super) type Opened = (File, Metadata);

/// Why a file could not be opened.
#[derive(Debug)]
pub(super) enum OpenError {
    /// It is no regular file.
    NotAFile,
    /// What the kernel says.
    Io(io::Error),
}

impl From<rustix::io::Errno> for OpenError {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// The file at a path as it is resolved here: one that the user gave, or a link of procfs.
pub(super) fn regular(path: &Path) -> Result<Opened, OpenError> {
    let resolved = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    opened(resolved)
}

/// The file at a path as it is resolved in the root of process `pid`: see [`regular_within`].
pub(super) fn regular_in_root_of(pid: Pid, path: &Path) -> Result<Opened, OpenError> {
    regular_within(Path::new(&format!("/proc/{pid}/root")), path)
}

/// The file at a path as it is resolved by what has `root` for its root: no symbolic link and no `..` leads out of it,
/// and no link of procfs to what some process has open (`RESOLVE_IN_ROOT`, `RESOLVE_NO_MAGICLINKS`: Linux 5.6).
fn regular_within(root: &Path, path: &Path) -> Result<Opened, OpenError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, root, flags, Mode::empty())?;
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    opened(openat2(&root, path, flags, Mode::empty(), within)?)
}

fn opened(resolved: OwnedFd) -> Result<Opened, OpenError> {
    let resolved = File::from(resolved);
    let metadata = resolved.metadata().map_err(OpenError::Io)?;
    if !metadata.is_file() {
        return Err(OpenError::NotAFile);
    }
    // It stays what it is, whatever its path leads to by now.
    let by_fd = format!("/proc/self/fd/{}", resolved.as_raw_fd());
    // Not blocking: a lease that somebody holds on it must not hold us.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(CWD, &by_fd, flags, Mode::empty())?;
    Ok((File::from(file), metadata))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use rustix::fs::inotify;

    use super::*;

    fn content(opened: Result<Opened, OpenError>) -> String {
        io::read_to_string(opened.expect("opens").0).expect("read")
    }

    /// A folder with `inside` in it, and a file beside it that is out of bounds.
    fn root() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("tempdir");
        let root = folder.path().join("root");
        fs::create_dir(&root).expect("mkdir");
        fs::write(root.join("inside"), "inside").expect("write");
        fs::write(folder.path().join("outside"), "outside").expect("write");
        (folder, root)
    }

    #[test]
    fn links_lead_nowhere_but_into_the_root() {
        let (folder, root) = root();
        symlink("/inside", root.join("absolute")).expect("link");
        symlink("../../../inside", root.join("upwards")).expect("link");
        for name in ["inside", "/inside", "absolute", "upwards", "../inside"] {
            assert_eq!(
                content(regular_within(&root, Path::new(name))),
                "inside",
                "{name}"
            );
        }
        let outside = folder.path().join("outside");
        symlink(&outside, root.join("out")).expect("link");
        let itself = File::open(&outside).expect("opens");
        let magic = format!("/proc/self/fd/{}", itself.as_raw_fd());
        for name in ["out", "../outside"] {
            let refused = regular_within(&root, Path::new(name));
            assert!(
                matches!(refused, Err(OpenError::Io(_))),
                "{name}: {refused:?}"
            );
        }
        // A link of procfs leads to an open file itself, whatever root there is.
        assert_eq!(content(regular(Path::new(&magic))), "outside");
        let refused = regular_in_root_of(Pid(std::process::id()), Path::new(&magic));
        assert!(matches!(refused, Err(OpenError::Io(_))), "{refused:?}");
    }

    /// Opening a FIFO lets its writer go on, opening a device may do anything.
    #[test]
    fn what_is_no_file_is_not_opened() {
        let (_folder, root) = root();
        let fifo = root.join("fifo");
        rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR, 0).expect("mkfifo");
        symlink("fifo", root.join("link")).expect("link");
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).expect("inotify");
        inotify::add_watch(&watch, &root, inotify::WatchFlags::OPEN).expect("watched");
        let refused = |opened| assert!(matches!(opened, Err(OpenError::NotAFile)), "{opened:?}");
        refused(regular(&fifo));
        refused(regular_within(&root, Path::new("fifo")));
        refused(regular_within(&root, Path::new("link")));
        refused(regular(Path::new("/dev/null")));
        refused(regular_within(Path::new("/"), Path::new("dev/null")));
        refused(regular(&root));
        let mut buffer = [std::mem::MaybeUninit::uninit(); 512];
        let mut events = inotify::Reader::new(&watch, &mut buffer);
        if let Ok(event) = events.next() {
            panic!("{event:?} was opened");
        }
        // The watch sees what is opened.
        assert_eq!(content(regular(&root.join("inside"))), "inside");
        events.next().expect("an event");
    }

    #[test]
    fn what_it_was_is_what_is_open() {
        let (_folder, root) = root();
        let (file, metadata) = regular(&root.join("inside")).expect("opens");
        let now = file.metadata().expect("known");
        assert_eq!((now.dev(), now.ino()), (metadata.dev(), metadata.ino()));
    }
}
