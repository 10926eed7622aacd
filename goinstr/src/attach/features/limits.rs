//! Settings of the machine that bound what a user may do.

use std::fs;

use rustix::process::{Resource, getrlimit};

use super::Check;
use crate::target::{Capability, capability};

pub(super) fn checks() -> Vec<Check> {
    vec![
        paranoid(),
        unprivileged(),
        memlock(),
        open_files(),
        shadow_stacks(),
    ]
}

fn number(path: &str) -> Option<i64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn paranoid() -> Check {
    let name = "perf_event_paranoid";
    let Some(level) = number("/proc/sys/kernel/perf_event_paranoid") else {
        return Check::limited(
            name,
            "this kernel has no perf events",
            "there is no way to arm but uprobe.multi",
        );
    };
    if !Capability::Perfmon.is_ours() {
        return Check::limited(
            name,
            level.to_string(),
            "it binds this user, who lacks CAP_PERFMON",
        )
        .remedy(capability::remedy(&[]));
    }
    Check::good(name, format!("{level}, which CAP_PERFMON overrides"))
}

fn unprivileged() -> Check {
    let name = "unprivileged_bpf";
    let found = match number("/proc/sys/kernel/unprivileged_bpf_disabled") {
        Some(0) => "allowed; goinstr's programs take CAP_BPF and CAP_PERFMON all the same",
        Some(_) => "not allowed, which is as it should be: goinstr uses CAP_BPF and CAP_PERFMON",
        None => "the kernel does not tell",
    };
    Check::good(name, found)
}

/// Since Linux 5.11 maps count for the control group and not here; whether one is made was tried.
fn memlock() -> Check {
    let limit = getrlimit(Resource::Memlock).current;
    let text = limit.map_or("unlimited".to_owned(), |bytes| format!("{bytes} bytes"));
    Check::good("memlock", text)
}

fn open_files() -> Check {
    let limit = getrlimit(Resource::Nofile).maximum;
    let text = limit.map_or("unlimited".to_owned(), |files| format!("up to {files}"));
    Check::good("open_files", text)
}

/// `ARCH_SHSTK_STATUS` of the kernel's arch/x86/include/uapi/asm/prctl.h, which a kernel without
/// user shadow stacks does not know.
#[cfg(target_arch = "x86_64")]
fn shadow_stacks() -> Check {
    const ARCH_SHSTK_STATUS: libc::c_int = 0x5005;
    let mut features = 0u64;
    // SAFETY: the command writes one word to the address.
    let result =
        unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SHSTK_STATUS, &raw mut features) };
    let found = if result == 0 {
        "the kernel has them; a process that uses them is measured by single-stepped returns"
    } else {
        "the kernel has none"
    };
    Check::good("shadow_stacks", found)
}

#[cfg(not(target_arch = "x86_64"))]
fn shadow_stacks() -> Check {
    Check::good("shadow_stacks", "not looked at on this architecture")
}
