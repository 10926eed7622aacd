//! The process that owns the links: it arms and disarms, so that killing goinstr harms nobody.
//!
//! Linux takes a uprobe out in whatever task closes its link last, and reads the page that it mends as
//! that task. A task to which SIGKILL is on its way reads no page any more: the kernel gives up and
//! leaves the breakpoint where it is (`uprobe: … failed to unregister, leaking uprobe`). The same
//! happens to a link that is half made. So neither is goinstr's own work.
//!
//! In: a program, a file, offsets and cookies. Out: [`Held`], which disarms its sites when it is
//! dropped. The process is a fork that nobody has a reason to kill; it ends with goinstr, however that
//! ends. Links go by the exit of a process, which no signal can disturb: see `process.rs`.

mod message;
mod process;

use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Signal, pidfd_send_signal},
};

use super::{armer::By, own_text, urgency::urgent};
use message::{ARM, ARM_PERF, CALL, DROP, End, Reply, Request};

/// The process, from goinstr's side. Clones are of the same one; with the last it ends.
#[derive(Clone, Debug)]
pub(super) struct Holder(Arc<Line>);

/// The line to the process.
#[derive(Debug)]
struct Line {
    process: libc::pid_t,
    socket: Mutex<OwnedFd>,
    /// Whether the process is left to itself at the end.
    left: AtomicBool,
}

/// A link that the process holds. Dropped, its sites are disarmed, which waits for a grace period.
#[derive(Debug)]
pub(super) struct Held {
    /// The link's descriptor in the process; `None`: it is on its way out.
    link: Option<u32>,
    holder: Holder,
}

