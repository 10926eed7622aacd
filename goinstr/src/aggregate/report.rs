//! The finished figures, as sinks receive them. All times are in nanoseconds.

use std::collections::BTreeMap;

use super::{CallStack, Exported, States, Values};

use super::distribution::Distribution;

/// What is measured of the functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Calls from their beginning to their end.
    #[default]
    Durations,
    /// How often they are called, and nothing else.
    Count,
    /// The same, and each call as it begins.
    Entries,
}

impl Mode {
    /// Its name in the JSON session record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Durations => "durations",
            Self::Count => "count",
            Self::Entries => "entries",
        }
    }

    /// The mode of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Durations, Self::Count, Self::Entries]
            .into_iter()
            .find(|mode| mode.name() == name)
    }

    /// Whether ends of calls are watched: without, all figures but the number of calls are without meaning.
    #[must_use]
    pub const fn watches_ends(self) -> bool {
        matches!(self, Self::Durations)
    }
}

/// What is measured: known when all probes are in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Process id as the user gave it; absent where every process of an executable is measured.
    pub pid: Option<u32>,
    /// Path of the executable as the process sees it.
    pub exe: String,
    /// `runtime.buildVersion`, where the binary tells.
    pub go_version: Option<String>,
    /// `x86_64` or `aarch64`.
    pub arch: &'static str,
    /// Kernel release, as `uname -r` prints it.
    pub kernel: String,
    /// What of the functions: of a count, all figures of durations and ends are without meaning.
    pub mode: Mode,
    /// `uprobe_multi` or `perf_event`.
    pub attach: &'static str,
    /// Who executes the returns: `kernel` or `program`.
    pub returns: &'static str,
    /// Number of functions measured.
    pub functions: usize,
    /// Number of sites armed.
    pub sites: usize,
    /// When recording began, ns since the Unix epoch.
    pub start_unix_ns: u64,
    /// For how much of the time durations are measured, in percent; absent: all the time.
    pub duty_percent: Option<u32>,
    /// How goroutines' states are followed, where they are: this has a cost of its own, at each
    /// change of a state, which is in no other figure.
    pub states: Option<FollowedStates>,
    /// What probes cost here, where it was measured: durations are then corrected for it.
    pub probe_costs: Option<ProbeCosts>,
}

/// How goroutines' states are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FollowedStates {
    /// Threads too: time that one was without a CPU does not count as running.
    pub threads: bool,
}

/// What probes cost on this machine, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ProbeCosts {
    /// A hit of an entry site whose instruction the kernel emulates.
    pub entry_ns: u32,
    /// A hit of an entry site whose instruction is single-stepped.
    pub stepped_entry_ns: u32,
    /// A hit of a return; absent where returns are not watched, as the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_ns: Option<u32>,
    /// What an empty function's duration is before it is corrected: shorter calls can hardly be told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor_ns: Option<u32>,
}

/// A single call that has just begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BegunCall {
    /// Its function's index in the plan.
    pub function: u32,
    /// `runtime.g.goid`; 0 on a system stack.
    pub goid: u64,
    /// The goroutine that started that one, where it is known (Go 1.21 and later).
    pub parent_goid: Option<u64>,
    /// When it began, ns since the Unix epoch.
    pub start_unix_ns: u64,
    /// Its arguments, where they were asked for and could be read.
    pub args: Option<Box<Values>>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// By its own return.
    Returned,
    /// By a panic or `runtime.Goexit`.
    Unwound,
}

impl Outcome {
    /// Its name wherever scripts read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Unwound => "unwound",
        }
    }
}

/// A single finished call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallEvent {
    /// Its function's index in the plan.
    pub function: u32,
    /// `runtime.g.goid`; 0 on a system stack.
    pub goid: u64,
    /// The goroutine that started that one, where it is known (Go 1.21 and later).
    pub parent_goid: Option<u64>,
    /// When it began, ns since the Unix epoch.
    pub start_unix_ns: u64,
    /// How long it was open.
    pub duration_ns: u64,
    /// The same without the traced calls inside it.
    pub self_ns: u64,
    /// What the probes inside it cost and was taken off its duration: it was open for both together.
    pub corrected_ns: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// The innermost traced function open around it.
    pub parent: Option<u32>,
    /// Number of traced calls open around it on its goroutine.
    pub depth: u32,
    /// What it did, where that was asked for and is known.
    pub states: Option<States>,
    /// The measured functions open around it, innermost first, where that was asked for and is known.
    pub callers: Vec<u32>,
    /// Where it was, where that was asked for and is known.
    pub stack: Option<Box<CallStack>>,
    /// Its arguments and results, where they were asked for and could be read.
    pub values: Option<Box<CallValues>>,
}

