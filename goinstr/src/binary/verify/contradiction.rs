//! What a layout says that the goroutines of a process can't be.

use std::collections::HashSet;

use super::process::{Goroutine, Process};

/// A status above these is none (`_Gdeadextra` and `_Gleaked` of Go 1.26 are 10 and 11).
const STATUS_LIMIT: u32 = 16;

/// Go 1.27 has about 45 reasons.
const REASON_LIMIT: u8 = 96;

/// The first field that what was read can't be.
///
/// The process runs on while it is read, so a goroutine's fields may be of two moments: what
/// changes with its state must hold for most, what doesn't for all.
pub(super) fn first(process: &Process<'_>, goroutines: &[Goroutine]) -> Option<&'static str> {
    let layout = process.layout;
    let ids: Vec<u64> = goroutines.iter().map(|g| g.word(layout.goid)).collect();
    // Ids are handed out from one counter; 2⁴⁸ would take a century.
    let distinct: HashSet<u64> = ids.iter().copied().filter(|id| *id != 0).collect();
    let numbered = ids.iter().filter(|id| **id != 0).count();
    if distinct.len() != numbered || distinct.iter().any(|id| id >> 48 != 0) {
        return Some("g.goid");
    }
    if goroutines.iter().any(|g| g.status(layout) >= STATUS_LIMIT) {
        return Some("g.atomicstatus");
    }
    let newest = distinct.iter().copied().max().unwrap_or(0);
    if let Some(parent) = layout.parent_goid
        && goroutines
            .iter()
            .any(|g| g.word(parent) > newest.max(1 << 20))
    {
        return Some("g.parentGoid");
    }
    if !most_waiting(process, goroutines, |g| g.on_stack(g.word(layout.sched_sp))) {
        return Some("g.sched.sp");
    }
    let reasoned = |g: &Goroutine| {
        g.wait_reason(layout)
            .is_some_and(|reason| (1..REASON_LIMIT).contains(&reason))
    };
    if !most_waiting(process, goroutines, reasoned) {
        return Some("g.waitreason");
    }
    let (agree, all) = on_threads(process, goroutines);
    (agree * 2 < all).then_some("m.curg")
}

/// Whether something holds for most of the goroutines that wait: for all if none does.
pub(super) fn most_waiting(
    process: &Process<'_>,
    goroutines: &[Goroutine],
    holds: impl Fn(&Goroutine) -> bool,
) -> bool {
    let waiting = goroutines.iter().filter(|g| g.is_waiting(process.layout));
    let (held, all) = waiting.fold((0, 0), |(held, all), g| {
        (held + usize::from(holds(g)), all + 1)
    });
    held * 4 >= all * 3
}

/// Of how many goroutines the thread says that it runs them, and how many have a thread.
pub(super) fn on_threads(process: &Process<'_>, goroutines: &[Goroutine]) -> (usize, usize) {
    let layout = process.layout;
    let on_thread = goroutines.iter().filter(|g| g.word(layout.m) != 0);
    on_thread.fold((0, 0), |(agree, all), goroutine| {
        let thread = goroutine.word(layout.m);
        let curg = process.word(thread.wrapping_add(u64::from(layout.m_curg)));
        (
            agree + usize::from(curg == Some(goroutine.address)),
            all + 1,
        )
    })
}
