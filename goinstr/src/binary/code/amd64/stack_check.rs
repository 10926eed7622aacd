//! The stack check a Go function begins with on amd64 (cmd/internal/obj/x86, `stacksplit`).
//!
//! By frame size, with `guard` at 0x10 in g, or at 0x18 in functions that run on the system stack:
//!
//! 1. small: `cmp rsp, [r14+guard]; jbe`
//! 2. large: `lea r12, [rsp-N]; cmp r12, [r14+guard]; jbe`
//! 3. huge: `mov r12, rsp; sub r12, N; jb; cmp r12, [r14+guard]; jbe`
//!
//! Each may stand after a load of g from thread-local storage: `mov r14, fs:…`, where the offset is
//! not a constant (shared objects) after `mov reg, [rip+…]`. A C linker that knows the offset after
//! all, that of a position-independent executable, makes the latter `mov reg, offset`.

use iced_x86::{Code as Opcode, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use super::is_load_of_g;
use crate::binary::code::isa::{Code, StackCheck};

/// Offsets of `g.stackguard0` and `g.stackguard1`, the same since Go 1.17.
const GUARDS: [u64; 2] = [0x10, 0x18];

/// The check the code begins with. Whether its failure restarts the function is not looked at.
pub(super) fn find(code: &Code<'_>) -> Option<StackCheck> {
    let mut decoder = Decoder::with_ip(64, code.bytes, code.start, DecoderOptions::NONE);
    let mut next = || {
        let instruction = decoder.decode();
        (!instruction.is_invalid()).then_some(instruction)
    };

    let mut instruction = next()?;
    if is_load_of_tls_offset(&instruction) {
        instruction = next()?;
        if !is_load_of_g(&instruction) {
            return None;
        }
    }
    if is_load_of_g(&instruction) {
        instruction = next()?;
    }

    let start = instruction.ip();
    let mut wrapped = None;
    let mut compared = Register::RSP;
    if is_lea_below_sp(&instruction) {
        compared = Register::R12;
        instruction = next()?;
    } else if is_move(&instruction, Register::R12, Register::RSP) {
        compared = Register::R12;
        if !is_sub_immediate(&next()?, Register::R12) {
            return None;
        }
        let branch = next()?;
        if branch.mnemonic() != Mnemonic::Jb {
            return None;
        }
        wrapped = Some(branch.near_branch_target());
        instruction = next()?;
    }
    if !is_compare_with_guard(&instruction, compared) {
        return None;
    }
    let branch = next()?;
    if branch.mnemonic() != Mnemonic::Jbe {
        return None;
    }
    let failed = branch.near_branch_target();
    if wrapped.is_some_and(|target| target != failed) {
        return None;
    }
    Some(StackCheck {
        start,
        passed: branch.next_ip(),
        failed,
    })
}

fn is_load_of_tls_offset(instruction: &Instruction) -> bool {
    match instruction.code() {
        Opcode::Mov_r64_rm64 => instruction.is_ip_rel_memory_operand(),
        Opcode::Mov_rm64_imm32 => instruction.op0_register() == Register::R14,
        _ => false,
    }
}

fn is_lea_below_sp(instruction: &Instruction) -> bool {
    instruction.code() == Opcode::Lea_r64_m
        && instruction.op0_register() == Register::R12
        && instruction.memory_base() == Register::RSP
        && instruction.memory_index() == Register::None
        && (instruction.memory_displacement64() as i64) < 0
}

fn is_move(instruction: &Instruction, to: Register, from: Register) -> bool {
    matches!(
        instruction.code(),
        Opcode::Mov_r64_rm64 | Opcode::Mov_rm64_r64
    ) && instruction.op0_register() == to
        && instruction.op1_kind() == OpKind::Register
        && instruction.op1_register() == from
}

fn is_sub_immediate(instruction: &Instruction, register: Register) -> bool {
    matches!(
        instruction.code(),
        Opcode::Sub_rm64_imm32 | Opcode::Sub_rm64_imm8
    ) && instruction.op0_register() == register
}

fn is_compare_with_guard(instruction: &Instruction, compared: Register) -> bool {
    instruction.code() == Opcode::Cmp_r64_rm64
        && instruction.op0_register() == compared
        && instruction.op1_kind() == OpKind::Memory
        && instruction.memory_base() == Register::R14
        && instruction.memory_index() == Register::None
        && instruction.segment_prefix() == Register::None
        && GUARDS.contains(&instruction.memory_displacement64())
}
