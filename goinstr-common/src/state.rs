//! What a goroutine does while traced calls are open on it: values of the maps `CLOCKS`, `THREADS`
//! and `STATE_SUMS`.
//!
//! Only time in which a goroutine does not run is summed up; what is left of a call's duration it
//! ran, so that the states of a call add up to its duration.

use crate::{record::CallRecord, wire};

/// `Clock::state`: runs on a thread.
pub const RUNNING: u32 = 0;
/// `Clock::state`: could run, and waits for a P.
pub const RUNNABLE: u32 = 1;
/// `Clock::state`: is parked, for the reason in `runtime.g.waitreason`.
pub const WAITING: u32 = 2;
/// `Clock::state`: in a system call or in C.
pub const SYSCALL: u32 = 3;

/// The state in the cookie of a site that changes the state of the goroutine it runs on.
pub const COOKIE_STATE: u64 = 0xf;
/// A cookie's flag: the goroutine is the first argument, not the one in the g register.
pub const COOKIE_ARGUMENT: u64 = 1 << 4;

/// A cookie's flag: the site's instruction is single-stepped and not emulated: the hit costs more.
pub const COOKIE_STEPPED: u64 = 1 << 5;

/// Wait reasons told apart; the map `WAIT_SLOT` says which has which slot, 0 is for all others.
/// A runtime has some forty, of which code that is measured meets about a dozen.
pub const WAIT_SLOTS: usize = 16;
/// Calls open on one goroutine whose states are followed; deeper ones have none. A power of two.
pub const STATE_FRAMES: usize = 16;

/// Time spent not running, by state, in ns.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateTimes {
    /// Could run: waited for a P, or its thread for a CPU.
    pub runnable_ns: u64,
    /// In a system call, or its thread blocked otherwise in the kernel.
    pub syscall_ns: u64,
    /// Parked, by slot.
    pub waiting_ns: [u64; WAIT_SLOTS],
}
wire!(StateTimes, size = 144, align = 8);

impl StateTimes {
    /// All together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.waiting_ns
            .iter()
            .fold(self.runnable_ns.wrapping_add(self.syscall_ns), |sum, ns| {
                sum.wrapping_add(*ns)
            })
    }
}

/// Time a thread was off its CPU: a value of the map `THREADS`, by thread id.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Thread {
    /// Since when it is off its CPU; 0: it is on one.
    pub off_since_ns: u64,
    /// 1 if it is off its CPU because it waits for something, 0 if it could run.
    pub blocked: u64,
    /// Time off a CPU while it could run, altogether.
    pub runnable_ns: u64,
    /// Time off a CPU because it waited, altogether.
    pub blocked_ns: u64,
}
wire!(Thread, size = 32, align = 8);

/// One goroutine's clock: a value of the map `CLOCKS`, by shadow stack.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Since when it is in `state`, ns of `CLOCK_MONOTONIC`.
    pub since_ns: u64,
    /// One of the constants of this module.
    pub state: u32,
    /// Traced calls that are open; with none the clock stands still.
    pub open: u32,
    /// `Thread::runnable_ns` of the thread it runs on, when it began to.
    pub thread_runnable_ns: u64,
    /// `Thread::blocked_ns` of the thread it runs on, when it began to.
    pub thread_blocked_ns: u64,
    /// Since ever.
    pub totals: StateTimes,
    /// Of the call that ended last: the difference of `totals` over it.
    pub last: StateTimes,
    /// `totals` at the beginning of each open call, outermost first.
    pub frames: [StateTimes; STATE_FRAMES],
    /// The longest wait since the beginning of each that was told of, in ns: where stacks are.
    pub told_ns: [u64; STATE_FRAMES],
}
wire!(Clock, size = 2752, align = 8);

/// States of all finished calls of one function: an element of the map `STATE_SUMS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateSum {
    /// Number of calls whose states were followed.
    pub calls: u64,
    /// Sum of their durations, in ns.
    pub total_ns: u64,
    /// What of that they did not run.
    pub times: StateTimes,
}
wire!(StateSum, size = 160, align = 8);

/// A finished call and its states.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatesRecord {
    /// The call.
    pub call: CallRecord,
    /// Not running, within it.
    pub times: StateTimes,
    /// 1 if `times` is known.
    pub known: u64,
}
wire!(StatesRecord, size = 232, align = 8);
