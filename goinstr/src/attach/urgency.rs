//! Threads that keep a target from harm, ahead of others.

/// Gives the calling thread, and those that it starts from now on, the CPU before others of the machine.
///
/// Sites are taken out one by one, each under a lock of the target's: on a busy machine a thread that
/// has to wait for a CPU between two of them needs seconds for what else takes tenths of one, and all
/// that time the target pays for its probes. Where it isn't allowed (`CAP_SYS_NICE`) all goes on as it is.
pub fn urgent() {
    const NICEST: i32 = -20;
    // On Linux a priority is a thread's.
    if let Err(error) = rustix::process::setpriority_process(None, NICEST) {
        log::debug!("no higher priority: {error}");
    }
}
