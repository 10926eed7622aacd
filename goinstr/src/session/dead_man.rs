//! The dead man's switch: if goinstr stops answering, its probes go.
//!
//! Probes hang on goinstr's open files, so they go with it, however it ends. A goinstr that is
//! stopped, wedged or swapped out has not ended. A child, which does nothing but wait for signs of
//! life, then kills it. It holds none of the files that the probes hang on: it is forked before.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::{AsRawFd as _, RawFd},
    time::Duration,
};

/// What the child says when it has killed goinstr.
const LAST_WORDS: &[u8] =
    b"goinstr: it stopped answering, so it was killed: its probes are gone and the target goes on\n";
/// After a silence the child waits so long once more: both may have been held up together.
const ONCE_MORE_MS: libc::c_int = 500;

/// The switch, held by goinstr. Dropped, the child goes.
#[derive(Debug)]
pub(super) struct Switch {
    child: libc::pid_t,
    signs: File,
}

impl Switch {
    /// Forks the child. Nothing happens before the first [`Switch::beat`].
    pub fn start() -> io::Result<Self> {
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let parent = rustix::process::getpid().as_raw_nonzero().get();
        // SAFETY: the child only calls async-signal-safe functions, and ends by _exit.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => child(parent, reader.as_raw_fd()),
            child => {
                drop(reader);
                // A full pipe is a sign of life that was not read yet.
                rustix::io::ioctl_fionbio(&writer, true)?;
                Ok(Self {
                    child,
                    signs: writer.into(),
                })
            }
        }
    }

    /// A sign of life. Without another one within `silence` (whole seconds, up to 255) goinstr is
    /// killed; 0: from here on it may be silent.
    pub fn beat(&mut self, silence: Duration) {
        let seconds = u8::try_from(silence.as_secs()).unwrap_or(u8::MAX);
        // Whoever has killed the child wanted no switch.
        let _ = self.signs.write_all(&[seconds]);
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        // SAFETY: our own child, which has not been waited for.
        unsafe {
            libc::kill(self.child, libc::SIGKILL);
            libc::waitpid(self.child, std::ptr::null_mut(), 0);
        }
    }
}

/// What the child does.
fn child(parent: libc::pid_t, signs: RawFd) -> ! {
    // SAFETY: system calls on valid buffers; _exit runs no destructor of the parent's.
    unsafe {
        // Ctrl-C and Ctrl-Z are meant for goinstr.
        libc::setsid();
        libc::prctl(libc::PR_SET_NAME, c"goinstr-guard".as_ptr());
        keep_only(signs);
        let mut silence: libc::c_int = -1;
        loop {
            let mut poll = libc::pollfd {
                fd: 0,
                events: libc::POLLIN,
                revents: 0,
            };
            if libc::poll(&raw mut poll, 1, silence) == 0
                && libc::poll(&raw mut poll, 1, ONCE_MORE_MS) == 0
            {
                if libc::getppid() == parent && libc::kill(parent, libc::SIGKILL) == 0 {
                    libc::write(2, LAST_WORDS.as_ptr().cast(), LAST_WORDS.len());
                }
                libc::_exit(0);
            }
            let mut signs = [0u8; 64];
            let read = libc::read(0, signs.as_mut_ptr().cast(), signs.len());
            let Ok(read) = usize::try_from(read) else {
                continue;
            };
            match signs.get(read.wrapping_sub(1)) {
                // Nobody holds the other end: goinstr is gone, and its probes with it.
                None => libc::_exit(0),
                Some(0) => silence = -1,
                Some(&seconds) => silence = libc::c_int::from(seconds) * 1000,
            }
        }
    }
}

/// Closes all files but `signs`, which becomes 0, and the place for the last words, 2: whoever reads
/// goinstr's output must see its end.
unsafe fn keep_only(signs: RawFd) {
    // SAFETY: system calls; the child uses no other file.
    unsafe {
        libc::dup2(signs, 0);
        libc::close(1);
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0);
    }
}
