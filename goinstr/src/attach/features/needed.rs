//! What no measurement does without: maps, programs, helpers and types.
//!
//! Each is tried; what the trial gave is judged by a function of its own.

use std::io;

use aya_obj::generated::{bpf_func_id, bpf_map_type};

use super::{
    Check, Verdict,
    attempt::{self, Attach, IDLE},
};
use crate::target::{Capability, capability};

/// Bytes of an ordinary measurement's largest table.
const LARGE_TABLE: u32 = 8 << 20;

const NOTHING: &str = "nothing can be measured";

const PROGRAMS: &str = "bpf_programs";

/// Nothing in here makes the kernel say anything in its log.
pub(super) fn checks() -> Vec<Check> {
    let missing = Capability::missing();
    let missing = missing.as_slice();
    let array = |bytes| attempt::map(bpf_map_type::BPF_MAP_TYPE_ARRAY, bytes, 1).map(drop);
    let ring = attempt::map(bpf_map_type::BPF_MAP_TYPE_RINGBUF, 0, 1 << 16).map(drop);
    let program = attempt::program(&IDLE, Attach::Any).map(drop);
    let can_load = program.is_ok();
    let mut checks = vec![
        maps(array(8), || array(LARGE_TABLE), missing),
        ring_buffer(ring, missing),
        programs(program.map_err(|(error, _)| error), missing),
    ];
    if can_load {
        let tried =
            |name, id: bpf_func_id, since| helper(name, attempt::helper(id as i32), since, missing);
        checks.extend([
            tried(
                "attach_cookie",
                bpf_func_id::BPF_FUNC_get_attach_cookie,
                "5.15",
            ),
            tried("bpf_loop", bpf_func_id::BPF_FUNC_loop, "5.17"),
            tried(
                "probe_read_user",
                bpf_func_id::BPF_FUNC_probe_read_user,
                "5.5",
            ),
        ]);
    }
    checks.push(types(
        aya::features().btf().is_some(),
        || attempt::types().map(drop),
        missing,
    ));
    checks
}

/// Whether programs can be loaded, without which what else there is can't be tried.
pub(super) fn can_load(checks: &[Check]) -> bool {
    checks
        .iter()
        .any(|check| check.name() == PROGRAMS && check.verdict() == Verdict::Good)
}

/// What mends a refusal of bpf(2) to a user who lacks these capabilities.
fn mend(error: &io::Error, missing: &[Capability]) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) if missing.is_empty() => {
            "goinstr has the capabilities, so a seccomp profile or a security module refuses: let it \
             allow bpf(2) (docker run --security-opt seccomp=PROFILE, or run goinstr on the machine itself)"
                .to_owned()
        }
        Some(libc::EPERM | libc::EACCES) => capability::remedy(&[]),
        Some(libc::ENOSYS) => {
            "a kernel with CONFIG_BPF_SYSCALL, or a container whose seccomp profile allows bpf(2)"
                .to_owned()
        }
        Some(libc::ENOMEM) => {
            "ulimit -l unlimited, or a larger memory limit of the control group (memory.max)"
                .to_owned()
        }
        _ => "install a newer kernel: goinstr needs Linux 5.17 or newer with BPF".to_owned(),
    }
}

fn refused(name: &'static str, what: &str, error: &io::Error, missing: &[Capability]) -> Check {
    Check::fatal(
        name,
        format!("{what}: {error}"),
        NOTHING,
        mend(error, missing),
    )
}

fn maps(
    small: io::Result<()>,
    large: impl FnOnce() -> io::Result<()>,
    missing: &[Capability],
) -> Check {
    let name = "bpf_maps";
    if let Err(error) = small {
        return refused(name, "BPF maps are refused", &error, missing);
    }
    match large() {
        Ok(()) => Check::good(name, "made one of 8 bytes and one of 8 MiB"),
        Err(error) => Check::limited(
            name,
            format!("one of 8 bytes is made, one of 8 MiB is refused: {error}"),
            "only few functions can be measured at once",
            "ulimit -l unlimited, or a larger memory limit of the control group (memory.max)",
        ),
    }
}

