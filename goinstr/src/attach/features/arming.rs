//! How sites are armed here: by `uprobe.multi` or by perf events, and whether some can be taken out again.

use std::io;

use super::{
    Check, Verdict,
    attempt::{self, Attach, IDLE},
    limits, newest_first, own_event,
    own_event::Unarmed,
};
use crate::{
    attach::holder::Holder,
    target::{Capability, capability},
};

const MULTI: &str = "uprobe_multi";
const PERF: &str = "perf_events";
const SHEDDING: &str = "shedding";

pub(super) fn checks() -> Vec<Check> {
    let multi = multi(&tried_multi());
    let has_multi = multi.verdict() == Verdict::Good;
    let perf = perf_events(
        &own_event::attempt(),
        has_multi,
        Capability::SysAdmin.is_ours(),
        limits::perf_event_paranoid(),
    );
    let shedding = match has_multi {
        true => shedding_of_links(Holder::start().and_then(|holder| newest_first(&holder))),
        false => shedding_of_events(&perf),
    };
    vec![multi, perf, shedding]
}

/// Whether sites are armed by `uprobe.multi` here.
#[must_use]
pub fn has_uprobe_multi() -> bool {
    matches!(tried_multi(), Multi::ByProcess)
}

/// What the kernel has of `uprobe.multi`.
enum Multi {
    NoPrograms(io::Error),
    NoLinks(io::Error),
    ByThread,
    ByProcess,
}

/// Linux 6.6 to 6.9 filter by thread, so that most of a Go program would go unseen; they check the
/// pid later than the file, while the mended ones refuse a negative pid first.
fn tried_multi() -> Multi {
    let program = match attempt::program(&IDLE, Attach::UprobeMulti) {
        Ok(program) => program,
        Err((error, _)) => return Multi::NoPrograms(error),
    };
    let of_all = attempt::impossible_link(&program, 0);
    if of_all.raw_os_error() != Some(libc::EBADF) {
        return Multi::NoLinks(of_all);
    }
    match attempt::impossible_link(&program, -1).raw_os_error() {
        Some(libc::EINVAL) => Multi::ByProcess,
        _ => Multi::ByThread,
    }
}

fn multi(found: &Multi) -> Check {
    let detail = match found {
        Multi::ByProcess => return Check::good(MULTI, "it is there and filters by process"),
        Multi::NoPrograms(error) => format!("no such programs: {error}"),
        Multi::NoLinks(error) => format!("no such links: {error}"),
        Multi::ByThread => "it is there, but filters by thread and not by process".to_owned(),
    };
    Check::limited(
        MULTI,
        detail,
        "each site takes a perf event: taking many away takes minutes, and takes CAP_SYS_ADMIN on kernels of \
         July 2025 and later",
        "install a kernel that has it (Linux 6.6 or newer; filtered by process in 6.10 and in later releases of the \
         older ones); until then choose few functions (goinstr attach --pid PID 'main.handle*'), or count calls by \
         --count, which takes one site a function",
    )
}

fn perf_events(
    tried: &Result<(), Unarmed>,
    has_multi: bool,
    is_admin: bool,
    paranoid: Option<i64>,
) -> Check {
    let unarmed = match tried {
        Ok(()) => {
            return Check::good(
                PERF,
                "armed a place of goinstr's own by one: its program ran",
            );
        }
        Err(unarmed) => unarmed,
    };
    let remedy = match unarmed {
        Unarmed::NoSysfs => "mount -t sysfs sysfs /sys".to_owned(),
        Unarmed::NoType(_) => {
            "a kernel with CONFIG_UPROBE_EVENTS and CONFIG_BPF_EVENTS".to_owned()
        }
        Unarmed::Refused(error) => match (error.raw_os_error(), is_admin, paranoid) {
            (Some(libc::EPERM | libc::EACCES), false, _) => {
                capability::remedy(&[Capability::SysAdmin])
            }
            (Some(libc::EPERM | libc::EACCES), true, Some(level)) if level > 2 => {
                "sysctl -w kernel.perf_event_paranoid=2; in a container, a seccomp profile that allows \
                 perf_event_open(2)"
                    .to_owned()
            }
            (Some(libc::EPERM | libc::EACCES), true, _) => {
                "let the container's seccomp profile or the security module allow perf_event_open(2), or run goinstr \
                 on the machine itself"
                    .to_owned()
            }
            (Some(libc::EMFILE | libc::ENFILE), ..) => "ulimit -n 65536".to_owned(),
            _ => "a kernel with CONFIG_UPROBE_EVENTS and CONFIG_BPF_EVENTS".to_owned(),
        },
        Unarmed::Silent => {
            "see whether the kernel has set its probes aside: cat /sys/kernel/debug/kprobes/enabled; else report it"
                .to_owned()
        }
    };
    if has_multi {
        return Check::limited(
            PERF,
            unarmed.to_string(),
            "--attach-by perf_event can't be used; nothing else takes them where there is uprobe.multi",
            format!("leave --attach-by out; where it is wanted: {remedy}"),
        );
    }
    Check::fatal(
        PERF,
        unarmed.to_string(),
        "nothing can be measured: without uprobe.multi there is no other way to arm sites",
        remedy,
    )
}

