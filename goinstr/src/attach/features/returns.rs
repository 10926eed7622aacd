//! What returns rest on: whether the kernel program may make them, and what user shadow stacks mean to that.

use std::io;

use super::{
    Check,
    attempt::{self, Attach, Instruction},
};
use crate::binary::Arch;

pub(super) fn register_writes() -> Check {
    let program = [
        Instruction::ZERO,
        Instruction::WRITE_REGISTER,
        Instruction::EXIT,
    ];
    let tried = attempt::program(&program, Attach::UprobeMulti);
    judge_writes(tried.map(drop).map_err(|(error, _)| error), Arch::HOST)
}

fn judge_writes(tried: io::Result<()>, arch: Arch) -> Check {
    let name = "register_writes";
    match tried {
        Ok(()) => Check::good(name, "probes may write registers"),
        Err(error) if arch != Arch::X86_64 => Check::noted(
            name,
            format!("probes may not write registers: {error}"),
            "nothing: on this architecture the kernel needs no single step for returns",
        ),
        Err(error) => Check::limited(
            name,
            format!("probes may not write registers: {error}"),
            "nothing is wrong: each return costs a single step",
            "nothing need be done: --ret-by kernel, the default, measures as well; --ret-by program takes a kernel that \
             allows it (mainline does from 6.18 on, some don't when they are locked down)",
        ),
    }
}

/// `ARCH_SHSTK_STATUS` of the kernel's arch/x86/include/uapi/asm/prctl.h, which a kernel without
/// user shadow stacks does not know.
#[cfg(target_arch = "x86_64")]
pub(super) fn shadow_stacks() -> Check {
    const ARCH_SHSTK_STATUS: libc::c_int = 0x5005;
    let mut features = 0u64;
    // SAFETY: the command writes one word to the address.
    let result =
        unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SHSTK_STATUS, &raw mut features) };
    judge_stacks(result == 0)
}

#[cfg(target_arch = "x86_64")]
fn judge_stacks(known: bool) -> Check {
    let name = "shadow_stacks";
    match known {
        true => Check::noted(
            name,
            "the kernel has them",
            "a process that uses them is measured by single-stepped returns, and --ret-by program is refused for it",
        ),
        false => Check::good(name, "the kernel has none"),
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn shadow_stacks() -> Check {
    Check::good("shadow_stacks", "not looked at on this architecture")
}

#[cfg(test)]
mod tests {
    use super::{super::Verdict, *};

    #[test]
    fn where_programs_may_not_make_returns_the_kernel_does() {
        let refused = || Err(io::Error::from_raw_os_error(libc::EACCES));
        let check = judge_writes(refused(), Arch::X86_64);
        assert_eq!(check.verdict(), Verdict::Limited);
        assert!(check.remedy().unwrap().contains("--ret-by kernel"));
        assert_eq!(
            judge_writes(refused(), Arch::Aarch64).verdict(),
            Verdict::Good
        );
        assert_eq!(judge_writes(Ok(()), Arch::X86_64).verdict(), Verdict::Good);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn what_shadow_stacks_mean_is_a_consequence() {
        assert!(judge_stacks(true).consequence().is_some());
        assert_eq!(judge_stacks(false).consequence(), None);
    }
}