fn ring_buffer(made: io::Result<()>, missing: &[Capability]) -> Check {
    let name = "ring_buffer";
    match made {
        Ok(()) => Check::good(name, "made one of 64 KiB"),
        Err(error) => refused(name, "BPF ring buffers are refused", &error, missing),
    }
}

fn programs(loaded: io::Result<()>, missing: &[Capability]) -> Check {
    match loaded {
        Ok(()) => Check::good(PROGRAMS, "loaded one for probes"),
        Err(error) => refused(
            PROGRAMS,
            "BPF programs for probes are refused",
            &error,
            missing,
        ),
    }
}

fn helper(name: &'static str, has: io::Result<bool>, since: &str, missing: &[Capability]) -> Check {
    match has {
        Ok(true) => Check::good(name, "the kernel has it"),
        Ok(false) => Check::fatal(
            name,
            "the kernel does not have it",
            NOTHING,
            format!("a kernel that has it (Linux {since} or newer)"),
        ),
        Err(error) => refused(name, "can't be tried", &error, missing),
    }
}

/// Whether the kernel takes types with a program; what it tells of itself is another matter.
fn types(taken: bool, smallest: impl FnOnce() -> io::Result<()>, missing: &[Capability]) -> Check {
    let name = "btf";
    if taken {
        return Check::good(name, "the kernel takes a program's types");
    }
    let without = "nothing can be measured: bpf_loop wants them";
    match smallest() {
        Ok(()) => Check::fatal(
            name,
            "the kernel takes types, but not those of functions",
            without,
            "a kernel that takes them (Linux 5.17 or newer)",
        ),
        Err(error) => Check::fatal(
            name,
            format!("the kernel takes no types with a program: {error}"),
            without,
            mend(&error, missing),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(error: i32) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(error))
    }

    fn fatal(check: &Check, says: &str, remedy: &str) {
        assert_eq!(check.verdict(), Verdict::Fatal, "{check:?}");
        assert!(check.detail().contains(says), "{check:?}");
        assert!(check.remedy().unwrap().contains(remedy), "{check:?}");
    }

    #[test]
    fn a_refusal_is_a_matter_of_rights_of_the_container_or_of_the_kernel() {
        let missing = [Capability::Bpf];
        for judged in [
            ring_buffer as fn(io::Result<()>, &[Capability]) -> Check,
            programs,
            |made, missing| maps(made, || Ok(()), missing),
            |made, missing| types(false, || made, missing),
            |made, missing| helper("bpf_loop", made.map(|()| true), "5.17", missing),
        ] {
            let eperm = judged(refusal(libc::EPERM), &missing);
            fatal(&eperm, "not permitted", "setcap cap_bpf");
            fatal(&judged(refusal(libc::EPERM), &[]), "", "seccomp");
            fatal(
                &judged(refusal(libc::ENOSYS), &[]),
                "",
                "CONFIG_BPF_SYSCALL",
            );
            fatal(&judged(refusal(libc::ENOMEM), &[]), "", "ulimit -l");
            fatal(&judged(refusal(libc::EINVAL), &missing), "", "5.17");
        }
    }

    #[test]
    fn little_memory_is_less_than_none() {
        let check = maps(Ok(()), || refusal(libc::ENOMEM), &[]);
        assert_eq!(check.verdict(), Verdict::Limited);
        assert!(check.remedy().unwrap().starts_with("ulimit"), "{check:?}");
    }

    #[test]
    fn a_helper_that_is_not_there_comes_with_a_newer_kernel() {
        let check = helper("bpf_loop", Ok(false), "5.17", &[]);
        fatal(&check, "does not have it", "Linux 5.17");
    }

    #[test]
    fn types_that_are_not_enough_are_no_matter_of_rights() {
        fatal(&types(false, || Ok(()), &[]), "functions", "Linux 5.17");
    }

    #[test]
    fn what_all_do_without_is_told_apart_from_what_can_not_be_tried() {
        assert!(can_load(&[programs(Ok(()), &[])]));
        assert!(!can_load(&[programs(refusal(libc::EPERM), &[])]));
    }
}