/// The arguments and results of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallValues {
    /// Arguments, where they were asked for.
    pub args: Option<Values>,
    /// Results, where they were asked for and it returned.
    pub returns: Option<Values>,
}

impl CallEvent {
    /// Its arguments, where they are known.
    #[must_use]
    pub fn args(&self) -> Option<&Values> {
        self.values.as_ref()?.args.as_ref()
    }

    /// Its results, where they are known.
    #[must_use]
    pub fn returns(&self) -> Option<&Values> {
        self.values.as_ref()?.returns.as_ref()
    }

    /// The call without what may be large: its callers, its stack, its arguments and results.
    #[must_use]
    pub fn bare(&self) -> Self {
        Self {
            states: self.states.clone(),
            callers: Vec::new(),
            stack: None,
            values: None,
            ..*self
        }
    }

    /// Bytes of memory that it takes, but for what it shares with other calls: about so many.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let states = self.states.as_ref().map_or(0, States::heap_bytes);
        let stack = self.stack.as_ref().map_or(0, |stack| stack.bytes());
        let values = self.values.as_ref().map_or(0, |values| {
            let both = values.args.iter().chain(&values.returns);
            size_of::<CallValues>() + both.map(Values::heap_bytes).sum::<usize>()
        });
        size_of::<Self>() + states + size_of_val(&*self.callers) + stack + values
    }

    /// When it ended, ns since the Unix epoch: by the clock, which its duration is corrected against.
    #[must_use]
    pub fn end_unix_ns(&self) -> u64 {
        self.start_unix_ns
            .saturating_add(self.duration_ns)
            .saturating_add(self.corrected_ns)
    }
}

/// A call that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCall {
    /// Its function's index in the plan.
    pub function: u32,
    /// `runtime.g.goid`; 0 on a system stack.
    pub goid: u64,
    /// Number of calls open around it on its goroutine, those of functions that were shed too.
    pub depth: u32,
    /// When it began, ns since the Unix epoch.
    pub start_unix_ns: u64,
}

/// The figures of one function. A figure that is not known (no call yet) is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionReport {
    /// Its index in the plan.
    pub function: u32,
    /// Finished calls: returned and unwound.
    pub calls: u64,
    /// Those whose durations were measured, where that was done for part of the time: then `calls` are all that
    /// began, and every other figure is of these.
    pub timed: Option<u64>,
    /// Those of them that were unwound.
    pub unwound: u64,
    /// Calls open now.
    pub in_flight: u64,
    /// Age of the oldest of them.
    pub oldest_in_flight_ns: Option<u64>,
    /// Finished calls since the last interval, and that interval's length: for the rate.
    pub calls_in_interval: u64,
    /// When it was shed, since recording began: its figures end there.
    pub shed_after_ns: Option<u64>,
    /// Sum of the durations of the finished calls.
    pub total_ns: u64,
    /// Sum of their exclusive times.
    pub self_ns: u64,
    /// Shortest duration.
    pub min_ns: Option<u64>,
    /// Mean duration.
    pub mean_ns: Option<u64>,
    /// Median, within 2 %.
    pub p50_ns: Option<u64>,
    /// 90th percentile, within 2 %.
    pub p90_ns: Option<u64>,
    /// 99th percentile, within 2 %.
    pub p99_ns: Option<u64>,
    /// 99.9th percentile, within 2 %.
    pub p999_ns: Option<u64>,
    /// Longest duration.
    pub max_ns: Option<u64>,
    /// What its calls did, where that was asked for.
    pub states: Option<States>,
    /// All durations; empty unless a sink [wants them](crate::sink::Sink::wants_distributions).
    pub distribution: Distribution,
}

