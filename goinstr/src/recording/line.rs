//! The lines of a recording that no other output has, and all of them as they are read back.
//!
//! `docs/recording.md` describes them. Fields may be added, none may change or go within a version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::aggregate::{FollowedStates, States};

/// The version of the format.
pub(super) const VERSION: u32 = 1;

/// A line that only recordings have.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Own<'a> {
    /// First of the file.
    Recording(Header),
    /// A measured function; the others' `id` refers to it.
    Definition(Definition<&'a str>),
    /// The durations of a function's calls that ended since the last interval.
    Histogram(Histogram),
    /// A function that is no longer measured: it would have cost too much.
    Shed(Shed<&'a str>),
    /// Last of an interval: all lines before it are complete.
    Interval(Interval),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Header {
    pub version: u32,
    /// Who wrote it.
    pub goinstr: String,
    /// Processors of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<usize>,
    /// Single calls a second that are recorded at most; absent: none are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_second: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Definition<S> {
    pub id: u32,
    pub function: S,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol: Option<S>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<S>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The file that it is in, where that is not the program's own: a plugin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library: Option<S>,
    #[serde(default)]
    pub inlined_into: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Shed<S> {
    pub id: u32,
    pub function: S,
    pub detail: S,
    pub calls_per_second: u64,
    pub after_ns: u64,
    pub at_unix_ns: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Histogram {
    pub id: u32,
    /// Shortest duration, number of durations, number of calls.
    pub slots: Vec<(u64, u64, u64)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Interval {
    pub number: u64,
    pub elapsed_ns: u64,
    pub interval_ns: u64,
    /// Single calls that the kernel told of, and those of them that are in the recording.
    pub calls_seen: u64,
    pub calls_recorded: u64,
}

/// `session`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Session {
    pub pid: Option<u32>,
    pub exe: String,
    pub go_version: Option<String>,
    pub arch: String,
    pub mode: Option<String>,
    pub kernel: String,
    pub attach: String,
    pub returns: Option<String>,
    pub sites: usize,
    pub start_unix_ns: u64,
    pub probe_costs: Option<ProbeCosts>,
    pub states: Option<FollowedStates>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct ProbeCosts {
    pub entry_ns: u32,
    pub stepped_entry_ns: u32,
    pub exit_ns: Option<u32>,
    pub floor_ns: Option<u32>,
}

/// `skipped`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Skipped {
    pub function: String,
    pub reason: String,
    pub detail: String,
}

/// `call`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Call {
    pub id: u32,
    pub goid: u64,
    pub parent_goid: Option<u64>,
    pub start_unix_ns: u64,
    pub duration_ns: u64,
    pub self_ns: u64,
    #[serde(default)]
    pub corrected_ns: u64,
    pub outcome: Outcome,
    pub parent_id: Option<u32>,
    pub depth: u32,
    pub states: Option<States>,
    pub stack: Option<Vec<Frame>>,
    pub stack_waited_ns: Option<u64>,
    #[serde(default)]
    pub stack_cut: bool,
}

/// A function of a call's stack.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Frame {
    pub function: String,
    pub file: Option<String>,
    pub line: Option<u32>,
    #[serde(default)]
    pub inlined: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Returned,
    Unwound,
}

/// `function`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Function {
    pub id: u32,
    pub calls: u64,
    #[serde(default)]
    pub unwound: u64,
    #[serde(default)]
    pub in_flight: u64,
    pub oldest_in_flight_ns: Option<u64>,
    #[serde(default)]
    pub total_ns: u64,
    #[serde(default)]
    pub self_ns: u64,
    pub min_ns: Option<u64>,
    pub mean_ns: Option<u64>,
    pub p50_ns: Option<u64>,
    pub p90_ns: Option<u64>,
    pub p99_ns: Option<u64>,
    pub p999_ns: Option<u64>,
    pub max_ns: Option<u64>,
    pub states: Option<States>,
}

/// `ledger`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Ledger {
    pub entries: u64,
    #[serde(default)]
    pub returned: u64,
    #[serde(default)]
    pub unwound: u64,
    #[serde(default)]
    pub in_flight: u64,
    #[serde(default)]
    pub orphan_returns: u64,
    #[serde(default)]
    pub lost: BTreeMap<String, u64>,
    #[serde(default)]
    pub dropped_records: u64,
    #[serde(default)]
    pub without_states: u64,
    pub probe_hits: u64,
    pub probe_cost_ns: Option<u64>,
    pub end: String,
}
