//! Which values of calls are to be read: the flags of `attach` and `trace`.

use clap::error::ErrorKind;

use super::config::usage;
use super::failure::Failure;
use crate::binary::GoBinary;
use crate::plan::{
    CapturePlan, Condition, GivenSignature, Limits, ProbePlan, Redaction, Unread, Wanted,
};

/// Bytes of a string, elements of a slice and levels of pointers that may be asked for.
const BYTES: std::ops::RangeInclusive<u32> = 1..=496;
const ITEMS: std::ops::RangeInclusive<u32> = 0..=64;
const DEPTH: std::ops::RangeInclusive<u32> = 0..=8;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(super) struct Values {
    /// Also show the values of the arguments of each call that is shown, by name (costs more)
    #[arg(long, help_heading = "Values")]
    args: bool,
    /// Also show the values of the results of each call that is shown (costs more)
    #[arg(long, help_heading = "Values")]
    returns: bool,
    /// Show only calls for which this holds: 'len(key) > 100 && shard == 3'. All calls are measured and
    /// counted as without it; those that surely don't match never leave the kernel (implies --args)
    #[arg(long = "where", value_name = "CONDITION", help_heading = "Values")]
    condition: Option<String>,
    /// Names of parameters, results and fields whose values are never read, with commas between them, as
    /// globs in any case [default: names that sound like secrets: '*password*', '*token*', …; '': none]
    #[arg(long, value_name = "NAMES", help_heading = "Values")]
    redact: Option<String>,
    /// What a function takes and gives, where the binary has no debug information (repeatable; wins over it):
    /// 'main.(*Cache).Get(c *Cache, key string, n int) (value []byte, err error)', the receiver first
    #[arg(long = "signature", value_name = "SIGNATURE", help_heading = "Values")]
    signatures: Vec<String>,
    /// Follow at most so many pointers one behind the other, and structures inside of each other
    #[arg(long, value_name = "N", default_value_t = Limits::default().depth, help_heading = "Values")]
    value_depth: u32,
    /// Show at most so many bytes of a string
    #[arg(long, value_name = "N", default_value_t = Limits::default().bytes, help_heading = "Values")]
    value_bytes: u32,
    /// Show at most so many elements of a slice or array
    #[arg(long, value_name = "N", default_value_t = Limits::default().items, help_heading = "Values")]
    value_items: u32,
}

/// What is meant: nothing, or what is wanted.
#[derive(Debug)]
pub(super) struct Capture {
    wanted: Option<Wanted>,
    /// Which calls are shown.
    pub condition: Option<Condition>,
}

impl Capture {
    pub fn new(command: &str, typed: &Values) -> Result<Self, Failure> {
        let wrong = |message: String| usage(command, ErrorKind::ValueValidation, &message);
        let within = |name: &str, value: u32, range: std::ops::RangeInclusive<u32>| {
            let (least, most) = (range.start(), range.end());
            match range.contains(&value) {
                true => Ok(value),
                false => Err(wrong(format!("{name} must be from {least} to {most}"))),
            }
        };
        let limits = Limits {
            depth: within("--value-depth", typed.value_depth, DEPTH)?,
            bytes: within("--value-bytes", typed.value_bytes, BYTES)?,
            items: within("--value-items", typed.value_items, ITEMS)?,
        };
        let redaction = match &typed.redact {
            None => Redaction::default(),
            Some(names) => Redaction::of(names).map_err(|error| wrong(error.to_string()))?,
        };
        let condition = typed.condition.as_deref().map(Condition::parse);
        let condition = condition
            .transpose()
            .map_err(|error| wrong(error.to_string()))?;
        let arguments = typed.args || condition.is_some();
        let signatures = typed
            .signatures
            .iter()
            .map(|text| GivenSignature::parse(text));
        let signatures: Result<Vec<_>, _> = signatures.collect();
        let signatures = signatures.map_err(|error| wrong(error.to_string()))?;
        if !signatures.is_empty() && !arguments && !typed.returns {
            return Err(wrong(
                "--signature tells how to read values, but none are asked for: add --args, --returns or --where"
                    .to_owned(),
            ));
        }
        Ok(Self {
            condition: condition.clone(),
            wanted: (arguments || typed.returns).then_some(Wanted {
                arguments,
                results: typed.returns,
                limits,
                redaction,
                signatures,
                condition,
            }),
        })
    }

    /// Whether any value is asked for.
    pub fn is_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    /// What of the plan's functions is to be read, said where it can't be.
    pub fn plan(
        &self,
        binary: &GoBinary,
        plan: &ProbePlan,
    ) -> Result<Option<CapturePlan>, Failure> {
        let Some(wanted) = &self.wanted else {
            return Ok(None);
        };
        let asked = match (wanted.arguments, &self.condition) {
            (_, Some(_)) => "--where",
            (true, None) => "--args",
            (false, None) => "--returns",
        };
        let captures = CapturePlan::of(binary, plan, wanted);
        fitting(&wanted.signatures, plan, &captures)?;
        let mut without = 0usize;
        for (function, capture) in plan.functions.iter().zip(&captures.functions) {
            if let Some(obstacle) = capture.obstacle {
                without += 1;
                log::info!("{}: no values: {obstacle}", function.name);
            } else if capture.given {
                log::info!("{}: values as --signature has them", function.name);
            }
        }
        let all = captures.functions.len();
        if without == all {
            let why = captures.functions.iter().find_map(|f| f.obstacle);
            let why = why.map_or("there are none".to_owned(), |why| why.to_string());
            return Err(Failure::failed(format_args!(
                "{asked}: the values of none of the functions can be read: {why}"
            )));
        }
        for name in self.condition.iter().flat_map(Condition::names) {
            let known = captures.functions.iter().any(|function| {
                let values = function.parameters.iter().chain(&function.results);
                values.into_iter().any(|(known, _)| known == name)
            });
            if !known {
                return Err(Failure::failed(format_args!(
                    "--where: none of the functions has a parameter {name} (results: with --returns)"
                )));
            }
        }
        if without > 0 {
            log::warn!(
                "the values of {without} of {all} functions can't be read (-v says which, and why)"
            );
        }
        Ok(Some(captures))
    }
}

/// Whether each signature is that of a function which is measured.
fn fitting(
    signatures: &[GivenSignature],
    plan: &ProbePlan,
    captures: &CapturePlan,
) -> Result<(), Failure> {
    for given in signatures {
        let functions = plan.functions.iter().zip(&captures.functions);
        let mut own = functions
            .filter(|(function, _)| given.is_of(&function.name))
            .map(|(_, capture)| capture.obstacle)
            .peekable();
        let name = given.function();
        if own.peek().is_none() {
            return Err(Failure::failed(format_args!(
                "--signature: none of the functions to be measured is called {name} (goinstr list prints \
                 their names)"
            )));
        }
        if let Some(disagrees @ Unread::Disagrees { .. }) = own.peek().copied().flatten()
            && own.all(|obstacle| matches!(obstacle, Some(Unread::Disagrees { .. })))
        {
            return Err(Failure::failed(format_args!(
                "--signature {name}: {disagrees}"
            )));
        }
    }
    Ok(())
}
