//! Draws up the books at the end.

use std::collections::BTreeMap;

use goinstr_common::{
    counter::{
        DROPPED_RECORDS, LOST_RETURNS, Lost, ORPHAN_RETURNS, REENTRIES, UNBINNED, UNWIND_HITS,
    },
    shadow::Frame,
};

use crate::{
    aggregate::{Books, End, Ledger, Mode, Report},
    attach::{Costs, Kernel},
};

/// The books. `open` are the calls on the shadow stacks, `report` has the finished ones.
/// Calls of functions that were shed and are on these stacks all the same are `given_up`; `cut_off` are those
/// that an earlier window has seen to begin.
pub(super) fn draw_up(
    kernel: &Kernel,
    report: &Report,
    open: &[(u64, Frame)],
    given_up: u64,
    cut_off: u64,
    end: End,
) -> Ledger {
    let mut lost = lost(kernel);
    *lost.entry(Lost::Shed.name()).or_default() += given_up;
    *lost.entry(Lost::WindowEnd.name()).or_default() += cut_off;
    let hits = Hits::of(kernel);
    let unwound = report
        .functions
        .iter()
        .map(|function| function.unwound)
        .sum::<u64>();
    let calls = report
        .functions
        .iter()
        .map(|function| function.timed.unwrap_or(function.calls))
        .sum::<u64>();
    let ledger = Ledger {
        mode: Mode::Durations,
        entries: hits.entries,
        returned: calls - unwound,
        unwound,
        in_flight: open.len() as u64,
        orphan_returns: kernel.counter(ORPHAN_RETURNS),
        lost,
        dropped_records: kernel.counter(DROPPED_RECORDS) + kernel.counter(UNBINNED),
        without_states: without_states(kernel, calls),
        probe_hits: hits.all,
        probe_cost_ns: hits.cost_ns,
        exported: None,
        end,
    };
    if ledger.imbalance() != 0 {
        log::error!(
            "the books do not balance: {} calls are missing; the counts of this run can't be trusted, please report this",
            ledger.imbalance()
        );
    }
    ledger
}

/// Finished calls whose states are not known though they were asked for.
fn without_states(kernel: &Kernel, calls: u64) -> u64 {
    let functions = 0..u32::try_from(kernel.functions()).unwrap_or(u32::MAX);
    let sums: Option<u64> = functions.map(|id| Some(kernel.states(id)?.calls)).sum();
    sums.map_or(0, |known| calls.saturating_sub(known))
}

/// The books of a count: calls that began, and what of those that are followed could not be.
pub(super) fn of_count(kernel: &Kernel, mode: Mode, end: End) -> Ledger {
    let hits = Hits::of(kernel);
    Ledger {
        mode,
        entries: hits.entries,
        returned: 0,
        unwound: 0,
        in_flight: 0,
        orphan_returns: 0,
        lost: lost(kernel),
        dropped_records: kernel.counter(DROPPED_RECORDS),
        without_states: 0,
        probe_hits: hits.all,
        probe_cost_ns: hits.cost_ns,
        exported: None,
        end,
    }
}

/// What is counted once for all functions, so far.
pub(super) fn books(kernel: &Kernel) -> Books {
    let hits = Hits::of(kernel);
    Books {
        entries: hits.entries,
        orphan_returns: kernel.counter(ORPHAN_RETURNS),
        lost: lost(kernel),
        probe_hits: hits.all,
        probe_cost_ns: hits.cost_ns,
    }
}

fn lost(kernel: &Kernel) -> BTreeMap<&'static str, u64> {
    Lost::ALL
        .iter()
        .map(|&reason| (reason.name(), kernel.lost(reason)))
        .collect()
}

/// What the probes were hit.
struct Hits {
    /// Calls that began.
    entries: u64,
    /// Hits of all sites.
    all: u64,
    /// What they cost, where that is known.
    cost_ns: Option<u64>,
}

impl Hits {
    fn of(kernel: &Kernel) -> Self {
        let (mut entries, mut exits, mut cost_ns) = (0, 0, 0);
        let exit_ns = kernel.costs().exit_ns;
        for function in 0..u32::try_from(kernel.functions()).unwrap_or(u32::MAX) {
            let totals = kernel.totals(function);
            entries += totals.entries;
            exits += totals.returned;
            let entry_ns = kernel.entry_costs(function).entry_ns(exit_ns);
            cost_ns += totals.entries * u64::from(entry_ns);
        }
        let of_states = kernel.state_hits();
        cost_ns += of_states.cost_ns(&kernel.costs());
        exits += kernel.counter(ORPHAN_RETURNS) + kernel.counter(LOST_RETURNS);
        cost_ns += exits * u64::from(exit_ns);
        Self {
            entries,
            all: entries
                + exits
                + of_states.all()
                + kernel.counter(REENTRIES)
                + kernel.counter(UNWIND_HITS),
            cost_ns: (kernel.costs() != Costs::default()).then_some(cost_ns),
        }
    }
}
