//! The processes that are meant and where they live: namespaces, file systems, shadow stacks.
//!
//! In: the target. Out: [`Check`]s. Of several processes that run the file, each is looked at, and those
//! of whom the same is to be said are named together.

use super::processes;
use crate::{
    attach::features::Check,
    target::{Container, Pid, Pids, Process, Target},
};

/// Processes that are named; the rest are a number.
const NAMED: usize = 8;

/// The process, or those that run the file, and where they live.
#[must_use]
pub fn of_target(target: &Target) -> Vec<Check> {
    let exe = target.exe().display();
    let processes = processes(target);
    let (who, found) = match target {
        Target::Process(process) => (
            format!("{} ({}) runs {exe}", process.pid(), process.comm()),
            of_process(process),
        ),
        Target::Executable { .. } => {
            let pids: Vec<_> = processes.iter().map(Process::pid).collect();
            let who = match pids.as_slice() {
                [] => format!("every process that runs {exe}: none does now"),
                pids => format!("every process that runs {exe}: now {}", named(pids)),
            };
            let of_each = processes
                .iter()
                .map(|process| (process.pid(), of_process(process)));
            (who, together(of_each.collect()))
        }
    };
    let mut checks = vec![Check::good("process", who)];
    checks.extend(found);
    checks
}

fn of_process(process: &Process) -> Vec<Check> {
    let mut checks = vec![of_file(process.executable_deleted())];
    checks.extend(of_container(process.pid(), Container::of(process)));
    checks
}

fn of_file(deleted: bool) -> Check {
    let name = "executable";
    match deleted {
        true => Check::noted(
            name,
            "replaced or deleted since the process began",
            "what still runs is measured, not what stands at its path now",
        ),
        false => Check::good(name, "not replaced since the process began"),
    }
}

fn of_container(pid: Pid, container: Container) -> Vec<Check> {
    let mut checks = vec![
        of_pids(pid, container.pids, container.ours_is_initial),
        of_mounts(pid, container.other_mounts),
        of_overlay(pid, container.overlay),
    ];
    checks.extend(of_shadow_stack(pid, container.shadow_stack));
    checks
}

fn of_pids(pid: Pid, pids: Option<Pids>, ours_is_initial: bool) -> Check {
    let name = "pid_namespace";
    if !ours_is_initial {
        return Check::limited(
            name,
            "goinstr runs in a pid namespace of its own",
            "the kernel alone tells the target from its forked children",
            "run goinstr on the machine itself, or in a container with --pid=host",
        );
    }
    match pids {
        Some(Pids::Ours) => Check::good(name, "the same as goinstr's, the machine's own"),
        Some(Pids::Inside(inside)) => Check::good(
            name,
            format!("its own, where it is process {inside}; it is found by its pid out here"),
        ),
        None => unseen(
            name,
            "whether it has pids of its own is not known; it is measured by its pid out here",
            pid,
        ),
    }
}

fn of_mounts(pid: Pid, other: Option<bool>) -> Check {
    let name = "mount_namespace";
    match other {
        Some(false) => Check::good(name, "the same as goinstr's"),
        Some(true) => Check::good(
            name,
            "its own: its executable is read through /proc, not by its path",
        ),
        None => unseen(
            name,
            "whether its paths lead to the same files here is not known; its executable is read through /proc",
            pid,
        ),
    }
}

fn of_overlay(pid: Pid, overlay: Option<bool>) -> Check {
    let name = "overlay";
    match overlay {
        Some(true) => Check::good(
            name,
            "on an overlay, as in a container: probes go on the file beneath",
        ),
        Some(false) => Check::good(name, "on no overlay"),
        None => unseen(
            name,
            "whether its executable is on an overlay is not known; probes go on the file that is open",
            pid,
        ),
    }
}

fn of_shadow_stack(pid: Pid, kept: Option<bool>) -> Option<Check> {
    let name = "shadow_stack_of_process";
    match kept {
        Some(true) => Some(Check::noted(
            name,
            "it keeps one",
            "its returns are single-stepped, never made by goinstr",
        )),
        Some(false) => None,
        None => Some(unseen(
            name,
            "whether it keeps one is not known, and --ret-by program is refused",
            pid,
        )),
    }
}

