//! What a function's machine code says: where a call begins and where it ends.
//!
//! In: the bytes of one function, its address, and what pclntab says of it. Out: [`CallSites`], or
//! why there are none. `isa` is what an architecture has to tell, `amd64` and `aarch64` tell it,
//! `entry` and `leave` decide from it. Nothing here reads anything but its arguments, so functions
//! can be decoded in parallel.

mod aarch64;
mod amd64;
mod blocks;
mod entry;
mod isa;
mod leave;

pub use blocks::{Block, Blocks};
pub use isa::Refusal;

use std::ops::Range;

use super::{Arch, Vaddr};
use aarch64::Aarch64;
use amd64::Amd64;
use isa::{Code, Flow, InstructionSet, Step};

/// Where a call of a function can be seen to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntrySite {
    /// Address of the instruction to probe. It runs with SP as it was at the first byte.
    pub address: Vaddr,
    /// Whether it stands after the stack check, so that a restart by `runtime.morestack` doesn't pass it twice.
    pub after_stack_check: bool,
    /// Whether the function's own code branches back to this instruction (hits of one frame are then one call).
    pub reenters: bool,
    /// Whether arguments are what they were at the first byte: of the function's own instructions none
    /// was passed over that could change one.
    pub keeps_arguments: bool,
}

/// Every place that a call of one function passes once at its beginning, and once at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallSites {
    /// Where it begins. Never one of `exits`.
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
    /// The instruction at `at` can't be probed, for another reason than a LOCK prefix.
    Unprobeable { at: Vaddr, why: Refusal },
    /// Assembly that may use the g register for something else (it writes it, or calls code that
    /// may), so that the goroutine is unknown at its return.
    ClobbersG { at: Vaddr },
}

/// What pclntab knows of a function and its bytes don't tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionFacts {
    /// Written in assembly (`funcFlagAsm`): the compiler's promises about the g register and about
    /// indirect jumps don't hold.
    pub assembly: bool,
    /// Addresses of sequences of instructions that run again from their beginning when the runtime
    /// preempts the goroutine within them, ascending. arm64 has them, amd64 has none.
    pub restartable: Vec<Range<u64>>,
}

/// Where calls of the function begin and end.
///
/// `bytes` are the whole function, from its entry at `address` to the entry of the next one,
/// padding included. Errors say why the function can't be measured.
pub fn call_sites(
    arch: Arch,
    bytes: &[u8],
    address: Vaddr,
    facts: &FunctionFacts,
) -> Result<CallSites, Unmeasurable> {
    let code = Code::new(bytes, address.0);
    match arch {
        Arch::X86_64 => sites_of::<Amd64>(&code, facts),
        Arch::Aarch64 => sites_of::<Aarch64>(&code, facts),
    }
}

/// Where the function can be seen to begin, also where its end can't be seen.
///
/// `bytes` and `address` as for [`call_sites`]. Errors say why it can't.
pub fn entry(arch: Arch, bytes: &[u8], address: Vaddr) -> Result<Vaddr, Unmeasurable> {
    let code = Code::new(bytes, address.0);
    match arch {
        Arch::X86_64 => blocks::entry_of::<Amd64>(&code, &walk::<Amd64>(&code)?),
        Arch::Aarch64 => blocks::entry_of::<Aarch64>(&code, &walk::<Aarch64>(&code)?),
    }
}

/// The basic blocks of the function.
///
/// `bytes` and `address` as for [`call_sites`]. `leaders` are further addresses at which a block
/// shall begin; the first `resumed` of them are come to in other ways than by jumps (a recovered
/// panic resumes there).
pub fn blocks(
    arch: Arch,
    bytes: &[u8],
    address: Vaddr,
    leaders: &[u64],
    resumed: usize,
) -> Result<Blocks, Unmeasurable> {
    let code = Code::new(bytes, address.0);
    match arch {
        Arch::X86_64 => blocks::blocks::<Amd64>(&code, &walk::<Amd64>(&code)?, leaders, resumed),
        Arch::Aarch64 => {
            blocks::blocks::<Aarch64>(&code, &walk::<Aarch64>(&code)?, leaders, resumed)
        }
    }
}

/// Address of the first instruction of the function that calls `target` directly.
///
/// `bytes` and `address` as for [`call_sites`]. None too if the bytes don't decode.
pub fn find_call(arch: Arch, bytes: &[u8], address: Vaddr, target: Vaddr) -> Option<Vaddr> {
    let code = Code::new(bytes, address.0);
    let steps = match arch {
        Arch::X86_64 => Amd64::walk(&code),
        Arch::Aarch64 => Aarch64::walk(&code),
    }
    .ok()?;
    steps
        .iter()
        .find(|step| step.flow == Flow::Call(Some(target.0)))
        .map(|step| Vaddr(step.at))
}

/// Whether the kernel emulates the instruction at the start of `bytes` when it is probed, instead
/// of executing a copy of it with a single step: the hit is then several times cheaper.
pub fn emulated(arch: Arch, bytes: &[u8]) -> bool {
    match arch {
        Arch::X86_64 => Amd64::emulated(bytes),
        Arch::Aarch64 => Aarch64::emulated(bytes),
    }
}

fn sites_of<I: InstructionSet>(
    code: &Code<'_>,
    facts: &FunctionFacts,
) -> Result<CallSites, Unmeasurable> {
    let steps = walk::<I>(code)?;
    if facts.assembly
        && let Some(at) = I::loses_g(code, &steps)
    {
        return Err(Unmeasurable::ClobbersG { at: Vaddr(at) });
    }
    if let Some(at) = leave::tail_jump(code, &steps, facts) {
        return Err(Unmeasurable::TailCall { at: Vaddr(at) });
    }
    let exits = leave::returns::<I>(code, &steps)?;
    let entry = entry::site::<I>(code, &steps, &facts.restartable)?;
    Ok(CallSites { entry, exits })
}

/// All instructions.
fn walk<I: InstructionSet>(code: &Code<'_>) -> Result<Vec<Step>, Unmeasurable> {
    let steps = I::walk(code).map_err(|at| Unmeasurable::Undecodable { at: Vaddr(at) })?;
    if steps.iter().all(|step| step.flow == Flow::Trap) {
        return Err(Unmeasurable::NotGo);
    }
    Ok(steps)
}

fn refused(at: u64, why: Refusal) -> Unmeasurable {
    let at = Vaddr(at);
    match why {
        Refusal::Lock => Unmeasurable::LockPrefix { at },
        why => Unmeasurable::Unprobeable { at, why },
    }
}

#[cfg(test)]
mod tests;