/// Sites can't be taken out of a link: the others are armed once more before the old one goes.
fn shedding_of_links(newest_first: io::Result<bool>) -> Check {
    let detail = match newest_first {
        Ok(true) => {
            return Check::good(SHEDDING, "of two probes at one place the newer runs first");
        }
        Ok(false) => "of two probes at one place the older runs first".to_owned(),
        Err(error) => {
            format!("which of two probes at one place runs first can't be tried: {error}")
        }
    };
    Check::limited(
        SHEDDING,
        detail,
        "a measurement that becomes too costly is ended, instead of going on without what costs most",
        "measure with --attach-by perf_event, where each site goes by itself, or choose fewer functions",
    )
}

fn shedding_of_events(perf: &Check) -> Check {
    match perf.remedy() {
        None => Check::good(
            SHEDDING,
            "each site has a perf event of its own: it goes without the others",
        ),
        Some(remedy) => Check::limited(
            SHEDDING,
            "there are no sites to take out: none can be armed",
            "nothing can be measured",
            remedy,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    fn no_multi() -> Check {
        multi(&Multi::NoLinks(error(libc::EINVAL)))
    }

    #[test]
    fn an_old_kernel_is_told_what_is_newer_and_what_to_do_until_then() {
        for found in [
            Multi::NoPrograms(error(libc::EINVAL)),
            Multi::NoLinks(error(libc::EINVAL)),
            Multi::ByThread,
        ] {
            let check = multi(&found);
            assert_eq!(check.verdict(), Verdict::Limited);
            let remedy = check.remedy().unwrap();
            assert!(remedy.contains("6.10") && remedy.contains("--count"));
        }
        assert_eq!(multi(&Multi::ByProcess).verdict(), Verdict::Good);
    }

    #[test]
    fn perf_events_are_needed_where_there_is_nothing_better() {
        let refused = Err(Unarmed::Refused(error(libc::EACCES)));
        let check = |has_multi| perf_events(&refused, has_multi, false, Some(2));
        assert_eq!(check(true).verdict(), Verdict::Limited);
        assert!(check(true).consequence().unwrap().contains("--attach-by"));
        assert_eq!(check(false).verdict(), Verdict::Fatal);
        assert!(check(false).remedy().unwrap().contains("cap_sys_admin"));
        let good = perf_events(&Ok(()), false, true, Some(-1));
        assert_eq!(good.verdict(), Verdict::Good);
    }

    #[test]
    fn each_refusal_of_a_perf_event_has_its_own_remedy() {
        let remedy = |unarmed, is_admin, paranoid| {
            let check = perf_events(&Err(unarmed), false, is_admin, paranoid);
            check.remedy().unwrap().to_owned()
        };
        let refused = || Unarmed::Refused(error(libc::EACCES));
        assert!(remedy(refused(), false, Some(4)).contains("cap_sys_admin"));
        assert!(
            remedy(refused(), true, Some(3)).starts_with("sysctl -w kernel.perf_event_paranoid=2")
        );
        assert!(remedy(refused(), true, Some(2)).contains("seccomp"));
        assert!(remedy(refused(), true, None).contains("seccomp"));
        let files = Unarmed::Refused(error(libc::EMFILE));
        assert!(remedy(files, true, Some(2)).starts_with("ulimit -n"));
        let odd = Unarmed::Refused(error(libc::EINVAL));
        assert!(remedy(odd, true, Some(2)).contains("CONFIG_UPROBE_EVENTS"));
        assert!(remedy(Unarmed::NoSysfs, true, None).starts_with("mount -t sysfs"));
        let none = Unarmed::NoType(error(libc::ENOENT));
        assert!(remedy(none, true, None).contains("CONFIG_UPROBE_EVENTS"));
        assert!(!remedy(Unarmed::Silent, true, None).is_empty());
    }

    #[test]
    fn what_sites_are_perf_events_can_be_shed() {
        let armed = perf_events(&Ok(()), false, true, Some(2));
        assert_eq!(shedding_of_events(&armed).verdict(), Verdict::Good);
        let unarmed = Err(Unarmed::Refused(error(libc::EACCES)));
        let unarmed = perf_events(&unarmed, false, false, Some(2));
        let check = shedding_of_events(&unarmed);
        assert_eq!(check.verdict(), Verdict::Limited);
        assert_eq!(check.remedy(), unarmed.remedy());
        assert!(no_multi().remedy().is_some());
    }

    #[test]
    fn links_in_the_wrong_order_have_another_way() {
        assert_eq!(shedding_of_links(Ok(true)).verdict(), Verdict::Good);
        for found in [Ok(false), Err(error(libc::ENODATA))] {
            let check = shedding_of_links(found);
            assert_eq!(check.verdict(), Verdict::Limited);
            assert!(check.remedy().unwrap().contains("--attach-by perf_event"));
        }
    }
}
