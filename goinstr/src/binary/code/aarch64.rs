//! arm64, decoded by disarm64: instructions, their control flow, and what they do to SP and X28.
//!
//! X28 holds g in Go code (cmd/compile/abi-internal.md).
//!
//! Why disarm64: its tables are made from the GNU binutils' own, so it knows every extension (LSE,
//! crypto, SIMD, SVE) and refuses reserved encodings; on the 600,000 words of a Go program it
//! decoded all code and refused 24 of 36 words of data among it, at 110 million words a second.
//! yaxpeax-arm 0.5 decoded the same code at a third of the speed, took 18 of those 24 for
//! instructions, and names SVE among what it doesn't decode. Both are pure Rust, kept up, and
//! free to use (Unlicense or MIT; 0BSD). Encodings: Arm ARM, C4.1.

mod stack_check;
mod uprobe;

use std::collections::BTreeSet;

use disarm64::decoder::{InsnId, Opcode, decode};
use disarm64::{InsnOpcode, InsnOperand};
use disarm64_defn::{InsnClass, InsnOperandKind};

use super::isa::{Code, Flow, InstructionSet, Refusal, StackCheck, Step};

/// Register 28.
const G: u32 = 28;
/// Arguments are in R0 to R15 (cmd/compile/abi-internal.md), and in vector registers, which are not read.
const LAST_ARGUMENT: u32 = 15;
/// Register 31 where an instruction reads it as SP.
const SP: u32 = 31;
/// Bytes of every instruction.
const LENGTH: u64 = 4;

pub(super) struct Aarch64;

impl InstructionSet for Aarch64 {
    /// The assembler puts constants it can't load otherwise between instructions, behind a jump:
    /// words that a literal load before them names are data. Zero words, the padding, are an
    /// instruction (`udf`).
    fn walk(code: &Code<'_>) -> Result<Vec<Step>, u64> {
        let mut steps: Vec<Step> = Vec::with_capacity(code.bytes.len() / LENGTH as usize);
        let mut literals = BTreeSet::new();
        let mut before = None;
        let mut at = code.start;
        for (index, word) in words(code.bytes).enumerate() {
            let Some(word) = word else { return Err(at) };
            let end = at.wrapping_add(LENGTH);
            if literals.contains(&at) {
                // Data that control would fall into is not data: something else is meant.
                if steps.last().is_some_and(|step| falls_through(step, at)) {
                    return Err(at);
                }
            } else if let Some(opcode) = decode(word) {
                note_literal(&opcode, at, &mut literals);
                steps.push(Step {
                    at,
                    end,
                    flow: flow(&opcode, at, before.as_ref()),
                });
                before = Some(opcode);
            } else if is_forgotten_pool(code, &steps, at, index) {
                return Ok(steps);
            } else {
                return Err(at);
            }
            at = end;
        }
        Ok(steps)
    }

    fn stack_check(code: &Code<'_>) -> Option<StackCheck> {
        stack_check::find(code)
    }

    fn loses_g(code: &Code<'_>, steps: &[Step]) -> Option<u64> {
        steps
            .iter()
            .find(|step| {
                matches!(step.flow, Flow::Call(_))
                    || opcode_of(code.of(step)).is_some_and(|opcode| writes_g(&opcode))
            })
            .map(|step| step.at)
    }

    fn moves_sp(instruction: &[u8]) -> bool {
        opcode_of(instruction).is_none_or(|opcode| moves_sp(&opcode))
    }

    fn keeps_arguments(instruction: &[u8]) -> bool {
        opcode_of(instruction).is_some_and(|opcode| keeps_arguments(&opcode))
    }

    fn refusal(instruction: &[u8]) -> Option<Refusal> {
        opcode_of(instruction).map_or(Some(Refusal::Opcode), |opcode| uprobe::refusal(&opcode))
    }

    fn repeats(_: &[u8]) -> bool {
        false
    }

    fn emulated(instruction: &[u8]) -> bool {
        opcode_of(instruction).is_some_and(|opcode| uprobe::emulated(&opcode))
    }

