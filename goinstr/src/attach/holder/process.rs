//! The holder itself: what the fork does.
//!
//! It makes system calls and nothing else, no allocation and no lock: it may have been forked while
//! other threads held some.

use std::{
    ffi::CStr,
    hint::black_box,
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, IntoRawFd as _, OwnedFd, RawFd},
};

use super::message::{self, ARM, ARM_PERF, CALL, DROP, End, Reply, Request};
use crate::attach::{multi, perf_event};

/// Where the line to goinstr is: the only file that stays open.
const LINE: RawFd = 0;
/// Its name in `ps`. Another than goinstr's: `pkill -9 goinstr` must not hit it while it arms.
const NAME: &CStr = c"uprobe-holder";

/// A place of the holder's own, for what is tried of probes.
#[inline(never)]
pub(super) extern "C" fn probed(n: u64) -> u64 {
    black_box(n).wrapping_mul(3)
}

/// Serves goinstr until it ends, and then ends with all links.
///
/// Not to be unwound, which would lead into goinstr's own code: a panic aborts.
pub(super) extern "C" fn live(line: RawFd) -> ! {
    // SAFETY: system calls on valid buffers; this process uses no file of goinstr's.
    unsafe { settle(line) };
    while serve().is_ok() {}
    // Nobody is at the other end. Links go by the exit, see `drop_by_exit`.
    // SAFETY: runs no destructor of goinstr's.
    unsafe { libc::_exit(0) }
}

/// Becomes a process that is in nobody's way, and that nothing is meant for.
unsafe fn settle(line: RawFd) {
    // SAFETY: system calls on valid buffers.
    unsafe {
        // Ctrl-C and what else goes to goinstr's group.
        libc::setsid();
        libc::prctl(libc::PR_SET_NAME, NAME.as_ptr());
        // Stopped, it could not end with goinstr; the signal lets it go on.
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGCONT);
        for signal in 1..=libc::SIGRTMAX() {
            // Children are not waited for either. What can't be ignored is refused.
            libc::signal(signal, libc::SIG_IGN);
        }
        // Readers of goinstr's output have to see its end; no file system is to be kept busy.
        libc::dup2(line, LINE);
        libc::syscall(libc::SYS_close_range, LINE + 1, u32::MAX, 0);
        libc::chdir(c"/".as_ptr());
        keep_from_oom();
        super::urgent();
        let mut files = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut files) == 0 {
            files.rlim_cur = files.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const files);
        }
    }
}

/// The last to be killed for memory, where that may be asked for.
unsafe fn keep_from_oom() {
    const LAST: &[u8] = b"-1000";
    // SAFETY: system calls on valid buffers.
    unsafe {
        let file = libc::open(
            c"/proc/self/oom_score_adj".as_ptr(),
            libc::O_WRONLY | libc::O_CLOEXEC,
        );
        if file >= 0 {
            libc::write(file, LAST.as_ptr().cast(), LAST.len());
            libc::close(file);
        }
    }
}

/// The line to goinstr.
fn line() -> End<'static> {
    // SAFETY: open for as long as the process lives.
    End::patient(unsafe { BorrowedFd::borrow_raw(LINE) })
}

