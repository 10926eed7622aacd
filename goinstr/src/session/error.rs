//! Why a measurement failed.

use std::io;

use thiserror::Error;

use crate::{attach::AttachError, target::TargetError};

/// Why a measurement failed.
#[derive(Debug, Error)]
pub enum SessionError {
    /// The probes could not be armed.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The process could not be watched.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// No function is left that could be measured within the budget.
    #[error("nothing can be measured within the budget: {function}: {detail}")]
    OverBudget {
        /// The least costly of them.
        function: String,
        /// Its rate, and what it would cost.
        detail: String,
    },
    /// No function is left with which a tree of calls may begin.
    #[error("none of the roots can be traced within the budget: {function}: {detail}")]
    RootsOverBudget {
        /// The least costly of them.
        function: String,
        /// Its rate, and what it would cost.
        detail: String,
    },
    /// The goroutines could not be read.
    #[error("{0}")]
    Unseen(String),
    /// What was measured could not be written. The probes are gone all the same.
    #[error("can't write the output: {0}; the measurement was ended")]
    Output(io::Error),
    /// goinstr could not wait for what it has to wait for.
    #[error("can't set up goinstr's own event loop: {0}")]
    Runtime(io::Error),
    /// A thread of goinstr's own can't be started.
    #[error(
        "can't start a thread: {0}; raise the limit of processes (ulimit -u, or pids.max of the control group)"
    )]
    Thread(io::Error),
}
