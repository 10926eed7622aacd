//! The capabilities of this process. Only a finding: whether they suffice, the attempts show.

use super::Check;
use crate::target::{Capability, capability};

pub(super) fn check() -> Check {
    judge(&Capability::missing())
}

fn judge(missing: &[Capability]) -> Check {
    let name = "capabilities";
    match missing {
        [] => Check::good(
            name,
            format!("{} are effective", capability::names(&Capability::USUAL)),
        ),
        [Capability::SysPtrace] => Check::limited(
            name,
            "CAP_SYS_PTRACE is missing",
            "only this user's own processes can be measured",
            capability::remedy(&[]),
        ),
        missing => Check::limited(
            name,
            format!("missing: {}", capability::names(missing)),
            "the kernel refuses what takes them, see below",
            capability::remedy(&[]),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Verdict, *};

    #[test]
    fn what_is_missing_is_named_with_the_command_that_gives_it() {
        assert_eq!(judge(&[]).verdict(), Verdict::Good);
        for missing in [&[Capability::SysPtrace][..], &Capability::USUAL] {
            let check = judge(missing);
            assert_eq!(check.verdict(), Verdict::Limited);
            assert!(check.detail().contains("CAP_SYS_PTRACE"), "{check:?}");
            assert!(check.remedy().unwrap().contains("sudo setcap"));
        }
        let own = judge(&[Capability::SysPtrace]);
        assert!(own.consequence().unwrap().contains("own processes"));
    }
}
