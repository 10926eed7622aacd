//! What the goroutines of a live process are doing: their states and stacks, read from its memory.
//!
//! In: a process that has the program loaded. Out: [`Snapshot`]. The process is neither stopped nor
//! written to, so it runs on while it is read: a goroutine that changed meanwhile is given up and
//! counted. Stacks are walked as the runtime walks them, by the frame sizes in pclntab.

use super::verify::{Goroutine, LayoutDoubt, Process};
use super::{Arch, GoBinary, RuntimeLayout, SourceFrame, Vaddr};
use crate::binary::field::u64_at;

/// Goroutines read at most.
const GOROUTINES: usize = 1 << 20;
/// Frames of a stack shown at most: a runaway recursion tells no more with more.
const FRAMES: usize = 256;
/// Bytes of a stack read at most, from its top.
const STACK_BYTES: u64 = 256 << 10;
/// Times that a goroutine which changed is looked at again.
const TRIES: usize = 3;

/// What a goroutine does (`runtime.g.atomicstatus`, Go's `src/runtime/runtime2.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GoStatus {
    /// Waits for a P.
    Runnable,
    /// On a thread: its stack changes as it is read, so it is not.
    Running,
    /// In a system call or in C.
    Syscall,
    /// Parked.
    Waiting,
    /// Stopped by the runtime, or in some other passing state.
    Other,
}

impl GoStatus {
    /// Its name in the output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Runnable => "runnable",
            Self::Running => "running",
            Self::Syscall => "syscall",
            Self::Waiting => "waiting",
            Self::Other => "other",
        }
    }
}

/// One goroutine at one moment.
#[derive(Clone, Debug)]
pub struct GoroutineState {
    /// `runtime.g.goid`
    pub goid: u64,
    /// The goroutine that started it, where the runtime tells.
    pub parent_goid: Option<u64>,
    /// What it does.
    pub status: GoStatus,
    /// What it waits for, by the runtime's own name.
    pub wait_reason: Option<String>,
    /// Since when it waits, ns of `CLOCK_MONOTONIC`, where the runtime has noted it: the garbage
    /// collector does when it comes by, so it waits at least since then.
    pub waits_since_ns: Option<u64>,
    /// Innermost first; empty for one that runs.
    pub stack: Vec<SourceFrame>,
}

/// All goroutines at about one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Those that are alive.
    pub goroutines: Vec<GoroutineState>,
    /// Those that changed whenever they were looked at.
    pub torn: usize,
}

/// Reads the goroutines of process `pid`. `reasons` are the names of wait reasons, by number.
///
/// # Errors
/// Where the memory can't be read, or there are no goroutines in it.
pub fn goroutines(
    binary: &GoBinary,
    layout: &RuntimeLayout,
    pid: u32,
    reasons: &[String],
) -> Result<Snapshot, LayoutDoubt> {
    let process = Process::open(binary, layout, pid)?;
    let found = process
        .goroutines_up_to(GOROUTINES)
        .ok_or(LayoutDoubt::NoGoroutines { pid })?;
    let mut snapshot = Snapshot::default();
    for goroutine in found {
        match settled(&process, goroutine) {
            Some(Seen::Alive(goroutine, stack)) => {
                let state = state(&process, &goroutine, stack, reasons);
                snapshot.goroutines.push(state);
            }
            Some(Seen::Dead) => {}
            None => snapshot.torn += 1,
        }
    }
    Ok(snapshot)
}

enum Seen {
    /// A goroutine and the return addresses on its stack, innermost first.
    Alive(Goroutine, Vec<Vaddr>),
    Dead,
}