/// What can't be seen of a process whose executable could be opened: mostly because it has exited since.
fn unseen(name: &'static str, consequence: &str, pid: Pid) -> Check {
    Check::limited(
        name,
        "not to be seen",
        consequence,
        format!("see whether it still runs (ps -p {pid}); if so, run goinstr with sudo"),
    )
}

/// Checks of several processes, in the order of the first one's: each with those of whom it is true.
fn together(of_each: Vec<(Pid, Vec<Check>)>) -> Vec<Check> {
    let mut found: Vec<(Check, Vec<Pid>)> = Vec::new();
    for (pid, checks) in of_each {
        for check in checks {
            match found.iter_mut().find(|(other, _)| *other == check) {
                Some((_, pids)) => pids.push(pid),
                None => {
                    // Beside the others of its name.
                    let last = found
                        .iter()
                        .rposition(|(other, _)| other.name() == check.name());
                    let at = last.map_or(found.len(), |last| last + 1);
                    found.insert(at, (check, vec![pid]));
                }
            }
        }
    }
    let found = found.into_iter();
    found.map(|(check, pids)| check.of(&named(&pids))).collect()
}

/// `process 7`, `processes 7, 8 and 9 more`.
pub(super) fn named(pids: &[Pid]) -> String {
    let first: Vec<_> = pids.iter().take(NAMED).map(Pid::to_string).collect();
    let first = first.join(", ");
    match (pids.len(), pids.len().saturating_sub(NAMED)) {
        (1, _) => format!("process {first}"),
        (_, 0) => format!("processes {first}"),
        (_, more) => format!("processes {first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attach::features::Verdict;

    const SEVEN: Pid = Pid(7);

    #[test]
    fn what_can_not_be_seen_is_not_taken_for_being_as_usual() {
        for check in [
            of_pids(SEVEN, None, true),
            of_mounts(SEVEN, None),
            of_overlay(SEVEN, None),
            of_shadow_stack(SEVEN, None).unwrap(),
        ] {
            assert_eq!(check.verdict(), Verdict::Limited, "{check:?}");
            assert!(check.remedy().unwrap().contains("ps -p 7"), "{check:?}");
        }
    }

    #[test]
    fn goinstr_in_a_container_of_its_own_is_told_how_to_leave_it() {
        let check = of_pids(SEVEN, Some(Pids::Ours), false);
        assert_eq!(check.verdict(), Verdict::Limited);
        assert!(check.remedy().unwrap().contains("--pid=host"));
    }

    #[test]
    fn what_is_as_it_should_be_is_good() {
        let usual = Container {
            pids: Some(Pids::Ours),
            ours_is_initial: true,
            other_mounts: Some(false),
            overlay: Some(false),
            shadow_stack: Some(false),
        };
        let contained = Container {
            pids: Some(Pids::Inside(Pid(1))),
            ours_is_initial: true,
            other_mounts: Some(true),
            overlay: Some(true),
            shadow_stack: Some(true),
        };
        for container in [usual, contained] {
            let checks = of_container(SEVEN, container);
            assert!(checks.iter().all(|check| check.verdict() == Verdict::Good));
        }
        assert!(of_file(true).consequence().is_some());
        assert_eq!(of_file(false).verdict(), Verdict::Good);
    }

    #[test]
    fn of_several_processes_those_alike_are_named_together() {
        let of = |overlay| {
            vec![
                of_mounts(SEVEN, Some(false)),
                of_overlay(SEVEN, Some(overlay)),
            ]
        };
        let checks = together(vec![
            (Pid(7), of(false)),
            (Pid(8), of(true)),
            (Pid(9), of(false)),
        ]);
        let told: Vec<_> = checks
            .iter()
            .map(|check| (check.name(), check.detail()))
            .collect();
        assert_eq!(
            told,
            [
                (
                    "mount_namespace",
                    "processes 7, 8, 9: the same as goinstr's"
                ),
                ("overlay", "processes 7, 9: on no overlay"),
                (
                    "overlay",
                    "process 8: on an overlay, as in a container: probes go on the file beneath"
                ),
            ]
        );
    }

    #[test]
    fn of_many_processes_some_are_named() {
        let pids: Vec<_> = (1..=10).map(Pid).collect();
        assert_eq!(named(&pids), "processes 1, 2, 3, 4, 5, 6, 7, 8 and 2 more");
        assert_eq!(named(&pids[..1]), "process 1");
    }
}