/// One request. An error: goinstr is gone.
fn serve() -> io::Result<()> {
    let mut request = Request::default();
    let [program, file] = message::receive::<Request, 2>(line(), &mut request)?;
    let mut words = Words::new(request.words)?;
    message::receive_words(line(), words.as_mut())?;
    match (request.what, program, file) {
        (ARM | ARM_PERF, Some(program), Some(file)) => {
            let reply = match arm(&program, &file, words.as_ref(), &request) {
                Ok(link) => Reply {
                    error: 0,
                    link: link.into_raw_fd().cast_unsigned(),
                },
                Err(error) => Reply {
                    error: error.raw_os_error().unwrap_or(libc::EINVAL),
                    link: 0,
                },
            };
            message::send(line(), &reply, &[])
        }
        (DROP, ..) => {
            let link = words.as_ref().first().map_or(-1, |&link| link as RawFd);
            match drop_by_exit(link) {
                Some(exit) => message::send(line(), &Reply::default(), &[exit.as_fd()]),
                None => message::send(line(), &Reply::default(), &[]),
            }
        }
        (CALL, ..) => {
            black_box(probed(1));
            message::send(line(), &Reply::default(), &[])
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Makes the link. The words are the offsets, then the cookies.
fn arm(program: &OwnedFd, file: &OwnedFd, words: &[u64], request: &Request) -> io::Result<OwnedFd> {
    let mut path = [0; 32];
    let path = path_of(file, &mut path).ok_or(io::ErrorKind::InvalidData)?;
    let (offsets, cookies) = words
        .split_at_checked(words.len() / 2)
        .ok_or(io::ErrorKind::InvalidData)?;
    match (request.what, words) {
        (ARM_PERF, &[offset, cookie]) => {
            let (kind, pid) = (request.event_type, request.pid);
            perf_event::link(program, path, offset, cookie, pid, kind)
        }
        _ => multi::link(program, path, offsets, cookies, request.pid),
    }
}

/// The path that leads this process to an open file.
fn path_of<'b>(file: &OwnedFd, buffer: &'b mut [u8; 32]) -> Option<&'b CStr> {
    const FOLDER: &[u8] = b"/proc/self/fd/";
    let number = file.as_raw_fd();
    let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
    let (folder, rest) = buffer.split_at_mut_checked(FOLDER.len())?;
    folder.copy_from_slice(FOLDER);
    let mut left = number;
    for digit in rest.get_mut(..digits)?.iter_mut().rev() {
        *digit = b'0' + u8::try_from(left % 10).ok()?;
        left /= 10;
    }
    CStr::from_bytes_until_nul(buffer).ok()
}

/// Lets a link go by the exit of a process that is its last owner; a pidfd of that.
///
/// A process that exits takes no signal any more: even where all of goinstr's are killed at this moment
/// (a control group is), the kernel comes to the end of this. Closed here, it might not.
fn drop_by_exit(link: RawFd) -> Option<OwnedFd> {
    let (ours, theirs) = message::line().ok()?;
    let mut exit: RawFd = -1;
    let flags = libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: a fork, whose child makes system calls on valid buffers, and ends by _exit; the link is
    // a descriptor that is this process's own.
    unsafe {
        let none = std::ptr::null_mut::<libc::c_void>();
        match libc::syscall(libc::SYS_clone, flags, none, &raw mut exit, none, none) {
            0 => {
                keep_only(link, theirs.as_raw_fd());
                // Now it holds no other link, and waits to be the last who holds this one.
                let mut turn = [0u8; 1];
                libc::write(theirs.as_raw_fd(), turn.as_ptr().cast(), turn.len());
                libc::read(theirs.as_raw_fd(), turn.as_mut_ptr().cast(), turn.len());
                libc::_exit(0)
            }
            -1 => {
                libc::close(link);
                None
            }
            _ => {
                drop(theirs);
                let mut turn = [0u8; 1];
                libc::read(ours.as_raw_fd(), turn.as_mut_ptr().cast(), turn.len());
                libc::close(link);
                Some(OwnedFd::from_raw_fd(exit))
            }
        }
    }
}

/// Closes all files but two.
unsafe fn keep_only(one: RawFd, other: RawFd) {
    let (low, high) = (one.min(other), one.max(other));
    for (first, last) in [
        (0, low.saturating_sub(1)),
        (low.saturating_add(1), high.saturating_sub(1)),
        (high.saturating_add(1), RawFd::MAX),
    ] {
        if first <= last {
            // SAFETY: the process uses no other file.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    }
}

/// Words in memory of their own.
struct Words {
    start: *mut u64,
    count: usize,
}

impl Words {
    /// So many words of zero.
    fn new(count: u64) -> io::Result<Self> {
        let count = usize::try_from(count).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let bytes = count
            .max(1)
            .checked_mul(size_of::<u64>())
            .ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: new memory, where the kernel wants it.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            start: start.cast(),
            count,
        })
    }

    fn as_ref(&self) -> &[u64] {
        // SAFETY: mapped for so many words, and readable.
        unsafe { std::slice::from_raw_parts(self.start, self.count) }
    }

    fn as_mut(&mut self) -> &mut [u64] {
        // SAFETY: as above, and nobody else's.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.count) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: what was mapped, which nobody uses any more.
        unsafe { libc::munmap(self.start.cast(), self.count.max(1) * size_of::<u64>()) };
    }
}
