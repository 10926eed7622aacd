//! The columns of the table of functions: what each says, and which go first on a narrow screen.

use super::human::{count, duration, rate};
use super::visible::visible;
use crate::aggregate::{FunctionReport, Mode, Report, States};

/// By what the rows are sorted, largest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Sum of the durations.
    #[default]
    Total,
    /// Number of finished calls.
    Calls,
    /// Median.
    P50,
    /// 99th percentile.
    P99,
    /// Longest call.
    Max,
    /// Sum of the exclusive times.
    SelfTime,
}

impl Sort {
    /// The figure that is compared.
    #[must_use]
    pub fn key(self, figures: &FunctionReport) -> u64 {
        match self {
            Self::Total => figures.total_ns,
            Self::Calls => figures.calls,
            Self::P50 => figures.p50_ns.unwrap_or(0),
            Self::P99 => figures.p99_ns.unwrap_or(0),
            Self::Max => figures.max_ns.unwrap_or(0),
            Self::SelfTime => figures.self_ns,
        }
    }
}

/// One column of figures, right-aligned. The function's name follows them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Calls,
    Rate,
    Unwound,
    InFlight,
    P50,
    P90,
    P99,
    Max,
    Total,
    SelfTime,
    Running,
    Runnable,
    Waiting,
    Syscall,
    Reason,
}

/// Left to right.
const ORDER: [Column; 15] = [
    Column::Calls,
    Column::Rate,
    Column::Unwound,
    Column::InFlight,
    Column::P50,
    Column::P90,
    Column::P99,
    Column::Max,
    Column::Total,
    Column::SelfTime,
    Column::Running,
    Column::Runnable,
    Column::Waiting,
    Column::Syscall,
    Column::Reason,
];

/// Left out in this order where there is no room.
const EXPENDABLE: [Column; 10] = [
    Column::SelfTime,
    Column::P90,
    Column::Rate,
    Column::Max,
    Column::Total,
    Column::P50,
    Column::P99,
    Column::Unwound,
    Column::InFlight,
    Column::Syscall,
];

impl Column {
    /// What stands above it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Rate => "calls/s",
            Self::Unwound => "unwound",
            Self::InFlight => "open",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::Max => "max",
            Self::Total => "total",
            Self::SelfTime => "self",
            Self::Running => "cpu",
            Self::Runnable => "runnable",
            Self::Waiting => "wait",
            Self::Syscall => "syscall",
            Self::Reason => "mostly for",
        }
    }

    /// What it is sorted by, in whatever unit it has.
    pub fn figure(self, figures: &FunctionReport) -> u64 {
        match self {
            Self::Calls => figures.calls,
            Self::Rate => figures.calls_in_interval,
            Self::Unwound => figures.unwound,
            Self::InFlight => figures.in_flight,
            Self::P50 => figures.p50_ns.unwrap_or(0),
            Self::P90 => figures.p90_ns.unwrap_or(0),
            Self::P99 => figures.p99_ns.unwrap_or(0),
            Self::Max => figures.max_ns.unwrap_or(0),
            Self::Total => figures.total_ns,
            Self::SelfTime => figures.self_ns,
            Self::Running => in_state(figures, |states| states.running_ns),
            Self::Runnable => in_state(figures, |states| states.runnable_ns),
            Self::Waiting | Self::Reason => in_state(figures, |states| states.waiting_ns),
            Self::Syscall => in_state(figures, |states| states.syscall_ns),
        }
    }

    /// What it says about a function.
    pub fn cell(self, figures: &FunctionReport, reading: Reading) -> String {
        let known = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), |ns| reading.single(ns));
        let finished = |ns: u64| {
            if figures.calls == 0 {
                "-".to_owned()
            } else {
                duration(ns)
            }
        };
        match self {
            Self::Calls => count(figures.calls),
            Self::Rate => match reading.rated {
                Rated::Interval(ns) => rate(figures.calls_in_interval, ns),
                Rated::Whole(ns) => rate(figures.calls, ns),
            },
            Self::Unwound => count(figures.unwound),
            Self::InFlight => count(figures.in_flight),
            Self::P50 => known(figures.p50_ns),
            Self::P90 => known(figures.p90_ns),
            Self::P99 => known(figures.p99_ns),
            Self::Max => known(figures.max_ns),
            Self::Total => finished(figures.total_ns),
            Self::SelfTime => finished(figures.self_ns),
            Self::Running => share(figures, |states| states.running_ns),
            Self::Runnable => share(figures, |states| states.runnable_ns),
            Self::Waiting => share(figures, |states| states.waiting_ns),
            Self::Syscall => share(figures, |states| states.syscall_ns),
            Self::Reason => reason(figures),
        }
    }
}

fn in_state(figures: &FunctionReport, part: impl Fn(&States) -> u64) -> u64 {
    figures.states.as_ref().map_or(0, part)
}

/// A part of the calls' time, in percent of it.
fn share(figures: &FunctionReport, part: impl Fn(&States) -> u64) -> String {
    let Some(states) = &figures.states else {
        return "-".to_owned();
    };
    let hundredths = u128::from(part(states)) * 100;
    match hundredths.checked_div(u128::from(states.total_ns())) {
        Some(0) if part(states) > 0 => "<1%".to_owned(),
        Some(percent) => format!("{percent}%"),
        None => "-".to_owned(),
    }
}

/// What the calls mostly waited for.
fn reason(figures: &FunctionReport) -> String {
    let top = figures.states.as_ref().and_then(|states| {
        let (name, ns) = states.top_reason()?;
        // What took less than a hundredth is no reason.
        (u128::from(ns) * 100 >= u128::from(states.total_ns())).then(|| visible(name).into_owned())
    });
    top.unwrap_or_else(|| "-".to_owned())
}

/// How the figures are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// What calls a second refer to.
    pub rated: Rated,
    /// Single durations below this are not known, where that is known.
    pub floor_ns: Option<u64>,
}

impl Reading {
    /// The duration of a single call: no more exact than it was measured.
    fn single(self, ns: u64) -> String {
        match self.floor_ns {
            Some(floor) if ns < floor => format!("<{}", duration(floor)),
            _ => duration(ns),
        }
    }
}

/// What calls a second refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rated {
    /// The last interval, of this many ns: the live table.
    Interval(u64),
    /// The whole measurement, of this many ns: the final one.
    Whole(u64),
}

/// The columns that have something to say: unwound and open calls only where there are some.
pub(super) fn of(mode: Mode, report: &Report) -> Vec<Column> {
    if !mode.watches_ends() {
        return vec![Column::Calls, Column::Rate];
    }
    let any = |figure: fn(&FunctionReport) -> u64| report.functions.iter().any(|f| figure(f) > 0);
    let unwound = any(|f| f.unwound);
    let in_flight = any(|f| f.in_flight);
    let states = report.functions.iter().any(|f| f.states.is_some());
    let said = |column: &Column| match column {
        Column::Running | Column::Runnable | Column::Waiting | Column::Syscall | Column::Reason => {
            states
        }
        Column::Unwound => unwound,
        Column::InFlight => in_flight,
        _ => true,
    };
    ORDER.into_iter().filter(said).collect()
}

/// The next column to leave out, if one may be.
pub(super) fn expendable(columns: &[Column]) -> Option<usize> {
    let place = |wanted| columns.iter().position(|&column| column == wanted);
    EXPENDABLE.into_iter().find_map(place)
}
