//! What an architecture has to tell about code, so that the rest of `code` needn't know it.

use std::fmt;

/// The bytes of one function and where they stand.
pub(super) struct Code<'a> {
    pub bytes: &'a [u8],
    pub start: u64,
}

impl<'a> Code<'a> {
    pub fn new(bytes: &'a [u8], start: u64) -> Self {
        Self { bytes, start }
    }

    /// Whether `address` lies in the function.
    pub fn contains(&self, address: u64) -> bool {
        // Wraps for an address below the start: then it is larger than any length.
        address.wrapping_sub(self.start) < self.bytes.len() as u64
    }

    /// The bytes of one instruction; empty if the step is not of this function.
    pub fn of(&self, step: &Step) -> &'a [u8] {
        let from = step.at.wrapping_sub(self.start) as usize;
        let to = step.end.wrapping_sub(self.start) as usize;
        self.bytes.get(from..to).unwrap_or(&[])
    }
}

/// Where control goes after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// To the next instruction.
    Next,
    /// To the next instruction, after a call; the callee if it is named in the instruction.
    Call(Option<u64>),
    /// To the next instruction or to this address.
    Branch(u64),
    /// To this address.
    Jump(u64),
    /// Through a table indexed by a register, in the form the Go compiler gives to `switch`.
    Table,
    /// To an address in a register or in memory, otherwise.
    Indirect,
    /// Back to the caller.
    Return,
    /// Nowhere: padding, or an instruction that raises an exception.
    Trap,
}

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Address of its first byte.
    pub at: u64,
    /// Address of the byte after its last.
    pub end: u64,
    pub flow: Flow,
}

/// The comparison of SP with the stack's guard that a function begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StackCheck {
    /// Where the comparison begins: after the load of g, where there is one.
    pub start: u64,
    /// The instruction that runs when there is stack enough.
    pub passed: u64,
    /// The block that runs when there isn't.
    pub failed: u64,
}

/// Why an instruction can't carry the uprobe of a call's begin or end. All but the last are the kernel's reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// amd64: it carries a LOCK prefix.
    Lock,
    /// amd64: it carries a CS, DS, ES or SS segment prefix.
    SegmentPrefix,
    /// amd64: an exchange of RAX with R8, which the kernel takes for a NOP and leaves out.
    Misread,
    /// arm64: the runtime goes back to before it when it preempts the goroutine.
    Restarted,
    /// Its opcode is not on the kernel's list of those that may be executed out of line.
    Opcode,
    /// arm64: an exclusive load or store, whose reservation a single step would lose.
    Exclusive,
    /// arm64: it loads from an address relative to itself, and would load elsewhere out of line.
    Literal,
    /// Both: it is the function's return as well, and nothing lies between a call's begin and its end.
    Return,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lock => "it carries a LOCK prefix",
            Self::SegmentPrefix => "it carries a segment prefix",
            Self::Misread => "the kernel would take it for a NOP and leave it out",
            Self::Restarted => "preemption goes back to before it",
            Self::Opcode => "the kernel doesn't execute it out of line",
            Self::Exclusive => "it is an exclusive load or store",
            Self::Literal => "it loads relative to its own address",
            Self::Return => "the function does nothing but return",
        })
    }
}

/// The questions `code` asks an architecture.
pub(super) trait InstructionSet {
    /// Every instruction of the function from its first byte to its last, padding included, or
    /// the address of the first one that isn't valid. Never skips a byte to find the next one.
    fn walk(code: &Code<'_>) -> Result<Vec<Step>, u64>;

    /// The stack check the function begins with, if it begins with one.
    fn stack_check(code: &Code<'_>) -> Option<StackCheck>;

    /// The first instruction after which the g register may hold something else than g.
    fn loses_g(code: &Code<'_>, steps: &[Step]) -> Option<u64>;

    /// Whether the instruction changes SP.
    fn moves_sp(instruction: &[u8]) -> bool;

    /// Whether the instruction leaves alone what arguments are read from: registers, the stack and
    /// all other memory. Errs on the side of no.
    fn keeps_arguments(instruction: &[u8]) -> bool;

    /// Why the kernel would refuse a probe on the instruction.
    fn refusal(instruction: &[u8]) -> Option<Refusal>;

    /// Whether the instruction is executed several times over by itself: a probe on it is hit each time.
    fn repeats(instruction: &[u8]) -> bool;

    /// Whether the kernel emulates the instruction when it is probed.
    fn emulated(instruction: &[u8]) -> bool;

    /// Whether the kernel writes more than a breakpoint over the instruction when its probe is hit.
    fn rewritten(instruction: &[u8]) -> bool;

    /// Whether the instruction is followed by the next one for certain: it neither branches nor faults.
    fn goes_on(instruction: &[u8]) -> bool;
}
