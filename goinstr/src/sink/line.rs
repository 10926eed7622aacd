//! The lines of the JSON output: one object each, `type` first, times in ns.
//!
//! The contract with the user's scripts: fields may be added, none may change or go. A figure
//! that is not known is absent.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::json_text;
use crate::aggregate::{Exported, FollowedStates, ProbeCosts, States, Values};
use crate::binary::SourceFrame;

/// The version of the lines' schema.
pub const SCHEMA: u32 = 1;

/// One line.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line<'a> {
    /// First: what is measured.
    Session(Session<'a>),
    /// A function that was chosen and isn't measured.
    Skipped(Skipped<'a>),
    /// A single call.
    Call(Call<'a>),
    /// A single call as it begins.
    Entry(Entry<'a>),
    /// A function's figures.
    Function(Function<'a>),
    /// How often one function called another.
    Caller(Caller<'a>),
    /// Last: the books.
    Ledger(Ledger<'a>),
    /// A function of a binary.
    Listed(Listed<'a>),
    /// What a binary is.
    Binary(Binary<'a>),
    /// Something that was checked.
    Check(Check<'a>),
    /// A function that ran for the first time.
    Ran(Ran<'a>),
    /// A phase has begun.
    Phase(Phase),
    /// Whether a function ran.
    Coverage(CoverageLine<'a>),
    /// Which lines of a file ran.
    Lines(Lines<'a>),
    /// A function that ran in one coverage and not in the other.
    OnlyFunction(OnlyFunction<'a>),
    /// Lines that ran in one coverage and not in the other.
    OnlyLines(OnlyLines<'a>),
    /// Last of a difference.
    Difference(Difference),
    /// Last of a coverage: what it took.
    CoverLedger(CoverLedger),
}

/// See [`crate::aggregate::SessionInfo`].
#[derive(Clone, Debug, Serialize)]
pub struct Session<'a> {
    pub schema: u32,
    pub goinstr: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    pub exe: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub go_version: Option<&'a str>,
    pub arch: &'a str,
    pub mode: &'static str,
    pub kernel: &'a str,
    pub attach: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returns: Option<&'a str>,
    pub functions: usize,
    pub sites: usize,
    pub start_unix_ns: u64,
    /// For how much of the time durations are measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duty_percent: Option<u32>,
    /// Of a coverage: `functions` or `lines`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<&'a str>,
    /// How goroutines' states are followed, where they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub states: Option<&'a FollowedStates>,
    /// What probes cost here: durations are corrected for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_costs: Option<&'a ProbeCosts>,
}

/// See [`crate::plan::Skipped`].
#[derive(Clone, Debug, Serialize)]
pub struct Skipped<'a> {
    pub function: &'a str,
    pub reason: &'a str,
    pub detail: &'a str,
    /// Of a function that was measured until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_second: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shed_at_unix_ns: Option<u64>,
}

/// See [`crate::aggregate::CallEvent`].
#[derive(Clone, Debug, Serialize)]
pub struct Call<'a> {
    pub function: &'a str,
    pub goid: u64,
    /// The goroutine that started that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_goid: Option<u64>,
    pub start_unix_ns: u64,
    pub duration_ns: u64,
    pub self_ns: u64,
    pub outcome: &'static str,
    pub depth: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub states: Option<&'a States>,
    /// Measured functions open around it, innermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub callers: Vec<&'a str>,
    /// Innermost function first: at its return or, with `stack_waited_ns`, where it waited longest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<Vec<Frame<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack_waited_ns: Option<u64>,
    /// The stack does not reach to the goroutine's first function.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stack_cut: bool,
    /// Arguments by name, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<&'a Values>,
    /// Results by name, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returns: Option<&'a Values>,
    /// In recordings: indices of both functions among the definitions, and what was taken off the
    /// duration for the probes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrected_ns: Option<u64>,
}

/// See [`crate::aggregate::BegunCall`].
#[derive(Clone, Debug, Serialize)]
pub struct Entry<'a> {
    pub function: &'a str,
    pub goid: u64,
    /// The goroutine that started that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_goid: Option<u64>,
    pub start_unix_ns: u64,
    /// Arguments by name, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<&'a Values>,
}

/// A function of a stack: see [`SourceFrame`].
#[derive(Clone, Debug, Serialize)]
pub struct Frame<'a> {
    pub function: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub inlined: bool,
}

impl<'a> Frame<'a> {
    /// The function as it is written.
    #[must_use]
    pub fn of(frame: &'a SourceFrame) -> Self {
        Self {
            function: &frame.function,
            file: frame.file.as_deref(),
            line: frame.line,
            inlined: frame.inlined,
        }
    }
}

/// See [`crate::aggregate::FunctionReport`].
#[derive(Clone, Debug, Default, Serialize)]
pub struct Function<'a> {
    pub function: &'a str,
    /// In recordings: its index among the definitions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// Name as the linker wrote it, with the type arguments, where it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol: Option<&'a str>,
    /// The library that it is in, if it isn't in the executable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    pub calls: u64,
    /// Those whose durations were measured, where that was done for part of the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unwound: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_in_flight_ns: Option<u64>,
    /// When it was shed: its figures end there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shed_at_unix_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p999_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub states: Option<&'a States>,
    /// Functions that hold inlined copies of it, whose calls are not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inlined_into: Option<u32>,
}

/// See [`crate::aggregate::CallerReport`].
#[derive(Clone, Debug, Serialize)]
pub struct Caller<'a> {
    pub function: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<&'a str>,
    pub calls: u64,
}

/// See [`crate::aggregate::Ledger`].
#[derive(Clone, Debug, Serialize)]
pub struct Ledger<'a> {
    pub entries: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returned: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unwound: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orphan_returns: Option<u64>,
    pub lost: &'a BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped_records: Option<u64>,
    /// Finished calls whose states are not known though they were asked for, where there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without_states: Option<u64>,
    pub probe_hits: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_cost_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<Exported>,
    pub end: &'static str,
}

/// A function of a binary, from `list`.
#[derive(Clone, Debug, Serialize)]
pub struct Listed<'a> {
    pub function: &'a str,
    /// Name as the linker wrote it, with the type arguments, where it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol: Option<&'a str>,
    /// The library that it is in, if it isn't in the executable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library: Option<&'a str>,
    pub package: &'a str,
    /// The type that it is a method of, without pointer and type arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiver: Option<&'a str>,
    /// It has type arguments; absent where it hasn't.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub generic: bool,
    /// It is a literal inside another function; absent where it isn't.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub closure: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Address in the file's own numbering; absent for a function that has no body of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    pub measurable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inlined_into: Option<u32>,
}

/// Something that was checked, from `doctor`.
#[derive(Clone, Debug, Serialize)]
pub struct Check<'a> {
    pub name: &'a str,
    pub ok: bool,
    pub detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consequence: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<&'a str>,
}

/// What a binary is, from `inspect`.
#[derive(Clone, Debug, Serialize)]
pub struct Binary<'a> {
    pub exe: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub go_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module_version: Option<&'a str>,
    pub arch: &'a str,
    pub functions: usize,
    pub settings: BTreeMap<&'a str, &'a str>,
    pub facts: BTreeMap<&'a str, String>,
}

/// A function that ran for the first time, from `cover --watch`.
#[derive(Clone, Debug, Serialize)]
pub struct Ran<'a> {
    pub function: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    pub first_run_unix_ns: u64,
}

/// A phase has begun, from `cover --reset`: nothing is missed from now on.
#[derive(Clone, Debug, Serialize)]
pub struct Phase {
    pub phase: u32,
}

/// Whether a function ran, from `cover`.
#[derive(Clone, Debug, Serialize)]
pub struct CoverageLine<'a> {
    pub function: &'a str,
    pub package: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    pub covered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_run_unix_ns: Option<u64>,
    /// Its lines with code and those of them that ran, where lines were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines_covered: Option<usize>,
    /// Bodies and inlined copies that can't be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unseen: Option<u32>,
    /// The phase, where there are phases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<u32>,
}

/// Which lines of a file ran, from `cover --lines`.
#[derive(Clone, Debug, Serialize)]
pub struct Lines<'a> {
    pub file: &'a str,
    /// The same as Go's cover profiles name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<&'a str>,
    pub covered: Vec<u32>,
    pub uncovered: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<u32>,
}

/// A function that ran in the first and not in the second, from `cover --diff`.
#[derive(Clone, Debug, Serialize)]
pub struct OnlyFunction<'a> {
    pub function: &'a str,
    pub package: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// Lines that ran in the first and not in the second, from `cover --diff`.
#[derive(Clone, Debug, Serialize)]
pub struct OnlyLines<'a> {
    pub file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<&'a str>,
    pub lines: Vec<u32>,
}

/// How much ran in the first and not in the second.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    pub functions: usize,
    pub lines: usize,
}

/// See [`crate::aggregate::CoverLedger`].
#[derive(Clone, Debug, Serialize)]
pub struct CoverLedger {
    pub functions: usize,
    pub functions_covered: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines_covered: Option<usize>,
    pub sites: usize,
    pub sites_hit: usize,
    pub sites_left: usize,
    pub probe_hits: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_cost_ns: Option<u64>,
    pub retirements: u32,
    pub retirement_ns: u64,
    pub end: &'static str,
}

impl Line<'_> {
    /// Writes the line and its end.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        json_text::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }
}
