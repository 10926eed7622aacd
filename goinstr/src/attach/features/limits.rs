//! Settings of the machine that bound what a user may do.

use std::fs;

use rustix::process::{Resource, getrlimit};

use super::Check;
use crate::target::{Capability, capability};

pub(super) fn checks() -> Vec<Check> {
    vec![
        judge_paranoid(perf_event_paranoid(), Capability::Perfmon.is_ours()),
        unprivileged(),
        memlock(),
        open_files(),
    ]
}

fn number(path: &str) -> Option<i64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// How little the kernel lets users do with perf events; `None`: it has none, or doesn't tell.
pub(super) fn perf_event_paranoid() -> Option<i64> {
    number("/proc/sys/kernel/perf_event_paranoid")
}

/// A uprobe takes the capability at every level, −1 too (the kernel's kernel/events/core.c,
/// `perf_uprobe_event_init`), so that the level binds nobody who can do anything here.
fn judge_paranoid(level: Option<i64>, has_perfmon: bool) -> Check {
    let name = "perf_event_paranoid";
    match (level, has_perfmon) {
        (Some(level), true) => Check::good(name, format!("{level}, which CAP_PERFMON overrides")),
        (Some(level), false) => Check::limited(
            name,
            format!("{level}; probes take CAP_PERFMON at every level, and this user lacks it"),
            "the kernel refuses programs at probes",
            capability::remedy(&[]),
        ),
        (None, _) => Check::limited(
            name,
            "this kernel has no perf events, or hides /proc/sys",
            "--attach-by perf_event can't be used without them: there is no way to arm but uprobe.multi",
            "a kernel with CONFIG_PERF_EVENTS where there is no uprobe.multi; else nothing need be done",
        ),
    }
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

#[cfg(test)]
mod tests {
    use super::{super::Verdict, *};

    #[test]
    fn the_level_is_not_what_binds() {
        for level in [-1, 2, 4] {
            let good = judge_paranoid(Some(level), true);
            assert_eq!(good.verdict(), Verdict::Good);
            let lacking = judge_paranoid(Some(level), false);
            assert_eq!(lacking.verdict(), Verdict::Limited);
            assert!(lacking.detail().starts_with(&level.to_string()));
            assert!(lacking.remedy().unwrap().contains("cap_perfmon"));
        }
    }

    #[test]
    fn no_perf_events_are_no_obstacle_by_themselves() {
        let check = judge_paranoid(None, true);
        assert_eq!(check.verdict(), Verdict::Limited);
        assert!(check.remedy().unwrap().contains("CONFIG_PERF_EVENTS"));
    }
}
