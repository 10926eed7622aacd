//! Why there is no plan.

use thiserror::Error;

use super::Skipped;
use crate::binary::BinaryError;

/// Why there is no plan. Each message is one line: what, on what, what to do next.
#[derive(Debug, Error)]
pub enum PlanError {
    /// A pattern matches no function of the binary.
    #[error("no function matches {pattern:?}{}", suggestion(.nearest))]
    NoSuchFunction {
        /// As it was typed, without its `!`.
        pattern: String,
        /// The nearest names there are, best first.
        nearest: Vec<String>,
    },
    /// The patterns that take away left nothing.
    #[error(
        "the patterns with ! take away every function that those before them chose: choose more, or take away less"
    )]
    AllTakenAway,
    /// No pattern was given, and the binary doesn't say which packages are its own, or has no code of theirs.
    #[error(
        "no function of the binary's main module was found: say which functions, `goinstr list` with '*' shows all"
    )]
    NoDefault,
    /// The binary doesn't say what a plan needs.
    #[error(transparent)]
    Binary(#[from] BinaryError),
    /// Functions were chosen, and none of them can be measured.
    #[error("{}", unmeasurable(.skipped))]
    NothingMeasurable {
        /// Each with its reason.
        skipped: Vec<Skipped>,
    },
}

fn suggestion(nearest: &[String]) -> String {
    if nearest.is_empty() {
        return "; `goinstr list` with '*' shows every function there is".to_owned();
    }
    format!(
        "; nearest: {} (quote names for the shell)",
        nearest.join(", ")
    )
}

fn unmeasurable(skipped: &[Skipped]) -> String {
    match skipped {
        [] => "none of the chosen functions can be measured".to_owned(),
        [only] => format!("{} can't be measured: {}", only.function, only.detail),
        [first, ..] => format!(
            "none of the {} chosen functions can be measured: {}: {}; `goinstr list --unmeasurable` tells why for each",
            skipped.len(),
            first.function,
            first.detail
        ),
    }
}
