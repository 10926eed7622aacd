//! Which instruction a call passes exactly once at its beginning.
//!
//! After the stack check where there is one: when the check fails, `runtime.morestack` moves the
//! stack and the function starts again from its first byte, so that a probe there would count the
//! call twice. Otherwise at the first byte, or at the end of a sequence there that preemption restarts.

use std::ops::Range;

use super::isa::{Code, Flow, InstructionSet, Refusal, StackCheck, Step};
use super::{EntrySite, Unmeasurable, refused};
use crate::binary::Vaddr;

/// The block that calls morestack stores up to 9 integer and 15 float argument registers before
/// the call and loads them again after it; on amd64 nothing more, on arm64 also the link register.
const MAX_RESTART_STEPS: usize = 64;

/// A first instruction that can't be probed is a handful of vector or atomic instructions at most.
const MAX_MOVES: usize = 8;

/// Where to probe the beginning of a call.
pub(super) fn site<I: InstructionSet>(
    code: &Code<'_>,
    steps: &[Step],
    restartable: &[Range<u64>],
) -> Result<EntrySite, Unmeasurable> {
    let begin = begin::<I>(code, steps);
    let mut chosen = probeable::<I>(code, steps, begin.at)?;
    // A restart passes every instruction of the sequence again, except for the last.
    while let Some(step) = steps.get(chosen)
        && let Some(sequence) = restartable
            .iter()
            .find(|sequence| sequence.contains(&step.at))
        && step.end < sequence.end
    {
        if step.flow != Flow::Next || I::moves_sp(code.of(step)) || chosen + 1 >= steps.len() {
            return Err(refused(steps[begin.at].at, Refusal::Restarted));
        }
        chosen = probeable::<I>(code, steps, chosen + 1)?;
    }
    if steps[chosen].flow == Flow::Return {
        // Two probes on one instruction run in an order that isn't ours to choose.
        let why = I::refusal(code.of(&steps[begin.at])).unwrap_or(Refusal::Return);
        return Err(refused(steps[begin.at].at, why));
    }
    let passed = steps.get(begin.at..chosen).unwrap_or_default();
    Ok(EntrySite {
        address: Vaddr(steps[chosen].at),
        after_stack_check: begin.checked,
        reenters: reenters::<I>(code, steps, chosen, begin.restarts),
        keeps_arguments: passed.iter().all(|step| I::keeps_arguments(code.of(step))),
    })
}

/// Where a call begins.
pub(super) struct Begin {
    /// Index of the instruction: the first, or the one that runs when there is stack enough.
    pub at: usize,
    /// Whether a stack check stands before it.
    checked: bool,
    /// Indices of the block that calls morestack and jumps back; empty without a check.
    pub restarts: Range<usize>,
}

/// Where a call begins, whether or not that can be probed.
pub(super) fn begin<I: InstructionSet>(code: &Code<'_>, steps: &[Step]) -> Begin {
    let check = I::stack_check(code).and_then(|check| verified(code, steps, check));
    Begin {
        at: check.as_ref().map_or(0, |check| check.passed),
        checked: check.is_some(),
        restarts: check.map_or(0..0, |check| check.restart),
    }
}

/// A stack check whose failure is known to start the function again.
struct Verified {
    /// Index of the instruction that runs when there is stack enough.
    passed: usize,
    /// Indices of the block that calls morestack and jumps back.
    restart: Range<usize>,
}

/// A bounds check may look like a stack check. What makes it one is the block it branches to: in
/// a straight line to one call, and from there to a jump back to the beginning.
fn verified(code: &Code<'_>, steps: &[Step], check: StackCheck) -> Option<Verified> {
    let passed = index(steps, check.passed)?;
    let failed = index(steps, check.failed)?;
    let mut called = false;
    for (offset, step) in steps[failed..].iter().take(MAX_RESTART_STEPS).enumerate() {
        match step.flow {
            Flow::Next => {}
            Flow::Call(Some(_)) if !called => called = true,
            Flow::Jump(to) if called && (to == code.start || to == check.start) => {
                return Some(Verified {
                    passed,
                    restart: failed..failed + offset + 1,
                });
            }
            _ => return None,
        }
    }
    None
}

/// The first instruction from `wanted` on that the kernel lets be probed. Only instructions that
/// every call runs through, once and with SP unchanged, are passed over.
///
/// A call that faults in an instruction passed over (a nil pointer) is not seen to begin.
pub(super) fn probeable<I: InstructionSet>(
    code: &Code<'_>,
    steps: &[Step],
    wanted: usize,
) -> Result<usize, Unmeasurable> {
    let mut chosen = wanted;
    while let Some(why) = I::refusal(code.of(&steps[chosen])) {
        let step = &steps[chosen];
        let last = chosen + 1 >= steps.len() || chosen - wanted >= MAX_MOVES;
        if last || step.flow != Flow::Next || I::moves_sp(code.of(step)) {
            return Err(refused(steps[wanted].at, why));
        }
        chosen += 1;
    }
    Ok(chosen)
}

/// Whether code of the function other than the restart leads to the chosen instruction again.
fn reenters<I: InstructionSet>(
    code: &Code<'_>,
    steps: &[Step],
    chosen: usize,
    restarts: Range<usize>,
) -> bool {
    let beginning = code.start..=steps[chosen].at;
    // Where a table leads isn't known here. Not to the set-up of the frame, which follows a stack
    // check, nor to an instruction that changes SP: a second pass would leave the stack unbalanced.
    let table_may = restarts.is_empty() && !I::moves_sp(code.of(&steps[chosen]));
    steps.iter().enumerate().any(|(at, step)| match step.flow {
        Flow::Branch(to) | Flow::Jump(to) => beginning.contains(&to) && !restarts.contains(&at),
        Flow::Table => table_may,
        _ => false,
    })
}

/// Index of the instruction that begins at `address`.
fn index(steps: &[Step], address: u64) -> Option<usize> {
    steps.binary_search_by_key(&address, |step| step.at).ok()
}
