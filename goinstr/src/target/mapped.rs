//! The files that a process has mapped as code: a C program's Go may be in a shared library.
//!
//! In: `/proc/PID/maps` (proc(5)), which the process writes by what it maps. Out: each file once,
//! opened, in the order of its mappings.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::executable::Executable;
use super::opening;
use super::process::without_deleted;
use super::{Pid, TargetError};

/// More of `maps` is not read: some hundred thousand mappings, the kernel's own limit is 65,530.
const MAX_BYTES: u64 = 32 << 20;
/// More files than this no process is linked with.
const MAX_FILES: usize = 4096;

/// The files that process `pid` has mapped as code and that can be opened.
pub(super) fn files(pid: Pid) -> Result<Vec<Executable>, TargetError> {
    let text = maps(pid).map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => TargetError::Permission {
            pid,
            what: "its mappings",
            source,
        },
        _ => TargetError::Vanished { pid },
    })?;
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    let code = text.lines().filter_map(Mapping::parse);
    for mapping in code.filter(|mapping| mapping.executable) {
        if files.len() < MAX_FILES
            && seen.insert(mapping.file)
            && let Some(file) = open(pid, &mapping)
        {
            files.push(file);
        }
    }
    Ok(files)
}

/// `/proc/PID/maps`, as much of it as is looked at. Paths in it may be of any bytes.
///
/// # Errors
/// Those of reading it.
pub fn maps(pid: Pid) -> io::Result<String> {
    read(&format!("/proc/{pid}/maps"))
}

/// A line of `maps` that maps a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mapping<'a> {
    /// As the line has it, and as the name under `map_files`.
    range: &'a str,
    executable: bool,
    file: Shown<'a>,
    path: &'a str,
}

/// The device, as the line has it, and the inode of a file. On file systems that are made of others (overlayfs, btrfs)
/// they may be others than stat(2) says, but they are the same in whichever process maps the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Shown<'a> {
    device: &'a str,
    inode: u64,
}

impl<'a> Mapping<'a> {
    /// `START-END PERMS OFFSET DEVICE INODE PATH`; the path may hold blanks.
    fn parse(line: &'a str) -> Option<Self> {
        let (range, rest) = line.split_once(' ')?;
        let (permissions, rest) = rest.split_once(' ')?;
        let (_offset, rest) = rest.split_once(' ')?;
        let (device, rest) = rest.split_once(' ')?;
        let (inode, path) = rest.split_once(' ')?;
        let inode = inode.parse().ok().filter(|&inode| inode != 0)?;
        let is_range = range.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        is_range.then_some(Self {
            range,
            executable: permissions.contains('x'),
            file: Shown { device, inode },
            path: path.trim_start(),
        })
    }

    fn holds(&self, address: u64) -> bool {
        let bound = |text| u64::from_str_radix(text, 16).ok();
        let (start, end) = self.range.split_once('-').unwrap_or_default();
        bound(start).is_some_and(|start| start <= address)
            && bound(end).is_some_and(|end| address < end)
    }
}

/// By the mapping itself, which needs more privilege, else by its path in the process's own root.
fn open(pid: Pid, mapping: &Mapping<'_>) -> Option<Executable> {
    let (path, deleted) = without_deleted(Path::new(mapping.path));
    let link = PathBuf::from(format!("/proc/{pid}/map_files/{}", mapping.range));
    if let Ok(file) = Executable::open_as(&link, path.clone()) {
        return Some(file);
    }
    (!deleted).then(|| open_by_path(pid, mapping, path))?
}

/// By its path. That may lead to another file by now, or to what is no file: see [`opening`].
fn open_by_path(pid: Pid, mapping: &Mapping<'_>, path: PathBuf) -> Option<Executable> {
    let opened = opening::regular_in_root_of(pid, &path).ok()?;
    is_shown_as(&opened.0, mapping.file)
        .unwrap_or(false)
        .then(|| Executable::of(opened, path))
}

