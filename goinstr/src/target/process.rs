//! One process: opened once, and recognised again or missed later.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::executable::image_of;
use super::namespace::{self, PidNamespace};
use super::opening::OpenError;
use super::procfs::{Stat, Status};
use super::{Executable, Pid, TargetError};

/// What the kernel appends to the link of an executable whose file is deleted or replaced.
const DELETED: &str = " (deleted)";

/// How long a process may take over its `execve`: loading a program is a matter of milliseconds.
const EXECVE: Duration = Duration::from_secs(1);

/// The pause between two looks at it meanwhile.
const EXECVE_STEP: Duration = Duration::from_millis(1);

/// A process that was found. Who it is are its pid and its start time together.
#[derive(Clone, Debug)]
pub struct Process {
    pid: Pid,
    comm: String,
    start_ticks: u64,
    /// Tells an `execve` of the same file; see [`Stat::stack_start`].
    stack_start: Option<u64>,
    executable: Executable,
    library: Option<Executable>,
    /// What is measured beside that, kept open.
    plugins: Vec<Executable>,
    deleted: bool,
    namespace: Option<PidNamespace>,
}

/// What has become of a process since it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It still runs the executable that was opened.
    Same,
    /// It has replaced its image (`execve`), by another file's or by the same file's once more.
    Replaced,
    /// It has exited, whether or not its pid was given to another process.
    Gone,
}

impl Process {
    /// Opens process `pid` and its executable. One that is in the middle of an `execve` is waited
    /// for: for a moment it has no executable, then one whose stack is not yet set up.
    ///
    /// # Errors
    /// See [`TargetError`].
    pub fn open(pid: Pid) -> Result<Self, TargetError> {
        let deadline = Instant::now() + EXECVE;
        loop {
            match Self::open_now(pid) {
                Err(TargetError::Vanished { .. })
                    if Stat::read(pid).is_ok_and(|stat| !stat.is_dead())
                        && Instant::now() < deadline =>
                {
                    std::thread::sleep(EXECVE_STEP);
                }
                opened => return opened,
            }
        }
    }

    /// Opens it as it is now.
    fn open_now(pid: Pid) -> Result<Self, TargetError> {
        let stat = Stat::read(pid).map_err(|error| absent(pid, error))?;
        let status = Status::read(pid).map_err(|error| vanished(pid, "status", error))?;
        if status.tgid != pid {
            return Err(TargetError::Thread {
                tid: pid,
                pid: status.tgid,
            });
        }
        if stat.is_kernel_thread() {
            return Err(TargetError::KernelThread {
                pid,
                comm: stat.comm,
            });
        }
        if stat.is_dead() {
            return Err(TargetError::Zombie {
                pid,
                comm: stat.comm,
            });
        }

        let link = exe_link(pid);
        let text =
            std::fs::read_link(&link).map_err(|error| vanished(pid, "its executable", error))?;
        let (path, deleted) = without_deleted(&text);
        let executable = Executable::open_as(&link, path).map_err(|error| match error {
            OpenError::NotAFile => TargetError::NotAFile { path: link.clone() },
            OpenError::Io(source) => vanished(pid, "its executable", source),
        })?;
        // Needs the same permission as the executable's link; where it fails all the same
        // (a kernel without pid namespaces), there is nothing to tell apart.
        let namespace = PidNamespace::of(pid, &status).ok();

        let process = Self {
            pid,
            comm: stat.comm,
            start_ticks: stat.start_ticks,
            stack_start: stat.stack_start,
            executable,
            library: None,
            plugins: Vec::new(),
            deleted,
            namespace,
        };
        // The files above were read one after the other: all of the same program only if it is
        // still there now.
        match process.still_same() {
            Liveness::Same => Ok(process),
            Liveness::Replaced | Liveness::Gone => Err(TargetError::Vanished { pid }),
        }
    }

    /// Its pid in our namespace.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The kernel's name for it, at most 15 bytes.
    #[must_use]
    pub fn comm(&self) -> &str {
        &self.comm
    }

    /// Its executable, open.
    #[must_use]
    pub fn executable(&self) -> &Executable {
        &self.executable
    }

    /// The file to measure: a library if one was chosen, else the executable.
    pub(super) fn measured(&self) -> &Executable {
        self.library.as_ref().unwrap_or(&self.executable)
    }

    /// Chooses a library.
    pub(super) fn measure(&mut self, library: Executable) {
        self.library = Some(library);
    }

    /// Chooses one more.
    pub(super) fn measure_also(&mut self, library: Executable) {
        self.plugins.push(library);
    }

