//! What a target knows about its own calls, from the JSON lines that it prints.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// A function's calls, as the target counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Finished calls.
    pub calls: u64,
    /// Those of them that did not return.
    pub unwound: u64,
    /// Open calls.
    pub in_flight: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.unwound += other.unwound;
        self.in_flight += other.in_flight;
    }
}

/// All that a target told.
#[derive(Debug, Default)]
pub struct Truth {
    /// By the function's name; instances of a generic function are one.
    pub functions: BTreeMap<String, Counts>,
    /// Functions that are called and that the target can't count.
    pub uncounted: Vec<String>,
    /// Every JSON line, for what only some targets tell.
    pub lines: Vec<Value>,
}

impl Truth {
    /// Reads a target's lines; those that are no JSON objects are its own affair.
    pub fn parse(lines: &[String]) -> Result<Self> {
        let mut truth = Self::default();
        for line in lines.iter().filter(|line| line.starts_with('{')) {
            let value: Value =
                serde_json::from_str(line).with_context(|| format!("the target said {line}"))?;
            let number = |field: &str| value[field].as_u64().with_context(|| line.clone());
            match value["type"].as_str() {
                Some("truth") => {
                    let name = shape_free(value["function"].as_str().context("no name")?);
                    *truth.functions.entry(name).or_default() += Counts {
                        calls: number("calls")?,
                        unwound: number("unwound")?,
                        in_flight: number("in_flight")?,
                    };
                }
                Some("uncounted") => truth
                    .uncounted
                    .push(shape_free(value["function"].as_str().context("no name")?)),
                _ => {}
            }
            truth.lines.push(value);
        }
        Ok(truth)
    }

    /// A field of the one line of a type.
    pub fn number(&self, kind: &str, field: &str) -> Result<u64> {
        self.lines
            .iter()
            .find(|line| line["type"] == kind)
            .and_then(|line| line[field].as_u64())
            .with_context(|| format!("the target told no {field} of {kind}"))
    }
}

/// A name as stack traces print it: type arguments are `[...]`, whatever stands in the symbol.
pub fn shape_free(name: &str) -> String {
    let mut free = String::with_capacity(name.len());
    let mut depth = 0_u32;
    for c in name.chars() {
        match c {
            '[' => {
                depth += 1;
                if depth == 1 {
                    free.push_str("[...]");
                }
            }
            ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 => free.push(c),
            _ => {}
        }
    }
    free
}