    fn rewritten(_: &[u8]) -> bool {
        false
    }

    /// Not asked of so many kinds that it would pay.
    fn goes_on(_: &[u8]) -> bool {
        false
    }
}

/// Whether the function's code ends before `at`, the word number `index`, and constants follow.
///
/// Assemblers before Go 1.22 also wrote constants that no instruction loads any more, behind the
/// last instruction. They are taken for that only if control can't get there: not from the
/// instruction before, by no branch, and, as no return stands among them, for no purpose.
fn is_forgotten_pool(code: &Code<'_>, steps: &[Step], at: u64, index: usize) -> bool {
    let reached = steps.iter().any(|step| match step.flow {
        Flow::Branch(to) | Flow::Jump(to) => code.contains(to) && to >= at,
        _ => false,
    });
    let entered = steps
        .last()
        .is_none_or(|step| falls_through(step, at) || matches!(step.flow, Flow::Call(_)));
    let mut rest = words(code.bytes).skip(index);
    let returns = rest.any(|word| {
        word.and_then(decode)
            .is_some_and(|opcode| flow(&opcode, at, None) == Flow::Return)
    });
    !reached && !entered && !returns
}

fn falls_through(step: &Step, into: u64) -> bool {
    step.end == into && matches!(step.flow, Flow::Next | Flow::Branch(_))
}

/// The words of the code; None for a rest of fewer than 4 bytes.
fn words(bytes: &[u8]) -> impl Iterator<Item = Option<u32>> + '_ {
    bytes.chunks(LENGTH as usize).map(word)
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_le_bytes)
}

fn opcode_of(instruction: &[u8]) -> Option<Opcode> {
    decode(word(instruction.get(..LENGTH as usize)?)?)
}

/// The words a literal load reads, if they stand after it: the assembler's pools always do.
fn note_literal(opcode: &Opcode, at: u64, literals: &mut BTreeSet<u64>) {
    if opcode.definition().class != InsnClass::LOADLIT {
        return;
    }
    let bits = opcode.bits();
    let vector = field(bits, 26, 1) == 1;
    let count = match (vector, field(bits, 30, 2)) {
        (false, 0 | 2) | (true, 0) => 1,
        (false, 1) | (true, 1) => 2,
        (true, 2) => 4,
        // A prefetch reads nothing.
        _ => return,
    };
    let target = relative(at, bits, 5, 19);
    if target.wrapping_sub(at) < i64::MAX as u64 {
        literals.extend((0..count).map(|word| target.wrapping_add(word * LENGTH)));
    }
}

fn flow(opcode: &Opcode, at: u64, before: Option<&Opcode>) -> Flow {
    let bits = opcode.bits();
    match opcode.definition().class {
        InsnClass::BRANCH_IMM => {
            let target = relative(at, bits, 0, 26);
            match opcode.id() {
                InsnId::BL_ADDR_PCREL26 => Flow::Call(Some(target)),
                _ => Flow::Jump(target),
            }
        }
        InsnClass::CONDBRANCH => Flow::Branch(relative(at, bits, 5, 19)),
        InsnClass::TESTBRANCH => Flow::Branch(relative(at, bits, 5, 14)),
        InsnClass::COMPBRANCH => match opcode.id() {
            InsnId::CBZ_Rt_ADDR_PCREL19 | InsnId::CBNZ_Rt_ADDR_PCREL19 => {
                Flow::Branch(relative(at, bits, 5, 19))
            }
            // Compare-and-branch of Armv9.6.
            _ => Flow::Branch(relative(at, bits, 5, 9)),
        },
        InsnClass::BRANCH_REG => match opcode.id() {
            InsnId::RET_Rn | InsnId::RETAA | InsnId::RETAB => Flow::Return,
            InsnId::BR_Rn if before.is_some_and(|load| is_table_load(load, bits)) => Flow::Table,
            id if is_call(id) => Flow::Call(None),
            _ => Flow::Indirect,
        },
        InsnClass::EXCEPTION => match opcode.id() {
            InsnId::SVC_EXCEPTION => Flow::Next,
            _ => Flow::Trap,
        },
        _ => match opcode.id() {
            InsnId::UDF_UNDEFINED => Flow::Trap,
            _ => Flow::Next,
        },
    }
}

