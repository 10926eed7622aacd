//! How a function's code leaves it: its returns, and the jumps that end in another function.

use super::isa::{Code, Flow, InstructionSet, Step};
use super::{FunctionFacts, Unmeasurable, refused};
use crate::binary::Vaddr;

/// The first jump, conditional or not, that ends outside the function.
///
/// An indirect jump counts, unless it is a compiled `switch`: the compiler emits the table form
/// for nothing else, and the table holds blocks of this function only (OpJumpTable of
/// cmd/compile/internal/ssa, since Go 1.19). Assembly may put anything in a table.
pub(super) fn tail_jump(code: &Code<'_>, steps: &[Step], facts: &FunctionFacts) -> Option<u64> {
    let leaves = |step: &&Step| match step.flow {
        Flow::Branch(to) | Flow::Jump(to) => !code.contains(to),
        Flow::Indirect => true,
        Flow::Table => facts.assembly,
        Flow::Next | Flow::Call(_) | Flow::Return | Flow::Trap => false,
    };
    steps.iter().find(leaves).map(|step| step.at)
}

/// Address of every return instruction, ascending.
pub(super) fn returns<I: InstructionSet>(
    code: &Code<'_>,
    steps: &[Step],
) -> Result<Vec<Vaddr>, Unmeasurable> {
    steps
        .iter()
        .filter(|step| step.flow == Flow::Return)
        .map(|step| match I::refusal(code.of(step)) {
            Some(why) => Err(refused(step.at, why)),
            None => Ok(Vaddr(step.at)),
        })
        .collect()
}
