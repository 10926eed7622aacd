//! What is meant: what was typed, checked once and in types that can't be wrong.

use std::path::PathBuf;
use std::time::Duration;

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::args::{self, AggregateBy, Args, AttachBy, RetBy, SortBy};
use super::capture::Capture;
use super::failure::Failure;
use super::output::Output;
use super::views::Views;
use crate::attach::{Aggregation, Method};
use crate::plan::Pattern;
use crate::session::{self, Budget, ReturnsBy};
use crate::sink::Sort;
use crate::target::{Pid, Selection};

/// Faster than this nobody reads, and each refresh copies the kernel's maps.
pub(super) const SHORTEST_INTERVAL: Duration = Duration::from_millis(50);
pub(super) const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
/// Of --max-overhead.
const MOST_PERCENT: f64 = 100.0;
/// Sizes of the ring buffer, in bytes: from a page of any kernel to what one may pin.
const RING_BYTES: std::ops::RangeInclusive<u32> = (64 << 10)..=(1 << 30);

/// Which binary is to be read.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// The file at this path.
    File(PathBuf),
    /// The executable of this process, or file.
    Selected(Selection),
}

/// `goinstr attach`.
#[derive(Debug)]
pub(super) struct Attach {
    pub selection: Selection,
    pub patterns: Vec<Pattern>,
    pub output: Output,
    pub duration: Option<Duration>,
    pub interval: Duration,
    /// Whether the interval was asked for: only then are scripts told of each.
    pub intervals: bool,
    pub slower_than: Option<Duration>,
    pub states: bool,
    pub stack: bool,
    pub raw: bool,
    pub aggregation: Aggregation,
    pub ring_bytes: u32,
    pub method: Option<Method>,
    pub guard: Option<Budget>,
    /// Measure durations for part of the time.
    pub duty: Option<session::Duty>,
    pub returns_by: Option<ReturnsBy>,
    /// Only count calls.
    pub count: bool,
    /// By caller too.
    pub callers: bool,
    pub sort: Sort,
    pub limit: Option<usize>,
    pub capture: Capture,
    pub views: Views,
}

/// `goinstr list`.
#[derive(Debug)]
pub(super) struct List {
    pub subject: Subject,
    pub patterns: Vec<Pattern>,
    pub unmeasurable: bool,
    pub output: Output,
}

/// `goinstr inspect`.
#[derive(Debug)]
pub(super) struct Inspect {
    pub subject: Subject,
    pub output: Output,
}

impl Attach {
    pub fn new(typed: args::Attach, color: args::Color) -> Result<Self, Failure> {
        let which = typed.which;
        let selection = selection("attach", which.pid, which.name, which.exe)?;
        let wrong = |message: &str| Err(usage("attach", ErrorKind::ValueValidation, message));
        if typed.duration == Some(Duration::ZERO) {
            return wrong("--duration 0s measures nothing: leave it out to measure until Ctrl-C");
        }
        if typed
            .interval
            .is_some_and(|interval| interval < SHORTEST_INTERVAL)
        {
            return wrong("--interval must be at least 50ms");
        }
        if typed.duty_period < SHORTEST_INTERVAL {
            return wrong("--duty-period must be at least 50ms: arming and disarming take as long");
        }
        let count = typed.count || typed.callers;
        let guard = guard("attach", &typed.overhead)?;
        let sort = match typed.sort {
            None if count => SortBy::Calls,
            None => SortBy::Total,
            Some(sort) if count && sort != SortBy::Calls => {
                return wrong("--count measures no durations to sort by: leave --sort out");
            }
            Some(sort) => sort,
        };
        let capture = Capture::new("attach", &typed.capture)?;
        if capture.is_wanted() && typed.slower_than.is_none() {
            return wrong(
                "--args and --returns show single calls: say which with --slower-than (0s: all)",
            );
        }
        if capture.is_wanted() && typed.aggregate == AggregateBy::Ring {
            return wrong("--aggregate ring shows no single calls: leave --args and --returns out");
        }
        Ok(Self {
            selection,
            patterns: patterns("attach", typed.patterns.into_iter())?,
            output: Output::new(typed.output, color),
            duration: typed.duration,
            interval: typed.interval.unwrap_or(DEFAULT_INTERVAL),
            intervals: typed.interval.is_some(),
            slower_than: typed.slower_than,
            states: typed.states,
            stack: typed.stack,
            raw: typed.raw,
            aggregation: match typed.aggregate {
                AggregateBy::Kernel => Aggregation::Kernel,
                AggregateBy::Ring => Aggregation::Ring,
            },
            ring_bytes: ring_bytes("attach", typed.ring_size)?,
            method: typed.attach_by.map(method),
            guard,
            duty: typed.duty.map(|percent| session::Duty {
                percent,
                period: typed.duty_period,
            }),
            returns_by: typed.ret_by.map(|by| match by {
                RetBy::Kernel => ReturnsBy::Kernel,
                RetBy::Program => ReturnsBy::Program,
            }),
            count,
            callers: typed.callers,
            sort: sort.into(),
            limit: (typed.limit > 0).then_some(typed.limit),
            capture,
            views: typed.views,
        })
    }
}

