//! What was seen open in a process, at one moment.

use crate::binary::GoroutineState;

/// What was seen open in a process.
#[derive(Clone, Debug)]
pub struct Inflight {
    /// The process.
    pub pid: u32,
    /// When, ns since the Unix epoch.
    pub unix_ns: u64,
    /// Goroutines alive.
    pub goroutines: usize,
    /// Goroutines that changed whenever they were looked at; they are not shown.
    pub torn: usize,
    /// Those that are in the functions asked for.
    pub shown: Vec<OpenStack>,
}

/// A goroutine with open calls.
#[derive(Clone, Debug)]
pub struct OpenStack {
    /// Its state and stack.
    pub goroutine: GoroutineState,
    /// The calls of the functions asked for, innermost first.
    pub calls: Vec<String>,
    /// It has waited at least so long, where the runtime tells.
    pub waits_ns: Option<u64>,
}
