//! Features of the kernel's BPF and uprobes.

use std::io;

use aya_obj::generated::{bpf_func_id, bpf_map_type};

use super::{
    Check, Verdict,
    attempt::{self, Attach, IDLE, Instruction},
    newest_first,
};
use crate::target::capability;

/// Bytes of an ordinary measurement's largest table.
const LARGE_TABLE: u32 = 8 << 20;

pub(super) fn checks() -> Vec<Check> {
    let array = attempt::map(bpf_map_type::BPF_MAP_TYPE_ARRAY, 8, 1);
    let mut checks = vec![maps(array)];
    let ring = attempt::map(bpf_map_type::BPF_MAP_TYPE_RINGBUF, 0, 1 << 16);
    checks.push(ring_buffer(ring));
    let loaded = attempt::program(&IDLE, Attach::Any).map_err(|(error, _)| error);
    let can_load = loaded.is_ok();
    checks.push(programs(loaded));
    if can_load {
        checks.extend([
            helper(
                "attach_cookie",
                bpf_func_id::BPF_FUNC_get_attach_cookie,
                "5.15",
            ),
            helper("bpf_loop", bpf_func_id::BPF_FUNC_loop, "5.17"),
            multi(),
            shedding(),
            register_writes(),
            lockdown(),
        ]);
    }
    checks.push(types());
    checks
}

fn refused(name: &'static str, what: &str, error: &io::Error) -> Check {
    let refused = Check::fatal(name, format!("{what}: {error}"), "nothing can be measured");
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => refused.remedy(capability::remedy(&[])),
        Some(libc::ENOSYS) => refused.remedy(
            "a kernel with CONFIG_BPF_SYSCALL, or a container whose seccomp profile allows bpf(2)",
        ),
        _ => refused.remedy("a newer kernel: goinstr needs Linux 5.17 or newer with BPF"),
    }
}

fn maps<T>(made: io::Result<T>) -> Check {
    let name = "bpf_maps";
    if let Err(error) = made {
        return refused(name, "BPF maps are refused", &error);
    }
    match attempt::map(bpf_map_type::BPF_MAP_TYPE_ARRAY, LARGE_TABLE, 1) {
        Ok(_) => Check::good(name, "made one of 8 bytes and one of 8 MiB"),
        Err(error) => Check::limited(
            name,
            format!("one of 8 bytes is made, one of 8 MiB is refused: {error}"),
            "only few functions can be measured at once",
        )
        .remedy("ulimit -l unlimited, or a larger memory limit of the control group"),
    }
}

fn ring_buffer<T>(made: io::Result<T>) -> Check {
    let name = "ring_buffer";
    match made {
        Ok(_) => Check::good(name, "made one of 64 KiB"),
        Err(error) => refused(name, "BPF ring buffers are refused", &error),
    }
}

fn programs<T>(loaded: io::Result<T>) -> Check {
    let name = "bpf_programs";
    match loaded {
        Ok(_) => Check::good(name, "loaded one for probes"),
        Err(error) => refused(name, "BPF programs for probes are refused", &error),
    }
}

fn helper(name: &'static str, helper: bpf_func_id, since: &str) -> Check {
    match attempt::helper(helper as i32) {
        Ok(true) => Check::good(name, "the kernel has it"),
        Ok(false) => Check::fatal(
            name,
            "the kernel does not have it",
            "nothing can be measured",
        )
        .remedy(format!("a kernel that has it (Linux {since} or newer)")),
        Err(error) => refused(name, "can't be tried", &error),
    }
}

/// Linux 6.6 to 6.9 filter by thread, so that most of a Go program would go unseen; they check the
/// pid later than the file, while the mended ones refuse a negative pid first.
fn multi() -> Check {
    let name = "uprobe_multi";
    let without =
        "each site takes a perf event: taking many away takes minutes, so measure few functions";
    let newer = "a kernel that has it (Linux 6.6 or newer; filtered by process in 6.10 and in later releases of the older ones)";
    let program = match attempt::program(&IDLE, Attach::UprobeMulti) {
        Ok(program) => program,
        Err((error, _)) => {
            return Check::limited(name, format!("no such programs: {error}"), without)
                .remedy(newer);
        }
    };
    if attempt::impossible_link(&program, 0).raw_os_error() != Some(libc::EBADF) {
        return Check::limited(name, "no such links", without).remedy(newer);
    }
    if attempt::impossible_link(&program, -1).raw_os_error() != Some(libc::EINVAL) {
        let detail = "it is there, but filters by thread and not by process";
        return Check::limited(name, detail, without).remedy(newer);
    }
    Check::good(name, "it is there and filters by process")
}

/// Whether sites are armed by `uprobe.multi` here.
#[must_use]
pub fn has_uprobe_multi() -> bool {
    multi().verdict == Verdict::Good
}

fn shedding() -> Check {
    let name = "shedding";
    let consequence = "a measurement that becomes too costly is ended, instead of going on without what costs most";
    match newest_first() {
        Ok(true) => Check::good(name, "of two probes at one place the newer runs first"),
        Ok(false) => Check::limited(
            name,
            "of two probes at one place the older runs first",
            consequence,
        ),
        Err(error) => Check::limited(name, format!("can't be tried: {error}"), consequence),
    }
}

fn register_writes() -> Check {
    let name = "register_writes";
    let program = [
        Instruction::ZERO,
        Instruction::WRITE_REGISTER,
        Instruction::EXIT,
    ];
    match attempt::program(&program, Attach::UprobeMulti) {
        Ok(_) => Check::good(name, "probes may write registers"),
        Err((error, _)) => Check::limited(
            name,
            format!("probes may not write registers: {error}"),
            "nothing is wrong: each return costs a single step",
        )
        .remedy("a kernel that allows it and is not locked down"),
    }
}

/// Which helpers a lockdown takes away: writing to processes at integrity, reading the kernel at
/// confidentiality (the kernel's security/lockdown/lockdown.c). goinstr uses neither.
fn lockdown() -> Check {
    let name = "lockdown";
    let has = |id: bpf_func_id| attempt::helper(id as i32).unwrap_or(false);
    let found = if !has(bpf_func_id::BPF_FUNC_probe_read_kernel) {
        "confidentiality: the kernel's memory is out of reach of programs"
    } else if !has(bpf_func_id::BPF_FUNC_probe_write_user) {
        "integrity: programs may not write to processes"
    } else {
        "none"
    };
    let readable = has(bpf_func_id::BPF_FUNC_probe_read_user);
    if readable {
        return Check::good(name, found);
    }
    Check::fatal(
        name,
        format!("{found}; programs may not read processes either"),
        "nothing can be measured: a hit's goroutine is read from the process",
    )
    .remedy("boot with lockdown=integrity or without")
}

fn types() -> Check {
    let name = "btf";
    // What the kernel is given with a program, and not what it tells of itself.
    if aya::features().btf().is_some() {
        Check::good(name, "the kernel takes a program's types")
    } else {
        Check::fatal(
            name,
            "the kernel takes no types with a program",
            "nothing can be measured: bpf_loop wants them",
        )
        .remedy(capability::remedy(&[]))
    }
}
