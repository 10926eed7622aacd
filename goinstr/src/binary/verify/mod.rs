//! The runtime layout held against the live process, before a number that rests on it is printed.
//!
//! In: the process' memory and mappings, the program, the layout. Out: how many goroutines
//! bear it out, or what contradicts it. Nothing is written or stopped.

mod contradiction;
mod process;
mod proof;
#[cfg(test)]
mod tests;

use super::{GoBinary, RuntimeLayout};
pub(super) use process::{Goroutine, Process};
use std::time::{Duration, Instant};

/// Looks at a process before a contradiction is believed.
const LOOKS: u32 = 40;
/// Longer than a goroutine takes to change hands, each time.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// How long a process may take to start Go's runtime: it does so in milliseconds.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a process that is to prove a guess is looked at: it must be seen at work.
const PROOF: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(10);

pub use process::load_bias;

/// Why a layout is not believed.
#[derive(Debug, thiserror::Error)]
pub enum LayoutDoubt {
    #[error(
        "cannot read the memory of process {pid}: {source}; run as root, give goinstr CAP_SYS_PTRACE, or check that it still runs"
    )]
    Memory { pid: u32, source: std::io::Error },
    #[error(
        "process {pid} does not have this file loaded; was it replaced since the process started?"
    )]
    NotLoaded { pid: u32 },
    #[error(
        "the goroutines of process {pid} were not found in its memory; it may not have started its Go runtime yet"
    )]
    NoGoroutines { pid: u32 },
    #[error(
        "process {pid} contradicts the offset of {field}: it runs another Go than its file says"
    )]
    Contradicted { pid: u32, field: &'static str },
    #[error(
        "process {pid} does not show where {field} is at this moment; try again while it has work to do"
    )]
    Unproven { pid: u32, field: &'static str },
}

impl LayoutDoubt {
    /// What to do next.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Memory { pid, .. } => format!(
                "run it with sudo or give goinstr CAP_SYS_PTRACE; and see whether it still runs: ps -p {pid}"
            ),
            Self::NotLoaded { pid } => format!(
                "choose by --pid {pid} alone what it runs, or start it again to have it run this file"
            ),
            Self::NoGoroutines { pid } => format!(
                "try again when it has started: goinstr doctor --pid {pid}"
            ),
            Self::Contradicted { pid, .. } => format!(
                "start it again from the file that it is to run; if it does run that, please report what \
                 `goinstr inspect --pid {pid}` prints"
            ),
            Self::Unproven { .. } => {
                "try again while it has work to do, build it with DWARF (without -w), or use a newer goinstr"
                    .to_owned()
            }
        }
    }
}

/// Tries again until it succeeds or is contradicted, or the time is over.
fn patiently(
    patience: Duration,
    look: impl Fn() -> Result<usize, LayoutDoubt>,
) -> Result<usize, LayoutDoubt> {
    let deadline = Instant::now() + patience;
    loop {
        match look() {
            Err(LayoutDoubt::NoGoroutines { .. } | LayoutDoubt::Unproven { .. })
                if Instant::now() < deadline =>
            {
                std::thread::sleep(PAUSE);
            }
            result => return result,
        }
    }
}

/// As [`verify_layout`], where the process may only be about to start Go's runtime.
pub fn verify_layout_patiently(
    binary: &GoBinary,
    layout: &RuntimeLayout,
    pid: u32,
) -> Result<usize, LayoutDoubt> {
    patiently(PATIENCE, || verify_layout(binary, layout, pid))
}

/// As [`prove_layout`], where the process may have to be seen at work.
pub fn prove_layout_patiently(
    binary: &GoBinary,
    layout: &RuntimeLayout,
    pid: u32,
) -> Result<usize, LayoutDoubt> {
    patiently(PROOF, || prove_layout(binary, layout, pid))
}

