//! The ledger and the skipped functions in a few lines for people.

use super::human::{count, duration, percent};
use super::visible::visible;
use crate::aggregate::{End, Exported, Ledger, ShedEvent};
use crate::plan::Skipped;

/// Names of skipped functions told for each reason; the JSON output has all.
const NAMED: usize = 3;

/// Calls that were counted and were not to be timed: by `--duty`.
const UNTIMED: [&str; 2] = ["not_timed", "window_end"];

/// The books: what was counted, what it cost, what is missing.
pub(super) fn lines(ledger: &Ledger, elapsed_ns: u64) -> Vec<String> {
    let mut lines = Vec::new();
    let end = match ledger.end {
        End::Duration => "the duration is over",
        End::Signal => "stopped",
        End::TargetExit => "the target exited",
        End::CutOff => "the recording was cut off",
    };
    let of = |reason: &str| ledger.lost.get(reason).copied().unwrap_or(0);
    let untimed = UNTIMED.map(of);
    let lost: u64 = ledger.lost.values().sum::<u64>() - untimed.iter().sum::<u64>();
    if !ledger.mode.watches_ends() {
        lines.push(format!(
            "{end} after {}: {} calls began; when they ended was not watched",
            duration(elapsed_ns),
            count(ledger.entries),
        ));
    } else {
        let untold = match untimed {
            [0, 0] => String::new(),
            [between, cut] => format!(
                " + {} only counted (--duty) + {} open when a window closed",
                count(between),
                count(cut)
            ),
        };
        lines.push(format!(
            "{end} after {}: {} calls began = {} returned + {} unwound + {} in flight{untold} + {} lost",
            duration(elapsed_ns),
            count(ledger.entries),
            count(ledger.returned),
            count(ledger.unwound),
            count(ledger.in_flight),
            count(lost),
        ));
    }
    let cost = match ledger.probe_cost_ns {
        Some(ns) => {
            let share = percent(ns, elapsed_ns)
                .map_or(String::new(), |share| format!(", {share} of one CPU"));
            format!(", about {} of the target's time{share}", duration(ns))
        }
        None => String::new(),
    };
    // Not told in a recording whose end is missing.
    if ledger.end != End::CutOff {
        lines.push(format!("{} probe hits{cost}", count(ledger.probe_hits)));
    }
    if ledger.orphan_returns > 0 {
        lines.push(format!(
            "in no figure: the returns of {} calls that were already open at the start",
            count(ledger.orphan_returns)
        ));
    }
    if let Some(exported) = ledger.exported.filter(|exported| !exported.is_incomplete()) {
        lines.push(format!("OTLP: {}", exported.told()));
    }
    if ledger.without_states > 0 {
        lines.push(format!(
            "{} calls without states: nested deeper than 16 measured ones, or more goroutines at once than are followed",
            count(ledger.without_states)
        ));
    }
    lines.extend(warnings(ledger));
    lines
}

/// What must not be overlooked.
pub(super) fn warnings(ledger: &Ledger) -> Vec<String> {
    let mut warnings = Vec::new();
    for (reason, &n) in &ledger.lost {
        if n > 0 && !ledger.mode.watches_ends() {
            // They are counted before they are followed.
            warnings.push(format!(
                "{} calls of functions that loop back to their first instruction could not be followed ({reason}): \
                 turns of the loop may be among those counted",
                count(n)
            ));
        } else if n > 0 && !UNTIMED.contains(reason) {
            warnings.push(format!(
                "{} calls lost ({reason}): {}",
                count(n),
                meaning(reason)
            ));
        }
    }
    if ledger.dropped_records > 0 {
        warnings.push(format!(
            "{} single calls could not be shown (too many at once); they are counted in the table",
            count(ledger.dropped_records)
        ));
    }
    if let Some(exported) = ledger.exported.filter(Exported::is_incomplete) {
        warnings.push(format!("OTLP: {}", exported.told()));
    }
    match ledger.imbalance() {
        0 => {}
        missing => warnings.push(format!(
            "the books do not balance: {} calls {}; this is a bug in goinstr, please report it",
            missing.unsigned_abs(),
            if missing > 0 {
                "are unaccounted for"
            } else {
                "are counted that never began"
            },
        )),
    }
    warnings
}

fn meaning(reason: &str) -> &'static str {
    match reason {
        "ring_full" => "goinstr could not keep up; choose fewer functions",
        "table_full" => "more goroutines than the table holds",
        "stack_full" => "deeper recursion than is followed on one goroutine",
        "foreign_stack" => "they ran on a stack that is not their goroutine's",
        "shed" => "they were open when their function was shed as over budget",
        "unreadable_g" => "their goroutine could not be read",
        _ => "see the documentation of the ledger",
    }
}

/// What was chosen and is not measured, a line for each reason.
pub(super) fn skipped_lines(skipped: &[Skipped]) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut lines: Vec<_> = over_budget_lines(skipped).collect();
    for one in skipped.iter().filter(|one| !is_over_budget(one)) {
        match reasons.iter_mut().find(|(reason, _)| *reason == one.reason) {
            Some((_, names)) => names.push(&one.function),
            None => reasons.push((one.reason, vec![&one.function])),
        }
    }
    let line = |(reason, names): &(&str, Vec<&str>)| {
        format!("not measured, {reason}: {}", some(names.iter().copied()))
    };
    lines.extend(reasons.iter().map(line));
    lines
}

/// Those that would have cost too much: each is its own story, and the reader's to change.
pub(super) fn over_budget_lines(skipped: &[Skipped]) -> impl Iterator<Item = String> {
    let over_budget = skipped.iter().filter(|one| is_over_budget(one));
    over_budget.map(|one| {
        let name = visible(&one.function);
        format!(
            "not measured, over budget: {name}: {}",
            visible(&one.detail)
        )
    })
}

/// Whether a function was left out because it would have cost too much.
pub(super) fn is_over_budget(skipped: &Skipped) -> bool {
    skipped.reason == "over_budget"
}

/// That a function is no longer measured, under the name that it has beside its calls.
pub(super) fn shed_line(name: &str, event: &ShedEvent) -> String {
    format!(
        "over budget: {name} is no longer measured, after {}: {}",
        duration(event.after_ns),
        visible(&event.detail),
    )
}

/// The first few of `names` and how many more there are.
pub(super) fn some<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    let more = match names.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named: Vec<_> = names.take(NAMED).map(visible).collect();
    named.join(", ") + &more
}
