//! The runtime's offsets: where they come from, and whether the live processes bear them out.
//!
//! The same is asked, and taken to mean the same, as before a measurement.

use super::{NOTHING, processes, surroundings::named};
use crate::{
    attach::features::Check,
    binary::{
        GoBinary, LayoutDoubt, LayoutSource, RuntimeLayout, prove_layout_patiently,
        verify_layout_patiently,
    },
    target::{Pid, Target},
};

const VERIFIED: &str = "offsets_verified";

/// What came of one process: goroutines that agree, or why none does.
type Looked = (Pid, Result<usize, LayoutDoubt>);

pub(super) fn of_source(source: LayoutSource) -> Check {
    Check::good(
        "runtime_offsets",
        match source {
            LayoutSource::Dwarf => "from its DWARF",
            LayoutSource::Table => "from goinstr's table of Go versions",
            LayoutSource::NewestKnown => {
                "those of the newest Go that goinstr knows: this one is newer, and has to prove them"
            }
        },
    )
}

/// Holds the offsets against every process that there is.
pub(super) fn verified(target: &Target, binary: &GoBinary, layout: &RuntimeLayout) -> Vec<Check> {
    let guessed = layout.source == LayoutSource::NewestKnown;
    let look = match guessed {
        true => prove_layout_patiently,
        false => verify_layout_patiently,
    };
    let looked = processes(target)
        .iter()
        .map(|process| (process.pid(), look(binary, layout, process.pid().0)))
        .collect();
    let exe = target.exe().display().to_string();
    match guessed {
        true => vec![of_guess(looked, &exe)],
        false => of_known(looked, target.process().is_some(), &exe),
    }
}

/// Offsets that are known to be those of the program's Go: what a process says against them is about it.
fn of_known(looked: Vec<Looked>, alone: bool, exe: &str) -> Vec<Check> {
    if looked.is_empty() {
        return vec![nobody(exe)];
    }
    let (mut agree, mut goroutines) = (Vec::new(), 0);
    let mut checks = Vec::new();
    for (pid, look) in looked {
        match look {
            Ok(seen) => {
                agree.push(pid);
                goroutines += seen;
            }
            Err(doubt) => checks.push(doubted(&doubt, alone)),
        }
    }
    if !agree.is_empty() {
        checks.insert(0, agreed(goroutines, &agree));
    }
    checks
}

fn agreed(goroutines: usize, pids: &[Pid]) -> Check {
    let whose = named(pids);
    Check::good(
        VERIFIED,
        format!("they agree with {goroutines} goroutines of {whose}"),
    )
}

fn nobody(exe: &str) -> Check {
    Check::limited(
        VERIFIED,
        "no process runs it yet",
        "the offsets could not be held against one",
        format!("start it and ask again: goinstr doctor --exe {exe}"),
    )
}

fn doubted(doubt: &LayoutDoubt, alone: bool) -> Check {
    let (detail, remedy) = (doubt.to_string(), doubt.remedy());
    match doubt {
        LayoutDoubt::NoGoroutines { .. } => Check::limited(
            VERIFIED,
            detail,
            "the offsets could not be held against it; it is measured all the same",
            remedy,
        ),
        _ if alone => Check::fatal(VERIFIED, detail, NOTHING, remedy),
        // It may have exited since.
        _ => Check::limited(
            VERIFIED,
            detail,
            "its calls may be missing or wrong; those of the others are measured",
            remedy,
        ),
    }
}

/// Offsets that were guessed: one process that bears them out is enough, and without one nothing is armed.
fn of_guess(looked: Vec<Looked>, exe: &str) -> Check {
    let mut doubts = Vec::new();
    for (pid, look) in looked {
        match look {
            Ok(goroutines) => return agreed(goroutines, &[pid]),
            Err(doubt) => doubts.push(doubt),
        }
    }
    let nothing =
        "nothing can be measured: the offsets are a guess, which a live process has to prove";
    match doubts.first() {
        None => Check::fatal(
            VERIFIED,
            "no process runs it yet",
            nothing,
            format!(
                "start it and ask again: goinstr doctor --exe {exe}; or build it with DWARF (without -w), or use a newer goinstr"
            ),
        ),
        Some(doubt) => Check::fatal(VERIFIED, doubt.to_string(), nothing, doubt.remedy()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attach::features::Verdict;

    fn doubts() -> [LayoutDoubt; 5] {
        let pid = 7;
        [
            LayoutDoubt::Memory {
                pid,
                source: std::io::Error::from_raw_os_error(libc::EPERM),
            },
            LayoutDoubt::NotLoaded { pid },
            LayoutDoubt::NoGoroutines { pid },
            LayoutDoubt::Contradicted {
                pid,
                field: "g.goid",
            },
            LayoutDoubt::Unproven {
                pid,
                field: "g.goid",
            },
        ]
    }

    fn verdicts(checks: &[Check]) -> Vec<Verdict> {
        checks.iter().map(Check::verdict).collect()
    }

    #[test]
    fn each_doubt_about_a_process_has_its_remedy() {
        for doubt in doubts() {
            let early = matches!(doubt, LayoutDoubt::NoGoroutines { .. });
            let expected = match early {
                true => Verdict::Limited,
                false => Verdict::Fatal,
            };
            let checks = of_known(vec![(Pid(7), Err(doubt))], true, "/srv/app");
            assert_eq!(verdicts(&checks), [expected]);
            assert!(!checks[0].remedy().unwrap().is_empty());
        }
    }

    #[test]
    fn every_process_of_a_file_is_told_of() {
        let gone = LayoutDoubt::NotLoaded { pid: 8 };
        let looked = vec![(Pid(7), Ok(3)), (Pid(8), Err(gone)), (Pid(9), Ok(4))];
        let checks = of_known(looked, false, "/srv/app");
        assert_eq!(verdicts(&checks), [Verdict::Good, Verdict::Limited]);
        assert!(
            checks[0]
                .detail()
                .contains("7 goroutines of processes 7, 9")
        );
        assert!(checks[1].detail().contains("process 8"), "{checks:?}");
    }

    #[test]
    fn without_a_process_what_is_known_is_enough_and_a_guess_is_not() {
        let known = of_known(vec![], false, "/srv/app");
        assert_eq!(verdicts(&known), [Verdict::Limited]);
        assert!(known[0].remedy().unwrap().contains("--exe /srv/app"));
        let guess = of_guess(vec![], "/srv/app");
        assert_eq!(guess.verdict(), Verdict::Fatal);
        assert!(guess.remedy().unwrap().contains("DWARF"));
    }

    #[test]
    fn one_process_proves_a_guess() {
        for doubt in doubts() {
            let doubtful = of_guess(vec![(Pid(7), Err(doubt))], "/srv/app");
            assert_eq!(doubtful.verdict(), Verdict::Fatal);
        }
        let [first, ..] = doubts();
        let proven = of_guess(vec![(Pid(7), Err(first)), (Pid(8), Ok(5))], "/srv/app");
        assert_eq!(proven.verdict(), Verdict::Good);
    }
}