    /// Whether the executable's file has been deleted or replaced since the process began
    /// (an upgrade without a restart): processes started from now on run another one.
    #[must_use]
    pub fn executable_deleted(&self) -> bool {
        self.deleted
    }

    /// When it began, in clock ticks since boot (`/proc/PID/stat`, field 22).
    #[must_use]
    pub fn start_ticks(&self) -> u64 {
        self.start_ticks
    }

    /// Memory it has in use now, in bytes, where the kernel tells.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        let pages = Stat::read(self.pid).ok()?.resident_pages?;
        pages.checked_mul(rustix::param::page_size() as u64)
    }

    /// Its pid namespace, where the kernel tells.
    #[must_use]
    pub fn namespace(&self) -> Option<PidNamespace> {
        self.namespace
    }

    /// Its pid as `bpf_get_current_pid_tgid` gives it, where that is known: `None` when goinstr
    /// runs in a pid namespace of its own, see [`PidNamespace`].
    #[must_use]
    pub fn kernel_pid(&self) -> Option<Pid> {
        namespace::ours_is_initial().then_some(self.pid)
    }

    /// Whether it still is the process that was opened, and still runs the program that
    /// it ran then.
    #[must_use]
    pub fn still_same(&self) -> Liveness {
        let stat = match Stat::read(self.pid) {
            Ok(stat) if stat.start_ticks == self.start_ticks && !stat.is_dead() => stat,
            _ => return Liveness::Gone,
        };
        match image_of(&exe_link(self.pid)) {
            Ok(image)
                if image == self.executable.image() && stat.stack_start == self.stack_start =>
            {
                Liveness::Same
            }
            Ok(_) => Liveness::Replaced,
            Err(_) => Liveness::Gone,
        }
    }

    /// A descriptor that becomes readable when the process exits.
    ///
    /// # Errors
    /// [`TargetError::Vanished`] if it has exited (its pid may be another process's by now),
    /// [`TargetError::Pidfd`] if the kernel has none to give.
    pub fn pidfd(&self) -> Result<OwnedFd, TargetError> {
        let pid = self.pid;
        let gone = TargetError::Vanished { pid };
        let Some(raw) = i32::try_from(pid.0)
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        else {
            return Err(gone);
        };
        let fd = match rustix::process::pidfd_open(raw, rustix::process::PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(Errno::SRCH) => return Err(gone),
            Err(errno) => {
                return Err(TargetError::Pidfd {
                    pid,
                    source: errno.into(),
                });
            }
        };
        // Opened by number: whose it is, is only sure once the start time is seen unchanged after.
        match Stat::read(pid) {
            Ok(stat) if stat.start_ticks == self.start_ticks => Ok(fd),
            _ => Err(gone),
        }
    }
}

/// The magic link to the executable of process `pid`.
pub(super) fn exe_link(pid: Pid) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/exe"))
}

/// The path without the kernel's mark of a deleted file, and whether it was there.
pub(super) fn without_deleted(link: &Path) -> (PathBuf, bool) {
    match link.to_str().and_then(|text| text.strip_suffix(DELETED)) {
        Some(path) => (PathBuf::from(path), true),
        None => (link.to_owned(), false),
    }
}

/// The error of the first look at a process.
fn absent(pid: Pid, error: io::Error) -> TargetError {
    if Path::new("/proc/self").exists() {
        match error.kind() {
            io::ErrorKind::PermissionDenied => permission(pid, "stat", error),
            _ => TargetError::NoSuchPid { pid },
        }
    } else {
        TargetError::Procfs {
            path: PathBuf::from("/proc/self"),
            source: error,
        }
    }
}

/// The error of a later look: it was there.
fn vanished(pid: Pid, what: &'static str, error: io::Error) -> TargetError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => permission(pid, what, error),
        _ => TargetError::Vanished { pid },
    }
}

