//! Draws up the books at the end.

use std::collections::BTreeMap;

use goinstr_common::{
    counter::{
        DROPPED_RECORDS, LOST_RETURNS, Lost, ORPHAN_RETURNS, REENTRIES, UNBINNED, UNWIND_HITS,
    },
    shadow::Frame,
};

use crate::{
    aggregate::{End, Ledger, Report},
    attach::{Costs, Kernel},
};

/// The books. `open` are the calls on the shadow stacks, `report` has the finished ones.
pub(super) fn draw_up(kernel: &Kernel, report: &Report, open: &[(u64, Frame)], end: End) -> Ledger {
    let (mut entries, mut exits, mut cost_ns) = (0, 0, 0);
    let exit_ns = kernel.costs().exit_ns;
    for function in 0..u32::try_from(kernel.functions()).unwrap_or(u32::MAX) {
        let totals = kernel.totals(function);
        entries += totals.entries;
        exits += totals.returned;
        let entry_ns = kernel.entry_costs(function).entry_ns(exit_ns);
        cost_ns += totals.entries * u64::from(entry_ns);
    }
    let unwound = report
        .functions
        .iter()
        .map(|function| function.unwound)
        .sum::<u64>();
    let calls = report
        .functions
        .iter()
        .map(|function| function.calls)
        .sum::<u64>();
    let lost: BTreeMap<_, _> = Lost::ALL
        .iter()
        .map(|&reason| (reason.name(), kernel.lost(reason)))
        .collect();
    exits += kernel.counter(ORPHAN_RETURNS) + kernel.counter(LOST_RETURNS);
    cost_ns += exits * u64::from(exit_ns);
    let ledger = Ledger {
        entries,
        returned: calls - unwound,
        unwound,
        in_flight: open.len() as u64,
        orphan_returns: kernel.counter(ORPHAN_RETURNS),
        lost,
        dropped_records: kernel.counter(DROPPED_RECORDS) + kernel.counter(UNBINNED),
        probe_hits: entries + exits + kernel.counter(REENTRIES) + kernel.counter(UNWIND_HITS),
        probe_cost_ns: (kernel.costs() != Costs::default()).then_some(cost_ns),
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
