//! amd64, decoded by iced-x86: instructions, their control flow, and what they do to SP and R14.
//!
//! R14 holds g in Go code since 1.17 (cmd/compile/abi-internal.md).

mod stack_check;
mod uprobe;

use iced_x86::{
    Code as Opcode, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory,
    Mnemonic, OpAccess, OpKind, Register,
};

use super::isa::{Code, Flow, InstructionSet, Refusal, StackCheck, Step};

/// Go code on amd64 mostly has instructions of 4 to 5 bytes.
const TYPICAL_LENGTH: usize = 4;

pub(super) struct Amd64;

impl InstructionSet for Amd64 {
    fn walk(code: &Code<'_>) -> Result<Vec<Step>, u64> {
        let mut steps = Vec::with_capacity(code.bytes.len() / TYPICAL_LENGTH);
        let mut decoder = Decoder::with_ip(64, code.bytes, code.start, DecoderOptions::NONE);
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            decoder.decode_out(&mut instruction);
            if instruction.is_invalid() {
                return Err(instruction.ip());
            }
            steps.push(Step {
                at: instruction.ip(),
                end: instruction.next_ip(),
                flow: flow(&instruction),
            });
        }
        Ok(steps)
    }

    fn stack_check(code: &Code<'_>) -> Option<StackCheck> {
        stack_check::find(code)
    }

    fn loses_g(code: &Code<'_>, steps: &[Step]) -> Option<u64> {
        let mut registers = InstructionInfoFactory::new();
        let decoder = Decoder::with_ip(64, code.bytes, code.start, DecoderOptions::NONE);
        let writes = decoder.into_iter().find(|instruction| {
            !is_load_of_g(instruction) && writes(&mut registers, instruction, Register::R14)
        });
        let calls = steps.iter().find(|step| matches!(step.flow, Flow::Call(_)));
        let writes = writes.map(|instruction| instruction.ip());
        writes.into_iter().chain(calls.map(|step| step.at)).min()
    }

    fn moves_sp(instruction: &[u8]) -> bool {
        let decoded = first(instruction);
        writes(&mut InstructionInfoFactory::new(), &decoded, Register::RSP)
    }

    /// What the kernel refuses, mostly atomic and so changing memory, isn't worth to be told apart.
    fn keeps_arguments(_: &[u8]) -> bool {
        false
    }

    fn refusal(instruction: &[u8]) -> Option<Refusal> {
        uprobe::refusal(instruction)
    }

    fn repeats(instruction: &[u8]) -> bool {
        let decoded = first(instruction);
        decoded.has_rep_prefix() || decoded.has_repne_prefix()
    }

    fn emulated(instruction: &[u8]) -> bool {
        uprobe::emulated(&first(instruction))
    }

    fn rewritten(instruction: &[u8]) -> bool {
        uprobe::rewritten(instruction)
    }

    /// What only touches registers, the stack and g.
    fn goes_on(instruction: &[u8]) -> bool {
        let decoded = first(instruction);
        let at_home = matches!(decoded.memory_base(), Register::RSP | Register::R14)
            && decoded.memory_index() == Register::None
            && decoded.memory_segment() != Register::FS
            && decoded.memory_segment() != Register::GS;
        let touches = decoded.op_kinds().any(|kind| kind == OpKind::Memory)
            && !matches!(decoded.mnemonic(), Mnemonic::Lea | Mnemonic::Nop);
        !decoded.is_invalid()
            && flow(&decoded) == Flow::Next
            && (!touches || at_home)
            && decoded.op_kinds().all(is_plain)
            && !decoded.is_privileged()
            && !matches!(
                decoded.mnemonic(),
                Mnemonic::Div | Mnemonic::Idiv | Mnemonic::Syscall
            )
    }
}

/// Registers, constants, and memory by a register: no implied addresses, as string instructions have.
fn is_plain(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::Register
            | OpKind::Memory
            | OpKind::Immediate8
            | OpKind::Immediate8_2nd
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate64
            | OpKind::Immediate8to16
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate32to64
    )
}

fn first(bytes: &[u8]) -> Instruction {
    Decoder::new(64, bytes, DecoderOptions::NONE).decode()
}

fn flow(instruction: &Instruction) -> Flow {
    match instruction.flow_control() {
        FlowControl::Next => match instruction.mnemonic() {
            Mnemonic::Hlt => Flow::Trap,
            _ => Flow::Next,
        },
        FlowControl::UnconditionalBranch => Flow::Jump(instruction.near_branch_target()),
        FlowControl::ConditionalBranch => Flow::Branch(instruction.near_branch_target()),
        FlowControl::IndirectBranch if is_table_jump(instruction) => Flow::Table,
        FlowControl::IndirectBranch => Flow::Indirect,
        FlowControl::Call if instruction.is_call_near() => {
            Flow::Call(Some(instruction.near_branch_target()))
        }
        // SYSCALL and its like: the kernel returns to the next instruction, all registers kept
        // but the ones its convention gives away, R14 not among them.
        FlowControl::Call if instruction.mnemonic() != Mnemonic::Call => Flow::Next,
        FlowControl::Call | FlowControl::IndirectCall => Flow::Call(None),
        FlowControl::Return if instruction.mnemonic() == Mnemonic::Ret => Flow::Return,
        // Far and privileged returns end nowhere that a probe of this function could see.
        FlowControl::Return => Flow::Indirect,
        FlowControl::Interrupt | FlowControl::Exception => Flow::Trap,
        FlowControl::XbeginXabortXend => match instruction.op0_kind() {
            OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64 => {
                Flow::Branch(instruction.near_branch_target())
            }
            _ => Flow::Next,
        },
    }
}

/// `jmp [table + index*8]`: what the compiler makes of a dense `switch` (OpAMD64JUMPTABLE). Its
/// other indirect jumps, the tail calls of wrappers, go through a register or an itab's field.
fn is_table_jump(instruction: &Instruction) -> bool {
    instruction.code() == Opcode::Jmp_rm64
        && instruction.op0_kind() == OpKind::Memory
        && instruction.segment_prefix() == Register::None
        && instruction.memory_base() != Register::None
        && instruction.memory_base() != Register::RIP
        && instruction.memory_index() != Register::None
        && instruction.memory_index_scale() == 8
        && instruction.memory_displacement64() == 0
}

/// `mov r14, fs:…` or `gs:…`: g loaded from thread-local storage, as functions called from C and
/// ABI0 functions do. Afterwards R14 holds g, if it didn't before.
fn is_load_of_g(instruction: &Instruction) -> bool {
    instruction.code() == Opcode::Mov_r64_rm64
        && instruction.op0_register() == Register::R14
        && instruction.op1_kind() == OpKind::Memory
        && matches!(instruction.memory_segment(), Register::FS | Register::GS)
}

fn writes(
    registers: &mut InstructionInfoFactory,
    instruction: &Instruction,
    register: Register,
) -> bool {
    registers
        .info(instruction)
        .used_registers()
        .iter()
        .any(|used| {
            used.register().full_register() == register
                && matches!(
                    used.access(),
                    OpAccess::Write
                        | OpAccess::CondWrite
                        | OpAccess::ReadWrite
                        | OpAccess::ReadCondWrite
                )
        })
}