fn permission(pid: Pid, what: &'static str, source: io::Error) -> TargetError {
    TargetError::Permission { pid, what, source }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::target::started::started;

    fn sleeper() -> Child {
        started(Command::new("sleep").arg("60").stdout(Stdio::null()))
    }

    fn open(child: &Child) -> Process {
        Process::open(Pid(child.id())).expect("opens")
    }

    #[test]
    fn a_child_is_opened_and_seen_to_exit() {
        let mut child = sleeper();
        let process = open(&child);
        assert_eq!(process.comm(), "sleep");
        assert!(process.executable().path().is_absolute());
        assert_eq!(process.still_same(), Liveness::Same);
        let pidfd = process.pidfd().expect("pidfd");
        child.kill().expect("kill");
        let mut poll = [rustix::event::PollFd::new(
            &pidfd,
            rustix::event::PollFlags::IN,
        )];
        let timeout = rustix::time::Timespec {
            tv_sec: 120,
            tv_nsec: 0,
        };
        assert_eq!(rustix::event::poll(&mut poll, Some(&timeout)), Ok(1));
        // A zombie until it is waited for: over all the same.
        assert_eq!(process.still_same(), Liveness::Gone);
        let error = Process::open(process.pid()).expect_err("zombie");
        assert!(matches!(error, TargetError::Zombie { .. }), "{error}");
        child.wait().expect("wait");
        assert_eq!(process.still_same(), Liveness::Gone);
        assert!(matches!(process.pidfd(), Err(TargetError::Vanished { .. })));
    }

    /// It replaces itself hundreds of times a second: most looks fall into an `execve`.
    #[test]
    fn one_that_replaces_itself_all_the_time_is_opened() {
        /// It has no end of its own, also where the test fails.
        struct Endless(Child);

        impl Drop for Endless {
            fn drop(&mut self) {
                let _ = self.0.kill();
                let _ = self.0.wait();
            }
        }

        let again = "exec \"$0\" -c \"$1\" \"$0\" \"$1\"";
        let child = Endless(started(Command::new("sh").args(["-c", again, "sh", again])));
        for _ in 0..200 {
            drop(open(&child.0));
        }
    }

    #[test]
    fn another_image_is_noticed() {
        let mut child = started(
            Command::new("sh")
                .args(["-c", "read line; exec sleep 60"])
                .stdin(Stdio::piped()),
        );
        let process = open(&child);
        assert_eq!(process.still_same(), Liveness::Same);
        drop(child.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(120);
        while process.still_same() == Liveness::Same && Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(process.still_same(), Liveness::Replaced);
        child.kill().expect("kill");
        child.wait().expect("wait");
    }

    #[test]
    fn the_same_image_once_more_is_noticed() {
        let randomised = fs::read_to_string("/proc/sys/kernel/randomize_va_space");
        if randomised.is_ok_and(|how| how.trim() == "0") {
            eprintln!("skipped: this kernel does not randomise where stacks begin");
            return;
        }
        let mut child = started(
            Command::new("sh")
                .args(["-c", "read line; exec sh -c 'read line'"])
                .stdin(Stdio::piped()),
        );
        let process = open(&child);
        assert_eq!(process.still_same(), Liveness::Same);
        let mut stdin = child.stdin.take().expect("stdin");
        io::Write::write_all(&mut stdin, b"go\n").expect("write");
        let deadline = Instant::now() + Duration::from_secs(120);
        while process.still_same() == Liveness::Same && Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(process.still_same(), Liveness::Replaced);
        child.kill().expect("kill");
        child.wait().expect("wait");
    }

    #[test]
    fn a_thread_is_not_a_process() {
        let (tid_tx, tid_rx) = std::sync::mpsc::channel();
        let (end_tx, end_rx) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            tid_tx.send(rustix::thread::gettid()).expect("send");
            let _ = end_rx.recv();
        });
        let tid = tid_rx
            .recv()
            .expect("tid")
            .as_raw_nonzero()
            .get()
            .cast_unsigned();
        let error = Process::open(Pid(tid)).expect_err("refused");
        assert!(
            matches!(error, TargetError::Thread { pid, .. } if pid.0 == std::process::id()),
            "{error}"
        );
        drop(end_tx);
        thread.join().expect("join");
    }

    #[test]
    fn a_pid_of_nobody_is_an_error() {
        // Above the largest pid_max there is (4 Mi).
        for pid in [0, 4_194_305, u32::MAX] {
            let error = Process::open(Pid(pid)).expect_err("none");
            assert!(matches!(error, TargetError::NoSuchPid { .. }), "{error}");
        }
    }

    #[test]
    fn a_deleted_executable_is_still_readable() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("snooze");
        fs::copy("/bin/sleep", &path).expect("copy");
        let mut child = started(Command::new(&path).arg("60"));
        fs::remove_file(&path).expect("remove");
        let process = open(&child);
        assert!(process.executable_deleted());
        assert_eq!(process.executable().path(), path);
        let bytes = fs::read(process.executable().open_path()).expect("read");
        assert_eq!(bytes, fs::read("/bin/sleep").expect("read"));
        child.kill().expect("kill");
        child.wait().expect("wait");
    }
}
