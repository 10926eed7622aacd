//! Which of the kernel side's diagnostics are written at all.

/// The kernel program's log level for userspace's: 0 (the verifier drops the code) unless asked for.
pub(super) fn of_kernel_side() -> u8 {
    if log::log_enabled!(target: "goinstr_ebpf", log::Level::Debug) {
        aya_log::Level::Debug as u8
    } else {
        0
    }
}