/// Whether mappings of a file are shown with this device and inode: a mapping of our own, for as long as it takes.
fn is_shown_as(file: &File, shown: Shown<'_>) -> io::Result<bool> {
    let page = Page::of(file)?;
    let text = read("/proc/self/maps")?;
    let mut mappings = text.lines().filter_map(Mapping::parse);
    let own = mappings.find(|mapping| mapping.holds(page.0 as u64));
    Ok(own.is_some_and(|own| own.file == shown))
}

/// The first page of a file, mapped and never looked at.
struct Page(*mut std::ffi::c_void);

impl Page {
    /// Any length will do: the kernel maps whole pages.
    const LENGTH: usize = 1;

    fn of(file: &File) -> io::Result<Self> {
        let (nowhere, flags) = (std::ptr::null_mut(), MapFlags::PRIVATE);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let mapped = unsafe { mmap(nowhere, Self::LENGTH, ProtFlags::READ, flags, file, 0) };
        Ok(Self(mapped?))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: mapped by `of`, and nobody refers to it.
        let _ = unsafe { munmap(self.0, Self::LENGTH) };
    }
}

fn read(path: &str) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::target::started::started;

    /// How long is waited for a process that has been started.
    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn only_files_count() {
        let code = "7f00-8000 r-xp 00001000 fd:01 1234                       /usr/lib/my lib.so";
        let mapping = Mapping::parse(code).expect("a mapping");
        let shown = Shown {
            device: "fd:01",
            inode: 1234,
        };
        assert_eq!((mapping.range, mapping.file), ("7f00-8000", shown));
        assert_eq!(mapping.path, "/usr/lib/my lib.so");
        assert!(mapping.executable && mapping.holds(0x7f00) && !mapping.holds(0x8000));
        let data = "7f00-8000 rw-p 00001000 fd:01 1234   /usr/lib/lib.so";
        assert!(!Mapping::parse(data).expect("a mapping").executable);
        for line in [
            "7ffd-7fff r-xp 00000000 00:00 0      [vdso]",
            "../../x-y r-xp 00000000 fd:01 1      /x",
            "7f00-8000 r-xp 00000000",
            "",
        ] {
            assert_eq!(Mapping::parse(line), None, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_it_panic(line in ".{0,80}", fields in proptest::collection::vec("[0-9a-fx-]{0,20}", 0..8)) {
            for line in [line, fields.join(" ")] {
                if let Some(mapping) = Mapping::parse(&line) {
                    mapping.holds(0);
                }
            }
        }
    }

    #[test]
    fn this_process_maps_its_own_executable() {
        let files = files(Pid(std::process::id())).expect("files");
        let own = std::env::current_exe().expect("exe");
        let own = Executable::open(&own).expect("opens").image();
        assert_eq!(files.iter().filter(|file| file.image() == own).count(), 1);
    }

    /// A process that runs a copy of `sleep`, where it is mapped, and its folder.
    struct Sleeper {
        child: Child,
        folder: tempfile::TempDir,
        line: String,
    }

    impl Sleeper {
        fn start() -> Self {
            let folder = tempfile::tempdir().expect("tempdir");
            let exe = folder.path().join("program");
            fs::copy("/bin/sleep", &exe).expect("copy");
            let child = started(Command::new(&exe).arg("60"));
            let line = line_of(Pid(child.id()), "/program");
            Self {
                child,
                folder,
                line,
            }
        }

        fn pid(&self) -> Pid {
            Pid(self.child.id())
        }

        fn exe(&self) -> PathBuf {
            self.folder.path().join("program")
        }

        fn by_path(&self) -> Option<Executable> {
            let mapping = Mapping::parse(&self.line).expect("a mapping");
            open_by_path(self.pid(), &mapping, mapping.path.into())
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// Where a process has mapped a file as code. It may be in the midst of its execve(2), and have its file without any
    /// mapping of it.
    fn line_of(pid: Pid, name: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let maps = maps(pid).expect("maps");
            let mut lines = maps.lines();
            if let Some(line) = lines.find(|line| line.ends_with(name) && line.contains(" r-xp ")) {
                return line.to_owned();
            }
            assert!(Instant::now() < until, "{name} is not mapped as code");
        }
    }

    #[test]
    fn what_is_mapped_is_opened_by_its_path() {
        let sleeper = Sleeper::start();
        let file = sleeper.by_path().expect("opens");
        let exe = Executable::open(&sleeper.exe()).expect("opens");
        assert_eq!(file.image(), exe.image());
        // Another name of it in its place.
        let other = sleeper.folder.path().join("other");
        fs::rename(sleeper.exe(), &other).expect("renamed");
        fs::hard_link(&other, sleeper.exe()).expect("linked");
        assert!(sleeper.by_path().is_some());
        fs::remove_file(sleeper.exe()).expect("removed");
        std::os::unix::fs::symlink(&other, sleeper.exe()).expect("linked");
        assert!(sleeper.by_path().is_some());
    }

    #[test]
    fn what_took_its_place_is_not() {
        let sleeper = Sleeper::start();
        let (exe, other) = (sleeper.exe(), sleeper.folder.path().join("other"));
        fs::copy("/bin/sleep", &other).expect("copy");
        fs::rename(&other, &exe).expect("replaced");
        assert!(
            sleeper.by_path().is_none(),
            "another file of the same content"
        );
        fs::remove_file(&exe).expect("removed");
        std::os::unix::fs::symlink("/bin/sleep", &exe).expect("linked");
        assert!(sleeper.by_path().is_none(), "another file by a link");
        fs::remove_file(&exe).expect("removed");
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &exe, fifo, rustix::fs::Mode::RUSR, 0)
            .expect("mkfifo");
        assert!(sleeper.by_path().is_none(), "a FIFO");
        fs::remove_file(&exe).expect("removed");
        assert!(sleeper.by_path().is_none(), "nothing");
    }

    #[test]
    fn one_of_the_same_inode_on_another_device_is_not() {
        let mut sleeper = Sleeper::start();
        let device = Mapping::parse(&sleeper.line)
            .expect("a mapping")
            .file
            .device;
        let other = sleeper.line.replace(&format!(" {device} "), " 7f:7f ");
        sleeper.line = other;
        assert!(sleeper.by_path().is_none());
    }

    /// There stat(2) and mappings may tell of other devices, and inodes of the file beneath.
    #[test]
    fn files_on_an_overlay_are_what_is_mapped() {
        let script = r#"mount -t tmpfs none /mnt && cd /mnt && mkdir beneath upper work merged &&
            mount -t tmpfs none beneath && mkdir beneath/lower && cp /bin/sleep beneath/lower/lower &&
            mount -t overlay none -o lowerdir=beneath/lower,upperdir=upper,workdir=work merged &&
            cp /bin/sleep merged/upper && (merged/lower 60 & merged/upper 60 & echo ready; read line)"#;
        let mut unshare = Command::new("unshare");
        unshare.args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            script,
        ]);
        let piped = unshare
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let Ok(mut shell) = piped.spawn() else {
            eprintln!("SKIPPED: there is no unshare(1)");
            return;
        };
        let mut ready = [0; 6];
        if shell
            .stdout
            .take()
            .expect("piped")
            .read_exact(&mut ready)
            .is_err()
        {
            eprintln!("SKIPPED: no overlay can be mounted here");
            let _ = shell.wait();
            return;
        }
        for name in ["lower", "upper"] {
            let path = PathBuf::from(format!("/mnt/merged/{name}"));
            let exe = |pid: Pid| fs::read_link(format!("/proc/{pid}/exe"));
            let until = Instant::now() + PATIENCE;
            let pid = loop {
                let pids = crate::target::procfs::pids().expect("/proc");
                if let Some(pid) = pids
                    .into_iter()
                    .find(|&pid| exe(pid).is_ok_and(|exe| exe == path))
                {
                    break pid;
                }
                assert!(Instant::now() < until, "{name} never runs");
            };
            let line = line_of(pid, name);
            let mapping = Mapping::parse(&line).expect("a mapping");
            assert!(open_by_path(pid, &mapping, path).is_some(), "{line}");
        }
        let _ = shell.kill();
        let _ = shell.wait();
    }
}
