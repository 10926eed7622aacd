//! The capabilities of this process. Only a finding: whether they suffice, the attempts show.

use super::Check;
use crate::target::{Capability, capability};

pub(super) fn check() -> Check {
    let name = "capabilities";
    match Capability::missing().as_slice() {
        [] => Check::good(
            name,
            format!("{} are effective", capability::names(&Capability::USUAL)),
        ),
        [Capability::SysPtrace] => Check::limited(
            name,
            "CAP_SYS_PTRACE is missing",
            "only this user's own processes can be measured",
        )
        .remedy(capability::remedy(&[])),
        missing => Check::limited(
            name,
            format!("missing: {}", capability::names(missing)),
            "the kernel refuses what takes them, see below",
        )
        .remedy(capability::remedy(&[])),
    }
}
