//! Threads that keep a target from harm, ahead of others.

use rustix::process::{getpriority_process, setpriority_process};

/// Gives the calling thread, and those that it starts from now on, the CPU before others of the machine.
///
/// Sites are put in and taken out one by one, each under a lock of the target's: on a busy machine a thread that
/// has to wait for a CPU between two of them needs seconds for what else takes tenths of one, and all
/// that time the target pays for its probes. Where it isn't allowed (`CAP_SYS_NICE`) all goes on as it is.
pub fn urgent() {
    set(NICEST);
}

/// Does it with that priority, and goes back to the one that the thread had.
pub(super) fn urgently<T>(work: impl FnOnce() -> T) -> T {
    let before = getpriority_process(None);
    urgent();
    let done = work();
    if let Ok(before) = before {
        set(before);
    }
    done
}

/// The highest priority there is: on Linux it is a thread's.
const NICEST: i32 = -20;

/// Logs nothing: a process that may not allocate calls it too.
fn set(priority: i32) {
    let _ = setpriority_process(None, priority);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_priority_of_before_comes_back() {
        let before = getpriority_process(None).expect("a priority");
        let within = urgently(|| getpriority_process(None).expect("a priority"));
        assert!(within <= before);
        assert_eq!(getpriority_process(None), Ok(before));
    }
}