impl From<SortBy> for Sort {
    fn from(typed: SortBy) -> Self {
        match typed {
            SortBy::Total => Self::Total,
            SortBy::Calls => Self::Calls,
            SortBy::P50 => Self::P50,
            SortBy::P99 => Self::P99,
            SortBy::Max => Self::Max,
            SortBy::SelfTime => Self::SelfTime,
        }
    }
}

impl List {
    pub fn new(typed: args::List, color: args::Color) -> Result<Self, Failure> {
        let mut words = typed.words.into_iter();
        let subject = match maybe_selection(typed.which.pid, typed.which.name, typed.which.exe) {
            Some(selection) => Subject::Selected(selection),
            None => Subject::File(
                words
                    .next()
                    .map(PathBuf::from)
                    .ok_or_else(|| no_subject("list"))?,
            ),
        };
        Ok(Self {
            subject,
            patterns: patterns("list", words)?,
            unmeasurable: typed.unmeasurable,
            output: Output::new(typed.output, color),
        })
    }
}

impl Inspect {
    pub fn new(typed: args::Inspect) -> Result<Self, Failure> {
        let selected = maybe_selection(typed.which.pid, typed.which.name, typed.which.exe);
        let subject = match (selected, typed.binary) {
            (Some(selection), None) => Subject::Selected(selection),
            (None, Some(path)) => Subject::File(path),
            (None, None) => return Err(no_subject("inspect")),
            (Some(_), Some(_)) => {
                let message = "a binary and a process are given: give one of them";
                return Err(usage("inspect", ErrorKind::ArgumentConflict, message));
            }
        };
        Ok(Self {
            subject,
            output: Output::new(typed.output, args::Color::Never),
        })
    }
}

/// The selection that the three flags mean, of which `command` needs one.
pub(super) fn selection(
    command: &str,
    pid: Option<u32>,
    name: Option<String>,
    exe: Option<PathBuf>,
) -> Result<Selection, Failure> {
    maybe_selection(pid, name, exe).ok_or_else(|| {
        usage(
            command,
            ErrorKind::MissingRequiredArgument,
            "which process? give --pid, --name or --exe",
        )
    })
}

/// The size of the ring buffer in bytes, typed in KiB.
pub(super) fn ring_bytes(command: &str, kib: u32) -> Result<u32, Failure> {
    kib.checked_mul(1024)
        .filter(|bytes| RING_BYTES.contains(bytes) && bytes.is_power_of_two())
        .ok_or_else(|| {
            let message = "--ring-size must be a power of two from 64 to 1048576";
            usage(command, ErrorKind::ValueValidation, message)
        })
}

/// The way of arming that is meant.
pub(super) fn method(by: AttachBy) -> Method {
    match by {
        AttachBy::UprobeMulti => Method::UprobeMulti,
        AttachBy::PerfEvent => Method::PerfEvent,
    }
}

/// The selection that the three flags mean; clap has seen to it that there is at most one.
pub(super) fn maybe_selection(
    pid: Option<u32>,
    name: Option<String>,
    exe: Option<PathBuf>,
) -> Option<Selection> {
    let pid = pid.map(|pid| Selection::Pid(Pid(pid)));
    pid.or(name.map(Selection::Name))
        .or(exe.map(Selection::Exe))
}

/// What `--max-overhead` and `--no-guard` mean together.
pub(super) fn guard(command: &str, typed: &args::Overhead) -> Result<Option<Budget>, Failure> {
    let max_overhead = typed.max_overhead;
    if !(max_overhead > 0.0 && max_overhead <= MOST_PERCENT) {
        let message = "--max-overhead must be more than 0 and at most 100; --no-guard lifts it";
        return Err(usage(command, ErrorKind::ValueValidation, message));
    }
    Ok((!typed.no_guard).then_some(Budget {
        percent: max_overhead,
    }))
}

pub(super) fn patterns(
    command: &str,
    words: impl Iterator<Item = String>,
) -> Result<Vec<Pattern>, Failure> {
    let parsed: Result<_, _> = words.map(|word| Pattern::parse(&word)).collect();
    parsed.map_err(|error| usage(command, ErrorKind::ValueValidation, &error.to_string()))
}

fn no_subject(command: &str) -> Failure {
    let message = "which binary? give its path, or a process by --pid, --name or --exe";
    usage(command, ErrorKind::MissingRequiredArgument, message)
}

/// A wrong command line, told as clap tells its own.
pub(super) fn usage(command: &str, kind: ErrorKind, message: &str) -> Failure {
    let mut root = Args::command();
    // Without building, a subcommand doesn't know its full name for the usage line.
    root.build();
    let error = match root.find_subcommand_mut(command) {
        Some(command) => command.error(kind, message),
        None => root.error(kind, message),
    };
    Failure::from(error)
}
