//! What a function's machine code says: where a call begins and where it ends.
//!
//! In: the bytes of one function and its address. Out: [`CallSites`], or why there are none.
//! The architectures stand in modules of their own.

use super::Vaddr;

/// Where a call of a function can be seen to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntrySite {
    /// Address of the instruction to probe.
    pub address: Vaddr,
    /// Whether it stands after the stack check, so that a restart by `runtime.morestack` doesn't pass it twice.
    pub after_stack_check: bool,
    /// Whether the function's own code branches back to this instruction (hits of one frame are then one call).
    pub reenters: bool,
}

/// Every place that a call of one function passes once at its beginning, and once at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallSites {
    /// Where it begins.
    pub entry: EntrySite,
    /// Address of each return instruction, ascending. Empty: the function never returns
    /// (it loops for ever, exits or panics), its calls end unwound or stay in flight.
    pub exits: Vec<Vaddr>,
}

/// Why a function's calls can't be timed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmeasurable {
    /// The bytes do not decode as instructions from the first to the last; `at` is the first that doesn't.
    Undecodable { at: Vaddr },
    /// It leaves by a jump to another function: at least one of its paths has no return of its own.
    TailCall { at: Vaddr },
    /// It is not Go code (C code linked in, or a marker with no code).
    NotGo,
    /// The instruction to probe carries a LOCK prefix, which the kernel refuses to probe.
    LockPrefix { at: Vaddr },
    /// Assembly that uses the g register for something else, so that the goroutine is unknown at its return.
    ClobbersG { at: Vaddr },
}