/// Holds `layout`, which is known to be that of the program's Go version, against the goroutines of
/// a process that has `binary` loaded. Gives the number of goroutines that were looked at.
pub fn verify_layout(
    binary: &GoBinary,
    layout: &RuntimeLayout,
    pid: u32,
) -> Result<usize, LayoutDoubt> {
    look_again(pid, || {
        let process = Process::open(binary, layout, pid)?;
        let goroutines = process
            .goroutines()
            .ok_or(LayoutDoubt::NoGoroutines { pid })?;
        Ok(Look {
            contradicted: contradiction::first(&process, &goroutines),
            on_threads: contradiction::on_threads(&process, &goroutines).0,
            goroutines: goroutines.len(),
        })
    })
}

/// What was seen at one moment.
struct Look {
    contradicted: Option<&'static str>,
    /// Goroutines whose thread says that it runs them.
    on_threads: usize,
    goroutines: usize,
}

/// The process runs on while it is read: of a few goroutines, all may change hands just then. What
/// contradicts a layout that is right is gone a moment later; a layout that is wrong stays so.
fn look_again(
    pid: u32,
    mut look: impl FnMut() -> Result<Look, LayoutDoubt>,
) -> Result<usize, LayoutDoubt> {
    let mut first = None;
    let (mut contradictions, mut goroutines) = (0, 0);
    for _ in 0..LOOKS {
        let seen = look()?;
        goroutines = seen.goroutines;
        match (seen.contradicted, first) {
            (Some(field), _) => {
                log::debug!("process {pid} contradicts the offset of {field} at this moment");
                first = Some(field);
                contradictions += 1;
            }
            // That nothing runs now does not say where it stands what runs.
            (None, Some("m.curg")) if seen.on_threads == 0 => {}
            (None, _) => return Ok(goroutines),
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    match first {
        Some(field) if contradictions * 4 > LOOKS => Err(LayoutDoubt::Contradicted { pid, field }),
        _ => Ok(goroutines),
    }
}

/// As [`verify_layout`] for a `layout` that is only a guess: what nothing contradicts is not enough,
/// each field must be borne out by goroutines that would look otherwise if it were elsewhere.
pub fn prove_layout(
    binary: &GoBinary,
    layout: &RuntimeLayout,
    pid: u32,
) -> Result<usize, LayoutDoubt> {
    let process = Process::open(binary, layout, pid)?;
    let goroutines = process
        .goroutines()
        .ok_or(LayoutDoubt::NoGoroutines { pid })?;
    if let Some(field) = contradiction::first(&process, &goroutines) {
        return Err(LayoutDoubt::Contradicted { pid, field });
    }
    match proof::missing(&process, &goroutines) {
        Some(field) => Err(LayoutDoubt::Unproven { pid, field }),
        None => Ok(goroutines.len()),
    }
}

#[cfg(test)]
mod looks {
    use super::*;

    fn look(contradicted: Option<&'static str>, on_threads: usize) -> Look {
        Look {
            contradicted,
            on_threads,
            goroutines: 7,
        }
    }

    fn seen(looks: &[(Option<&'static str>, usize)]) -> Result<usize, LayoutDoubt> {
        let last = *looks.last().expect("a look");
        let mut looks = looks.iter().copied();
        look_again(1, || {
            let (contradicted, on_threads) = looks.next().unwrap_or(last);
            Ok(look(contradicted, on_threads))
        })
    }

    #[test]
    fn a_moment_between_two_threads_is_no_contradiction() {
        assert_eq!(seen(&[(None, 0)]).expect("believed"), 7);
        let moment = [(Some("m.curg"), 0), (Some("m.curg"), 0), (None, 1)];
        assert_eq!(seen(&moment).expect("believed"), 7);
        let then_idle = [(Some("m.curg"), 0), (None, 0)];
        assert_eq!(seen(&then_idle).expect("believed"), 7);
    }

    #[test]
    fn what_stays_contradicted_is_not_believed() {
        for field in ["g.goid", "m.curg"] {
            let doubt = seen(&[(Some(field), 0)]).expect_err("doubted");
            assert!(doubt.to_string().contains(field), "{doubt}");
        }
        // It runs nothing now and then, which is no proof.
        let mut idle = [(Some("m.curg"), 0); 40];
        idle.iter_mut()
            .skip(1)
            .step_by(2)
            .for_each(|look| look.0 = None);
        assert!(seen(&idle).is_err());
    }
}
