//! What `goinstr attach --count --output json` and `goinstr trace --entries` printed: a count and nothing that it can't know.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::truth::shape_free;

/// A count's lines, known to agree with each other.
#[derive(Debug)]
pub struct Counted {
    pub session: Value,
    /// Calls by function.
    pub calls: BTreeMap<String, u64>,
    /// Calls by function and caller; the empty caller is the unknown one.
    pub callers: BTreeMap<(String, String), u64>,
    pub ledger: Value,
    /// Single calls as they began, where they were asked for.
    pub entries: Vec<Value>,
    /// Functions that are not measured.
    pub skipped: Vec<Value>,
}

impl Counted {
    /// Reads the lines and checks what must hold in every count.
    pub fn parse(lines: &[String]) -> Result<Self> {
        let mut counted = Self {
            session: Value::Null,
            calls: BTreeMap::new(),
            callers: BTreeMap::new(),
            ledger: Value::Null,
            entries: Vec::new(),
            skipped: Vec::new(),
        };
        for line in lines {
            let value: Value =
                serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
            ensure!(counted.ledger.is_null(), "a line after the ledger: {line}");
            let name = |field: &str| shape_free(value[field].as_str().unwrap_or_default());
            let calls = value["calls"].as_u64();
            match value["type"].as_str().context("no type")? {
                "session" => counted.session = value,
                "ledger" => counted.ledger = value,
                "entry" => counted.entries.push(value),
                "skipped" => counted.skipped.push(value),
                "function" if value["interval"].is_null() => {
                    for unknown in [
                        "unwound",
                        "in_flight",
                        "total_ns",
                        "self_ns",
                        "min_ns",
                        "mean_ns",
                        "p50_ns",
                        "max_ns",
                    ] {
                        ensure!(
                            value.get(unknown).is_none(),
                            "a count can't know {unknown}: {line}"
                        );
                    }
                    *counted.calls.entry(name("function")).or_default() +=
                        calls.context("no calls")?;
                }
                "caller" => {
                    *counted
                        .callers
                        .entry((name("function"), name("caller")))
                        .or_default() += calls.context("no calls")?;
                }
                _ => {}
            }
        }
        let entries = counted.ledger["entries"].as_u64().context("no ledger")?;
        let sum: u64 = counted.calls.values().sum();
        ensure!(
            sum == entries,
            "{sum} calls of the functions, {entries} in the ledger"
        );
        for unknown in ["returned", "unwound", "in_flight", "orphan_returns"] {
            ensure!(
                counted.ledger.get(unknown).is_none(),
                "a count can't know {unknown}: {}",
                counted.ledger
            );
        }
        ensure!(
            counted.session["mode"] == "count" || counted.session["mode"] == "entries",
            "{}",
            counted.session
        );
        ensure!(
            counted.entries.is_empty() || counted.session["mode"] == "entries",
            "nobody asked for single calls"
        );
        Ok(counted)
    }
}
