//! The verification against running programs.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::binary::layout::LayoutSource;
use crate::binary::tests::{build, run};

#[test]
fn the_layout_is_held_against_the_live_process() {
    for arguments in [
        &[][..],
        &["-ldflags=-s -w"],
        &["-ldflags=-s -w", "-buildmode=pie"],
    ] {
        let built = build("steady", arguments);
        let binary = built.open();
        let layout = binary.runtime_layout().unwrap();
        let child = Child::start(&built.path);
        // The main goroutine, the collector's two, the finalizers'; and the program's own.
        eventually(5, || verify_layout(&binary, &layout, child.0.id()));
        let shifted = RuntimeLayout {
            atomicstatus: layout.goid,
            goid: layout.goid,
            ..layout
        };
        for wrong in [
            RuntimeLayout {
                goid: layout.goid + 8,
                ..layout
            },
            RuntimeLayout {
                atomicstatus: layout.sched_pc,
                ..shifted
            },
            RuntimeLayout {
                sched_sp: layout.sched_pc,
                ..layout
            },
            RuntimeLayout {
                m_curg: layout.m_curg + 8,
                ..layout
            },
        ] {
            assert!(
                verify_layout(&binary, &wrong, child.0.id()).is_err(),
                "{wrong:?}"
            );
        }
    }
}

/// A running target, killed at the end.
struct Child(std::process::Child);

impl Child {
    fn start(program: &Path) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Its runtime starts its own goroutines before main, which says so.
        let mut said = String::new();
        let out = child.stdout.as_mut().unwrap();
        BufReader::new(out).read_line(&mut said).unwrap();
        assert!(said.starts_with("ready "), "{said}");
        Self(child)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Every field that is somewhere else makes the proof fail, and by the right ones it succeeds.
#[test]
fn a_guess_is_proven_or_refused() {
    let built = build("steady", &["-ldflags=-s -w"]);
    let binary = built.open();
    let right = binary.runtime_layout().unwrap();
    assert_eq!(right.source, LayoutSource::Table);
    let child = Child::start(&built.path);
    let pid = child.0.id();
    // It reads from its stdin, so one goroutine is on a thread.
    eventually(1, || prove_layout(&binary, &right, pid));
    let by = |offset: u32, shift: i32| offset.wrapping_add_signed(shift);
    for shift in [-16, -8, 8, 16] {
        let parent_goid = right.parent_goid.map(|at| by(at, shift));
        for (field, wrong) in [
            (
                "goid",
                RuntimeLayout {
                    goid: by(right.goid, shift),
                    ..right
                },
            ),
            (
                "atomicstatus",
                RuntimeLayout {
                    atomicstatus: by(right.atomicstatus, shift),
                    ..right
                },
            ),
            (
                "waitreason",
                RuntimeLayout {
                    waitreason: by(right.waitreason, shift),
                    ..right
                },
            ),
            (
                "parent_goid",
                RuntimeLayout {
                    parent_goid,
                    ..right
                },
            ),
            (
                "m",
                RuntimeLayout {
                    m: by(right.m, shift),
                    ..right
                },
            ),
            (
                "sched_pc",
                RuntimeLayout {
                    sched_pc: by(right.sched_pc, shift),
                    ..right
                },
            ),
            (
                "sched_bp",
                RuntimeLayout {
                    sched_bp: by(right.sched_bp, shift),
                    ..right
                },
            ),
            (
                "m_curg",
                RuntimeLayout {
                    m_curg: by(right.m_curg, shift),
                    ..right
                },
            ),
        ] {
            if field == "parent_goid" && parent_goid.is_none() {
                continue;
            }
            let proven = prove_layout(&binary, &wrong, pid);
            assert!(proven.is_err(), "{field} shifted by {shift}");
        }
    }
}

#[test]
fn the_goroutines_of_a_library_in_a_c_program_are_found() {
    if Command::new("cc").arg("--version").output().is_err() {
        eprintln!("SKIPPED: no cc to build a C program with a Go library with");
        return;
    }
    for arguments in [
        &["-buildmode=c-shared"][..],
        &["-buildmode=c-shared", "-ldflags=-s -w"],
    ] {
        let library = build("cshared", arguments);
        let binary = library.open();
        let layout = binary.runtime_layout().unwrap();
        let host = library.path.with_file_name("host");
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/targets/cshared/host/host.c");
        run(Command::new("cc")
            .arg(source)
            .args(["-ldl", "-o"])
            .arg(&host));
        // It computes for longer than any test takes.
        let child = Command::new(&host).arg(&library.path).arg("80").spawn();
        let child = Child(child.unwrap());
        let pid = child.0.id();
        // The runtime's own, and what the library was called on. At first there are fewer.
        eventually(5, || verify_layout(&binary, &layout, pid));
        let wrong = RuntimeLayout {
            goid: layout.goid + 8,
            ..layout
        };
        assert!(verify_layout(&binary, &wrong, pid).is_err());
    }
}

/// Looks until it sees so many goroutines: the program has to get to work.
fn eventually(least: usize, look: impl Fn() -> Result<usize, LayoutDoubt>) {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let seen = look();
        if seen.as_ref().is_ok_and(|&seen| seen >= least) {
            return;
        }
        assert!(Instant::now() < deadline, "{seen:?}, not {least}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