/// Looks until nothing changes while the stack is read.
fn settled(process: &Process<'_>, mut goroutine: Goroutine) -> Option<Seen> {
    for _ in 0..TRIES {
        let status = status(&goroutine, process.layout);
        let Some(status) = status else {
            return Some(Seen::Dead);
        };
        let stack = match status {
            GoStatus::Running => Vec::new(),
            _ => walk(process, &goroutine),
        };
        let after = process.goroutine(goroutine.address)?;
        let same = |at: u32| goroutine.word(at) == after.word(at);
        let layout = process.layout;
        if same(layout.goid)
            && goroutine.status(layout) == after.status(layout)
            && same(layout.sched_sp)
            && same(layout.sched_pc)
            && goroutine.stack() == after.stack()
        {
            return Some(Seen::Alive(goroutine, stack));
        }
        goroutine = after;
    }
    None
}

/// `None`: it is none, or dead.
fn status(goroutine: &Goroutine, layout: &RuntimeLayout) -> Option<GoStatus> {
    match goroutine.status(layout) {
        1 => Some(GoStatus::Runnable),
        2 => Some(GoStatus::Running),
        3 => Some(GoStatus::Syscall),
        4 => Some(GoStatus::Waiting),
        // Idle, dead, and what has not become a goroutine yet.
        0 | 5 | 6 | 7 | 10 | 11 => None,
        _ => Some(GoStatus::Other),
    }
}

/// The places in the code where each frame is, innermost first.
fn walk(process: &Process<'_>, goroutine: &Goroutine) -> Vec<Vaddr> {
    let layout = process.layout;
    let (low, high) = goroutine.stack();
    let (mut sp, mut pc) = (
        goroutine.word(layout.sched_sp),
        goroutine.word(layout.sched_pc),
    );
    let mut places = Vec::new();
    if !(low..=high).contains(&sp) {
        return places;
    }
    let size = (high - sp).min(STACK_BYTES);
    let Some(bytes) = process.read(sp, size as usize) else {
        return places;
    };
    let base = sp;
    let word = |at: u64| u64_at(&bytes, usize::try_from(at.checked_sub(base)?).ok()?);
    while places.len() < FRAMES {
        let at = process.in_file(pc);
        // A return address stands behind its call, which may be a function's last instruction.
        let place = match places.is_empty() {
            true => at,
            false => Vaddr(at.0.wrapping_sub(1)),
        };
        let Some(size) = process.binary.frame_size(place) else {
            break;
        };
        places.push(place);
        let (ret, next) = match process.binary.arch() {
            Arch::X86_64 => (sp.saturating_add(size), sp.saturating_add(size + 8)),
            // The return address stands at the bottom of the frame.
            Arch::Aarch64 if size == 0 => break,
            Arch::Aarch64 => (sp, sp.saturating_add(size)),
        };
        match word(ret) {
            Some(address) if address != 0 && next > sp => (pc, sp) = (address, next),
            _ => break,
        }
    }
    places
}

fn state(
    process: &Process<'_>,
    goroutine: &Goroutine,
    stack: Vec<Vaddr>,
    reasons: &[String],
) -> GoroutineState {
    let layout = process.layout;
    let status = status(goroutine, layout).unwrap_or(GoStatus::Other);
    let waits = status == GoStatus::Waiting;
    let reason = goroutine.wait_reason(layout).filter(|_| waits);
    // `waitsince` stands before `waitreason` in every version.
    let since = layout
        .waitreason
        .checked_sub(8)
        .map(|at| goroutine.word(at));
    let stack = stack
        .into_iter()
        .flat_map(|place| process.binary.frames_at(place));
    GoroutineState {
        goid: goroutine.word(layout.goid),
        parent_goid: layout
            .parent_goid
            .map(|at| goroutine.word(at))
            .filter(|&id| id != 0),
        status,
        wait_reason: reason.map(|number| {
            let name = reasons
                .get(usize::from(number))
                .filter(|name| !name.is_empty());
            name.cloned()
                .unwrap_or_else(|| format!("wait reason {number}"))
        }),
        waits_since_ns: since.filter(|&ns| waits && ns != 0),
        stack: stack
            .take_while(|frame| frame.function != "runtime.goexit")
            .collect(),
    }
}
