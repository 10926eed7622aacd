//! What `goinstr attach --output json` printed, read back and held against its own contract.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::truth::{Counts, shape_free};

/// A `function` line. Times are in nanoseconds.
#[derive(Clone, Debug, Deserialize)]
pub struct Function {
    pub function: String,
    pub calls: u64,
    /// Those that were timed, where not all were to be.
    pub timed: Option<u64>,
    pub unwound: u64,
    pub in_flight: u64,
    pub shed_at_unix_ns: Option<u64>,
    pub total_ns: u64,
    pub self_ns: u64,
    pub min_ns: Option<u64>,
    pub mean_ns: Option<u64>,
    pub p50_ns: Option<u64>,
    pub p90_ns: Option<u64>,
    pub p99_ns: Option<u64>,
    pub p999_ns: Option<u64>,
    pub max_ns: Option<u64>,
    pub interval: Option<u64>,
    pub states: Option<Value>,
}

impl Function {
    /// Calls whose end was seen.
    fn ended(&self) -> u64 {
        self.timed.unwrap_or(self.calls)
    }
}

/// A `call` line. Times are in nanoseconds.
#[derive(Clone, Debug, Deserialize)]
pub struct Call {
    pub function: String,
    pub goid: u64,
    pub parent_goid: Option<u64>,
    pub start_unix_ns: u64,
    pub duration_ns: u64,
    pub outcome: String,
    pub parent: Option<String>,
    pub depth: u32,
    pub states: Option<Value>,
    #[serde(default)]
    pub callers: Vec<String>,
    #[serde(default)]
    pub stack: Value,
    pub stack_waited_ns: Option<u64>,
    #[serde(default)]
    pub stack_cut: bool,
    pub args: Option<Value>,
    pub returns: Option<Value>,
}

/// The `ledger` line.
#[derive(Clone, Debug, Deserialize)]
pub struct Ledger {
    pub entries: u64,
    pub returned: u64,
    pub unwound: u64,
    pub in_flight: u64,
    pub orphan_returns: u64,
    pub lost: BTreeMap<String, u64>,
    /// Lines of single calls that were not printed for want of room.
    pub dropped_records: Option<u64>,
    pub without_states: Option<u64>,
    pub probe_hits: u64,
    /// What went to a collector, where one was to be told.
    pub otlp: Option<Exported>,
    pub end: String,
}

/// `otlp` of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Exported {
    pub spans: u64,
    pub dropped_spans: u64,
    pub thinned_spans: u64,
    pub reports: u64,
    pub dropped_reports: u64,
}

impl Ledger {
    /// Calls lost for any reason.
    pub fn lost_in_all(&self) -> u64 {
        self.lost.values().sum()
    }
}

/// A whole run's lines, known to agree with each other.
#[derive(Clone, Debug)]
pub struct Report {
    pub session: Value,
    /// Name → reason.
    pub skipped: BTreeMap<String, String>,
    pub calls: Vec<Call>,
    pub functions: Vec<Function>,
    pub ledger: Ledger,
}

impl Report {
    /// Reads the lines and checks what must hold in every run: the order of the lines, the ledger's
    /// balance, the sums of the functions, the order of the quantiles.
    pub fn parse(lines: &[String]) -> Result<Self> {
        let mut skipped = BTreeMap::new();
        let mut calls = Vec::new();
        let mut functions = Vec::new();
        let mut session = None;
        let mut ledger = None;
        for (number, line) in lines.iter().enumerate() {
            let value: Value =
                serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
            ensure!(ledger.is_none(), "a line after the ledger: {line}");
            match value["type"].as_str() {
                Some("session") => {
                    ensure!(number == 0, "the session line is line {}", number + 1);
                    session = Some(value);
                }
                Some("skipped") => {
                    let text = |field: &str| {
                        value[field]
                            .as_str()
                            .map(str::to_owned)
                            .context(line.clone())
                    };
                    skipped.insert(shape_free(&text("function")?), text("reason")?);
                }
                Some("function") => {
                    let function: Function =
                        serde_json::from_value(value).with_context(|| line.clone())?;
                    if function.interval.is_none() {
                        functions.push(function);
                    }
                }
                Some("call") => {
                    calls.push(serde_json::from_value(value).with_context(|| line.clone())?);
                }
                Some("ledger") => {
                    ledger = Some(serde_json::from_value(value).with_context(|| line.clone())?);
                }
                Some(_) => {}
                None => bail!("a line without a type: {line}"),
            }
        }
        let report = Self {
            session: session.context("no session line")?,
            skipped,
            calls,
            functions,
            ledger: ledger.context("no ledger line")?,
        };
        report.check_ledger()?;
        report.check_functions()?;
        Ok(report)
    }

    /// The counts by name, instances of a generic function together.
    pub fn counts(&self) -> BTreeMap<String, Counts> {
        let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
        for function in &self.functions {
            *counts.entry(shape_free(&function.function)).or_default() += Counts {
                calls: function.calls,
                unwound: function.unwound,
                in_flight: function.in_flight,
            };
        }
        counts
    }

    /// The line of one function.
    pub fn function(&self, name: &str) -> Result<&Function> {
        self.functions
            .iter()
            .find(|function| function.function == name)
            .with_context(|| format!("no line for {name}"))
    }

    fn check_ledger(&self) -> Result<()> {
        let ledger = &self.ledger;
        let right = ledger.returned + ledger.unwound + ledger.in_flight + ledger.lost_in_all();
        ensure!(
            ledger.entries == right,
            "the ledger does not balance: {} entries, {right} accounted for: {ledger:?}",
            ledger.entries
        );
        ensure!(
            ledger.probe_hits >= ledger.entries + ledger.returned,
            "fewer probe hits than entries and returns: {ledger:?}"
        );
        let sum = |of: fn(&Function) -> u64| self.functions.iter().map(of).sum::<u64>();
        for (what, functions, books) in [
            (
                "calls",
                sum(Function::ended),
                ledger.returned + ledger.unwound,
            ),
            ("unwound", sum(|f| f.unwound), ledger.unwound),
            ("in_flight", sum(|f| f.in_flight), ledger.in_flight),
        ] {
            ensure!(
                functions == books,
                "the functions' {what} sum up to {functions}, the ledger has {books}: {ledger:?}"
            );
        }
        ensure!(
            self.session["functions"].as_u64() == u64::try_from(self.functions.len()).ok(),
            "the session line promised {} functions, {} were reported",
            self.session["functions"],
            self.functions.len()
        );
        Ok(())
    }

    fn check_functions(&self) -> Result<()> {
        for function in &self.functions {
            let figures = [
                function.min_ns,
                function.p50_ns,
                function.p90_ns,
                function.p99_ns,
                function.p999_ns,
                function.max_ns,
            ];
            let known: Vec<u64> = figures.into_iter().flatten().collect();
            ensure!(
                function.unwound <= function.ended()
                    && known.is_sorted()
                    && function.self_ns <= function.total_ns
                    && known.len()
                        == if function.ended() == 0 {
                            0
                        } else {
                            figures.len()
                        },
                "figures that can't be: {function:?}"
            );
            if let (Some(min), Some(mean), Some(max)) =
                (function.min_ns, function.mean_ns, function.max_ns)
            {
                ensure!(
                    min <= mean && mean <= max,
                    "a mean that can't be: {function:?}"
                );
            }
        }
        Ok(())
    }
}
