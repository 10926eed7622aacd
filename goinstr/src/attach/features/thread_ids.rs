//! Whether the kernel tells where it keeps a thread's id, by which `--states` follows threads.

use std::path::Path;

use super::Check;
use crate::attach::kernel_types;

const TYPES: &str = "/sys/kernel/btf/vmlinux";

pub(super) fn check() -> Check {
    judge(
        kernel_types::field_offset("task_struct", "pid").is_some(),
        Path::new(TYPES).exists(),
        Path::new("/sys/kernel").is_dir(),
    )
}

fn judge(told: bool, has_types: bool, has_sysfs: bool) -> Check {
    let name = "kernel_btf";
    let (detail, remedy) = match (told, has_types, has_sysfs) {
        (true, ..) => return Check::good(name, "the kernel tells its own types"),
        (false, true, _) => (
            format!("{TYPES} does not tell where a thread's id is, or can't be read"),
            "sudo chmod a+r /sys/kernel/btf/vmlinux, or measure without --states",
        ),
        (false, false, true) => (
            format!("there is no {TYPES}"),
            "a kernel with CONFIG_DEBUG_INFO_BTF, or measure without --states",
        ),
        (false, false, false) => (
            "not known: /sys is not mounted".to_owned(),
            "mount -t sysfs sysfs /sys",
        ),
    };
    Check::limited(
        name,
        detail,
        "with --states, time without a CPU counts as running; all else is measured",
        remedy,
    )
}

#[cfg(test)]
mod tests {
    use super::{super::Verdict, *};

    #[test]
    fn without_the_kernels_types_only_states_are_less() {
        assert_eq!(judge(true, true, true).verdict(), Verdict::Good);
        for (has_types, has_sysfs, remedy) in [
            (true, true, "chmod"),
            (false, true, "CONFIG_DEBUG_INFO_BTF"),
            (false, false, "mount -t sysfs"),
        ] {
            let check = judge(false, has_types, has_sysfs);
            assert_eq!(check.verdict(), Verdict::Limited);
            assert!(check.remedy().unwrap().contains(remedy), "{check:?}");
        }
    }
}
