//! What a guessed layout must show beside contradicting nothing.
//!
//! Every process has goroutines that show it: the runtime's own, which the main goroutine (id 1)
//! starts and which wait. Only for `m.curg` one must be on a thread, that is, the process must be
//! doing something.

use super::contradiction::{most_waiting, on_threads};
use super::process::{Goroutine, Process};

/// Fewer goroutines than this no Go runtime has: main, and what frees, sweeps and finalizes.
const FEWEST: usize = 4;

/// The first field that the goroutines don't bear out.
pub(super) fn missing(process: &Process<'_>, goroutines: &[Goroutine]) -> Option<&'static str> {
    let layout = process.layout;
    if goroutines.len() < FEWEST {
        return Some("g.goid");
    }
    let waiting = goroutines.iter().filter(|g| g.is_waiting(layout)).count();
    if waiting < 2 {
        return Some("g.atomicstatus");
    }
    let born_of_main = |parent: u32| goroutines.iter().filter(|g| g.word(parent) == 1).count();
    if layout
        .parent_goid
        .is_some_and(|parent| born_of_main(parent) < 2)
    {
        return Some("g.parentGoid");
    }
    let in_code = |g: &Goroutine| process.is_code(g.word(layout.sched_pc));
    if !most_waiting(process, goroutines, in_code) {
        return Some("g.sched.pc");
    }
    let framed = |g: &Goroutine| g.on_stack(g.word(layout.sched_bp));
    if !most_waiting(process, goroutines, framed) {
        return Some("g.sched.bp");
    }
    let (agree, all) = on_threads(process, goroutines);
    (agree == 0 || agree < all).then_some("m.curg")
}