fn is_call(id: InsnId) -> bool {
    matches!(
        id,
        InsnId::BLR_Rn
            | InsnId::BLRAA_Rn_Rd_SP
            | InsnId::BLRAAZ_Rn
            | InsnId::BLRAB_Rn_Rd_SP
            | InsnId::BLRABZ_Rn
    )
}

/// `ldr xN, [table, index, lsl #3]` right before `br xN`: what the compiler makes of a dense
/// `switch` (OpARM64JUMPTABLE). Tail calls of wrappers load from an itab's field instead.
fn is_table_load(load: &Opcode, branch: u32) -> bool {
    const LDR_X_LSL_3: u32 = 0xf860_7800;
    const FIXED: u32 = 0xffe0_fc00;
    load.bits() & FIXED == LDR_X_LSL_3 && field(load.bits(), 0, 5) == field(branch, 5, 5)
}

/// Whether the instruction may write X28. Errs on the side of yes.
fn writes_g(opcode: &Opcode) -> bool {
    let store = opcode.definition().mnemonic.starts_with("st");
    let bits = opcode.bits();
    opcode
        .definition()
        .operands
        .iter()
        .any(|operand| match operand.kind {
            InsnOperandKind::Rd | InsnOperandKind::Rd_SP => field(bits, 0, 5) == G,
            InsnOperandKind::Rt if !store => field(bits, 0, 5) == G,
            InsnOperandKind::Rt2 if !store => field(bits, 10, 5) == G,
            InsnOperandKind::Rs => field(bits, 16, 5) == G,
            _ => is_written_back(operand, bits) && field(bits, 5, 5) == G,
        })
}

fn moves_sp(opcode: &Opcode) -> bool {
    let bits = opcode.bits();
    opcode
        .definition()
        .operands
        .iter()
        .any(|operand| match operand.kind {
            InsnOperandKind::Rd_SP => field(bits, 0, 5) == SP,
            _ => is_written_back(operand, bits) && field(bits, 5, 5) == SP,
        })
}

/// Whether all that the instruction writes is a register that carries no argument, as the assembler's own are:
/// R16, R17, R20, R27.
fn keeps_arguments(opcode: &Opcode) -> bool {
    let bits = opcode.bits();
    // Data processing of immediates (100x) or registers (x101) writes its Rd alone.
    let processes = matches!(field(bits, 25, 4), 0b1000 | 0b1001 | 0b0101 | 0b1101);
    processes && field(bits, 0, 5) > LAST_ARGUMENT
}

/// Whether the operand is an address whose base register may be changed: before or after the access.
fn is_written_back(operand: &InsnOperand, bits: u32) -> bool {
    match operand.kind {
        // Loads and stores of pairs: 01 after, 11 before; others: the same in the lowest bits.
        InsnOperandKind::ADDR_SIMM7 => field(bits, 23, 1) == 1,
        InsnOperandKind::ADDR_SIMM9 | InsnOperandKind::ADDR_SIMM10 => field(bits, 10, 1) == 1,
        InsnOperandKind::ADDR_SIMM11 | InsnOperandKind::ADDR_SIMM13 => true,
        InsnOperandKind::SIMD_ADDR_POST => true,
        _ => false,
    }
}

/// `width` bits from bit `lowest` on.
fn field(bits: u32, lowest: u32, width: u32) -> u32 {
    (bits >> lowest) & ((1 << width) - 1)
}

/// `at` plus the signed count of words in the field.
fn relative(at: u64, bits: u32, lowest: u32, width: u32) -> u64 {
    let unused = 32 - width;
    let words = ((field(bits, lowest, width) << unused) as i32) >> unused;
    at.wrapping_add_signed(i64::from(words) * LENGTH as i64)
}
