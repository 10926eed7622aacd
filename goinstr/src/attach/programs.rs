//! Waits for kernel programs that are running.

/// Waits until every program that has begun to run is over. False: that can't be waited for here.
///
/// Programs at uprobes run as readers of RCU (kernel: `kernel/trace/bpf_trace.c`, `trace_call_bpf`;
/// `include/linux/bpf.h`, `bpf_prog_run_array_uprobe`), and membarrier(2) waits for those. On a machine
/// with one CPU it does not, and where some CPUs have no timer tick (`nohz_full`) it is refused.
pub(super) fn wait_for_running() -> bool {
    const GLOBAL: libc::c_int = 1;
    // SAFETY: system calls without memory.
    unsafe {
        libc::sysconf(libc::_SC_NPROCESSORS_ONLN) > 1
            && libc::syscall(libc::SYS_membarrier, GLOBAL, 0, 0) == 0
    }
}
