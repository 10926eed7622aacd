//! How much CPU time a process has used: by its own clock, which any user may read.

use super::{Liveness, Process};

/// The CPU clock of one process (`clock_getcpuclockid(3)`): all its threads, the ended ones too.
#[derive(Clone, Debug)]
pub struct CpuClock {
    process: Process,
    clock: libc::clockid_t,
}

impl CpuClock {
    /// The clock of `process`; `None` if it has gone.
    #[must_use]
    pub fn of(process: &Process) -> Option<Self> {
        let pid = libc::pid_t::try_from(process.pid().0).ok()?;
        let mut clock = 0;
        // SAFETY: the call writes one clock id to the address.
        let result = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
        (result == 0).then(|| Self {
            process: process.clone(),
            clock,
        })
    }

    /// CPU time used so far, in ns; `None` where the process has gone.
    #[must_use]
    pub fn read(&self) -> Option<u64> {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the call writes one time to the address.
        let result = unsafe { libc::clock_gettime(self.clock, &raw mut time) };
        // By its number: the pid may be another's by now.
        if result != 0 || self.process.still_same() == Liveness::Gone {
            return None;
        }
        let seconds = u64::try_from(time.tv_sec).ok()?;
        Some(seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Pid;

    #[test]
    fn the_clock_of_a_busy_process_goes_on() {
        let own = Process::open(Pid(std::process::id())).expect("opens");
        let clock = CpuClock::of(&own).expect("a clock");
        let before = clock.read().expect("alive");
        while clock.read().expect("alive") < before + 1_000_000 {
            std::hint::spin_loop();
        }
    }
}
