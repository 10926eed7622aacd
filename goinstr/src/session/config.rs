//! What a measurement is: validated, whatever it was typed as.

use std::time::Duration;

use crate::{
    aggregate::Mode,
    attach::{Aggregation, Method, Watch},
    binary::GoBinary,
    plan::{Condition, ProbePlan},
    target::Target,
};

/// What a measurement is.
#[derive(Debug)]
pub struct Config {
    /// Which process or processes.
    pub target: Target,
    /// Which functions and sites.
    pub plan: ProbePlan,
    /// The binary's Go version, where it tells.
    pub go_version: Option<String>,
    /// The binary's architecture, as the session record names it.
    pub arch: &'static str,
    /// Only count; `None`: measure durations.
    pub count: Option<Count>,
    /// Ends after this time; `None`: when told to, or with the target.
    pub duration: Option<Duration>,
    /// Time between two reports.
    pub interval: Duration,
    /// Reports each call at least this long.
    pub slower_than: Option<Duration>,
    /// Tells of all measured calls around each, not of the innermost alone.
    pub chains: bool,
    /// Tells of their stacks too: the binary, to name functions by.
    pub stacks: Option<GoBinary>,
    /// Of those, only the ones for which this holds.
    pub condition: Option<Condition>,
    /// Who makes statistics of the calls.
    pub aggregation: Aggregation,
    /// Size of the ring buffer in bytes: a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// Leaves in the durations what the probes add to them.
    pub raw: bool,
    /// Who executes the returns; `None`: the kernel.
    pub returns_by: Option<ReturnsBy>,
    /// What the loader added to the file's addresses in the process, where it is one and that is known.
    pub load_bias: Option<u64>,
    /// Arm in this way; `None`: in the best way that the kernel has.
    pub method: Option<Method>,
    /// Measures durations for part of the time only; `None`: all the time.
    pub duty: Option<Duty>,
    /// Leaves out and sheds what costs too much; `None`: nothing is.
    pub guard: Option<Budget>,
    /// Ends goinstr where it stops answering, so that its probes go.
    pub dead_man: bool,
}

/// For which part of the time durations are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duty {
    /// Of 100, from 1 to 99.
    pub percent: u32,
    /// From the beginning of a window to that of the next.
    pub period: Duration,
}

/// What the probes may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Of the CPU time that the target uses itself, and of one CPU where it uses less.
    pub percent: f64,
}

/// Who executes the return instruction of a function that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnsBy {
    /// The kernel, by a single step.
    Kernel,
    /// The kernel program, by writing the registers.
    Program,
}

/// What is counted.
#[derive(Debug, Default)]
pub struct Count {
    /// Count by caller too: the binary, to name them by.
    pub callers: Option<GoBinary>,
    /// Tell of each call as it begins.
    pub told: bool,
}

impl Config {
    /// What has to be watched for it.
    pub(super) fn watch(&self) -> Watch {
        match &self.count {
            None => Watch::Calls,
            Some(count) => Watch::Entries {
                callers: count.callers.is_some(),
                told: count.told,
            },
        }
    }

    /// What of the functions is measured.
    pub(super) fn mode(&self) -> Mode {
        match &self.count {
            None => Mode::Durations,
            Some(count) if count.told => Mode::Entries,
            Some(_) => Mode::Count,
        }
    }

    /// Whether functions that cost too much can be taken out while the others go on. Calls that are not followed
    /// could be counted twice or not at all meanwhile: such a measurement is ended.
    pub(super) fn sheds(&self) -> bool {
        self.guard.is_some() && self.count.is_none()
    }

    /// Whether the kernel side tells of all measured calls around each that is told of. It tells of
    /// single calls where there is a bound.
    pub(super) fn tells_chains(&self) -> bool {
        self.chains && self.slower_than.is_some() && self.aggregation == Aggregation::Kernel
    }
}

/// Size of the ring buffer unless told otherwise: at a million records a second it is full after
/// 58 ms, and it is drained each millisecond then.
pub const RING_BYTES: u32 = 4 << 20;
