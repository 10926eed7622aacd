//! The child that is probed: calls empty functions and times them.
//!
//! Forked and never executed anew, so that its functions stand where they stand here. Between the
//! fork and its end it makes system calls and nothing else: no allocation, no lock.

use std::{
    fs::File,
    hint,
    io::{self, Read as _, Write as _},
    os::fd::{AsRawFd as _, OwnedFd},
};

use super::empty;
use crate::attach::{Scope, urgent};

/// The functions that are called, in the order of the results.
pub(super) const FUNCTIONS: [extern "C" fn(); 3] =
    [empty::emulated, empty::stepped, empty::entry_only];
/// Calls of each function, each timed by itself.
pub(super) const CALLS: usize = 500;
/// Time between two calls, in ns: called one right after the other, functions
/// find what they and the kernel need where the last call has just left it, which is not how a
/// program calls them.
const PAUSE_NS: u64 = 10_000;
/// What is timed: the functions, and nothing.
const TIMED: usize = FUNCTIONS.len() + 1;
/// Words of a `runtime.g` that the kernel program reads, and some more.
const G_WORDS: usize = 32;
/// Bytes that the stack may reach either way from where the child stands.
const STACK: u64 = 1 << 20;

/// Nanoseconds of each call, by function, and what taking the time takes.
pub(super) struct Times([[u64; CALLS]; TIMED]);

impl Times {
    /// The mean of a call's time, in ns, by function, without the slowest: that others on the machine
    /// took the CPU meanwhile is no cost of the probes. What a hit takes at best, or mostly, is less
    /// than what many of them take.
    pub fn means(&self) -> [u32; FUNCTIONS.len()] {
        let [functions @ .., nothing] = self.0.map(|mut calls| {
            calls.sort_unstable();
            let usual = &calls[..super::usual(CALLS)];
            usual.iter().sum::<u64>() / usual.len() as u64
        });
        functions.map(|mean| u32::try_from(mean.saturating_sub(nothing)).unwrap_or(u32::MAX))
    }
}

/// The child; ended when dropped.
pub(super) struct Child {
    pid: libc::pid_t,
    orders: File,
    results: File,
}

impl Child {
    /// Forks it. It waits for [`Child::run`].
    pub fn start() -> io::Result<Self> {
        let (order_reader, order_writer) = pipe()?;
        let (result_reader, result_writer) = pipe()?;
        // SAFETY: the child only calls async-signal-safe functions, and ends by _exit.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                // The parent's ends, so that its end is seen.
                drop(order_writer);
                drop(result_reader);
                child(order_reader.as_raw_fd(), result_writer.as_raw_fd())
            }
            pid => Ok(Self {
                pid,
                orders: order_writer.into(),
                results: result_reader.into(),
            }),
        }
    }

    /// It alone.
    pub fn scope(&self) -> Scope {
        Scope::Process {
            pid: self.pid.cast_unsigned(),
            kernel_pid: None,
        }
    }

    /// Lets it call its functions; `goid_offset` is where a goid stands in a `runtime.g`.
    pub fn run(&mut self, goid_offset: u32) -> io::Result<Times> {
        self.orders.write_all(&goid_offset.to_ne_bytes())?;
        let mut times = Times([[0; CALLS]; TIMED]);
        for time in times.0.as_flattened_mut() {
            let mut bytes = [0; 8];
            self.results.read_exact(&mut bytes)?;
            *time = u64::from_ne_bytes(bytes);
        }
        Ok(times)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: our own child, which has not been waited for.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, std::ptr::null_mut(), 0);
        }
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

/// What the child does.
fn child(orders: i32, results: i32) -> ! {
    // SAFETY: system calls on valid buffers; _exit runs no destructor of the parent's.
    unsafe {
        // Not to outlive a goinstr that is killed.
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // Some tens of milliseconds that nobody else should be in. Where it is not allowed, leaving out
        // the slowest calls has to do.
        urgent();
        let mut order = [0u8; 4];
        if libc::read(orders, order.as_mut_ptr().cast(), order.len()) != 4 {
            libc::_exit(0);
        }
        let g = goroutine(u32::from_ne_bytes(order));
        for function in FUNCTIONS.map(Some).into_iter().chain([None]) {
            let mut times = [0u64; CALLS];
            for time in &mut times {
                let pause = now() + PAUSE_NS;
                while now() < pause {
                    hint::spin_loop();
                }
                let before = now();
                if let Some(function) = function {
                    empty::call(function, g.as_ptr());
                }
                *time = now() - before;
            }
            let bytes = size_of_val(&times);
            if libc::write(results, times.as_ptr().cast(), bytes) != bytes.cast_signed() {
                libc::_exit(1);
            }
        }
        libc::_exit(0)
    }
}

/// A `runtime.g` whose stack is this thread's.
fn goroutine(goid_offset: u32) -> [u64; G_WORDS] {
    let mut g = [0; G_WORDS];
    let here = std::ptr::from_ref(&g) as u64;
    g[0] = here - STACK;
    g[1] = here + STACK;
    if let Some(goid) = g.get_mut(goid_offset as usize / 8) {
        *goid = 1;
    }
    g
}

fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a valid buffer.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