impl Holder {
    /// Forks the process. It takes what is in memory with it, so the less there is the better.
    ///
    /// # Errors
    /// No process or no socket is to be had.
    pub fn start() -> io::Result<Self> {
        let (ours, theirs) = message::line()?;
        // SAFETY: the child only makes system calls, and never returns.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => process::live(theirs.as_raw_fd()),
            process => {
                drop(theirs);
                message::be_impatient(ours.as_fd())?;
                Ok(Self(Arc::new(Line {
                    process,
                    socket: Mutex::new(ours),
                    left: AtomicBool::new(false),
                })))
            }
        }
    }

    /// Arms the sites of `file` at these offsets, each with its cookie, for the process `pid` (0: all).
    ///
    /// # Errors
    /// The kernel's; `BrokenPipe` where the holder is gone.
    pub fn arm(
        &self,
        program: BorrowedFd<'_>,
        file: BorrowedFd<'_>,
        (offsets, cookies): (&[u64], &[u64]),
        pid: i32,
        by: By,
    ) -> io::Result<Held> {
        let (what, event_type) = match by {
            By::Multi => (ARM, 0),
            By::PerfEvent(event_type) => (ARM_PERF, event_type),
        };
        let request = Request {
            what,
            pid,
            event_type,
            words: (offsets.len() + cookies.len()) as u64,
            ..Request::default()
        };
        let (reply, _) = self.ask(&request, &[program, file], &[offsets, cookies])?;
        match reply.error {
            0 => Ok(Held {
                link: Some(reply.link),
                holder: self.clone(),
            }),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// Arms a place of the process's own, for trials: goinstr's text stays as it is.
    ///
    /// # Errors
    /// As of [`Holder::arm`].
    pub fn arm_itself(&self, program: BorrowedFd<'_>, cookie: u64) -> io::Result<Held> {
        let place = process::probed as extern "C" fn(u64) -> u64;
        let offset = own_text::file_offset(place as usize as u64)?.0;
        let file = File::open("/proc/self/exe")?;
        let sites: (&[u64], &[u64]) = (&[offset], &[cookie]);
        self.arm(program, file.as_fd(), sites, self.0.process, By::Multi)
    }

    /// Has the process come by that place once.
    ///
    /// # Errors
    /// The holder is gone.
    pub fn call_itself(&self) -> io::Result<()> {
        let request = Request {
            what: CALL,
            ..Request::default()
        };
        self.ask(&request, &[], &[]).map(drop)
    }

    /// From now on nothing waits for links to go: the process takes all out that it still has when it is
    /// no longer spoken to. Its id.
    pub fn leave(&self) -> u32 {
        self.0.left.store(true, Ordering::Relaxed);
        self.0.process.cast_unsigned()
    }

    /// Whether the process is there, and with it all that it holds. Does not wait: where it is at work, which may take
    /// seconds, whoever has asked for that hears of its end.
    pub fn is_there(&self) -> bool {
        match self.0.socket.try_lock() {
            Ok(socket) => message::is_open(socket.as_fd()),
            Err(TryLockError::Poisoned(socket)) => message::is_open(socket.into_inner().as_fd()),
            Err(TryLockError::WouldBlock) => true,
        }
    }

    /// Sends a request and waits for the answer.
    fn ask(
        &self,
        request: &Request,
        files: &[BorrowedFd<'_>],
        words: &[&[u64]],
    ) -> io::Result<(Reply, Option<OwnedFd>)> {
        let socket = self.0.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let line = End {
            socket: socket.as_fd(),
            held_up: go_on,
            other: self.0.process,
        };
        message::send(line, request, files)?;
        for words in words {
            message::send_words(line, words)?;
        }
        let mut reply = Reply::default();
        let [file] = message::receive::<Reply, 1>(line, &mut reply)?;
        Ok((reply, file))
    }
}

impl Held {
    /// Lets the link go; the process by whose exit it goes.
    fn go(&mut self) -> Option<OwnedFd> {
        let link = self.link.take()?;
        if self.holder.0.left.load(Ordering::Relaxed) {
            return None;
        }
        let request = Request {
            what: DROP,
            words: 1,
            ..Request::default()
        };
        match self.holder.ask(&request, &[], &[&[u64::from(link)]]) {
            Ok((_, exit)) => exit,
            // All links went with the holder.
            Err(error) => {
                log::debug!("the process that holds the probes: {error}");
                None
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(exit) = self.go() {
            wait_for(&exit);
        }
    }
}

/// Lets several links go, and waits for all of them: the kernel's grace periods are the same for all.
pub(super) fn let_go(links: impl IntoIterator<Item = Held>) {
    let links = links.into_iter();
    let exits: Vec<OwnedFd> = links.filter_map(|mut link| link.go()).collect();
    exits.iter().for_each(wait_for);
}

/// Waits for the end of a process: its files are closed then.
fn wait_for(pidfd: &OwnedFd) {
    let patience = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    loop {
        match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&patience)) {
            Err(Errno::INTR) => {}
            // Somebody may have stopped it; the kernel may also just take its time.
            Ok(0) => drop(pidfd_send_signal(pidfd, Signal::CONT)),
            Ok(_) | Err(_) => return,
        }
    }
}

/// Has the process, and those by whose exits it lets links go, go on where somebody has stopped them: sites stay in
/// the target for as long as that lasts.
fn go_on(process: libc::pid_t) {
    // SAFETY: our own child, which has not been waited for, and the group that it has made.
    unsafe {
        libc::kill(process, libc::SIGCONT);
        libc::kill(-process, libc::SIGCONT);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let socket = self
            .socket
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        // SAFETY: an open socket, whoever else has inherited it; and our own child, which has not been
        // waited for.
        unsafe {
            libc::shutdown(socket.as_raw_fd(), libc::SHUT_RDWR);
            if *self.left.get_mut() {
                return;
            }
            // Where it is stopped it does not see the end of the line.
            go_on(self.process);
            while libc::waitpid(self.process, std::ptr::null_mut(), 0) == -1
                && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
            {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;
    use crate::attach::features;

    /// The breakpoint of a trial is in the holder, and nowhere in goinstr.
    #[test]
    fn trials_leave_goinstr_as_it_is() {
        let program = match features::idle_program() {
            Ok(program) => program,
            Err(error) => {
                eprintln!("skipped: no program for uprobe.multi can be loaded: {error}");
                return;
            }
        };
        let holder = Holder::start().expect("forked");
        let at = process::probed as extern "C" fn(u64) -> u64 as usize as u64;
        let read = |file: &str, at: u64| {
            let mut code = [0; 4];
            let file = File::open(file).expect("opens");
            file.read_exact_at(&mut code, at).expect("read");
            code
        };
        let in_file = read(
            "/proc/self/exe",
            own_text::file_offset(at).expect("found").0,
        );
        let held = holder.arm_itself(program.as_fd(), 0).expect("armed");
        assert_eq!(read("/proc/self/mem", at), in_file);
        let others = format!("/proc/{}/mem", holder.0.process);
        assert_ne!(read(&others, at), in_file, "it was not armed");
        holder.call_itself().expect("it is there");
        drop(held);
        assert_eq!(read(&others, at), in_file);
    }
}