/// Calls of a function from one caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerReport {
    /// The function's index in the plan.
    pub function: u32,
    /// Name of the innermost function at the place that calls, inlined or not, as stack traces print
    /// it; absent where that is not known.
    pub caller: Option<String>,
    /// How often it called.
    pub calls: u64,
}

/// What is counted once for all functions, so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Calls that began while recording.
    pub entries: u64,
    /// Returns of calls that were open before recording began.
    pub orphan_returns: u64,
    /// Calls that could not be followed, by reason: every reason there is.
    pub lost: BTreeMap<&'static str, u64>,
    /// Probe hits while recording.
    pub probe_hits: u64,
    /// What they cost the target altogether, where the cost of a hit is known.
    pub probe_cost_ns: Option<u64>,
}

/// All functions at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Since recording began.
    pub elapsed_ns: u64,
    /// Since the last report: what `calls_in_interval` refers to.
    pub interval_ns: u64,
    /// Records of single calls dropped for want of room so far.
    pub dropped_records: u64,
    /// One for each function of the plan, in its order.
    pub functions: Vec<FunctionReport>,
    /// Their callers, where they were asked for: most calls first within a function.
    pub callers: Vec<CallerReport>,
    /// What is counted once for all functions. While calls go on, not of one moment with the rest.
    pub books: Books,
}

/// A function that is no longer measured, because that cost too much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShedEvent {
    /// Its index in the plan.
    pub function: u32,
    /// Its name as stack traces print it.
    pub name: String,
    /// Its rate and cost, for people.
    pub detail: String,
    /// How often it was called, a second.
    pub calls_per_second: u64,
    /// When, since recording began.
    pub after_ns: u64,
    /// The same in ns since the Unix epoch.
    pub at_unix_ns: u64,
}

/// Why a measurement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `--duration` is over.
    Duration,
    /// Ctrl-C or SIGTERM.
    Signal,
    /// The target exited.
    TargetExit,
    /// Not known: the recording of it lacks its end.
    CutOff,
}

/// The books: `entries = returned + unwound + in_flight + sum(lost)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// What was measured: of a count, only `entries`, `lost` and the hits are known.
    pub mode: Mode,
    /// Calls that began while recording.
    pub entries: u64,
    /// Calls that ended by their own return.
    pub returned: u64,
    /// Calls that ended by a panic or `runtime.Goexit`.
    pub unwound: u64,
    /// Calls open at the end.
    pub in_flight: u64,
    /// Returns of calls that were open before recording began.
    pub orphan_returns: u64,
    /// Calls that could not be followed, by reason.
    pub lost: BTreeMap<&'static str, u64>,
    /// Records of single calls dropped for want of room; the calls themselves are counted.
    pub dropped_records: u64,
    /// Finished calls whose states are not known though they were asked for.
    pub without_states: u64,
    /// Probe hits while recording.
    pub probe_hits: u64,
    /// What they cost the target altogether, where the cost of a hit is known.
    pub probe_cost_ns: Option<u64>,
    /// What of it went to a collector, where one was to be told.
    pub exported: Option<Exported>,
    /// Why the measurement ended.
    pub end: End,
}

impl Ledger {
    /// The books in one line, for where the report itself can't be written.
    #[must_use]
    pub fn books(&self) -> String {
        let lost: Vec<String> = self
            .lost
            .iter()
            .filter(|&(_, &calls)| calls > 0)
            .map(|(reason, calls)| format!("{calls} {reason}"))
            .collect();
        format!(
            "the books: {} calls began = {} returned + {} unwound + {} in flight + {} lost{}",
            self.entries,
            self.returned,
            self.unwound,
            self.in_flight,
            self.lost.values().sum::<u64>(),
            match lost.is_empty() {
                true => String::new(),
                false => format!(" ({})", lost.join(", ")),
            }
        )
    }

    /// What is missing (positive) or too much (negative) on the right-hand side.
    #[must_use]
    pub fn imbalance(&self) -> i128 {
        if !self.mode.watches_ends() {
            return 0;
        }
        i128::from(self.entries)
            - i128::from(self.returned)
            - i128::from(self.unwound)
            - i128::from(self.in_flight)
            - self.lost.values().map(|&n| i128::from(n)).sum::<i128>()
    }
}
