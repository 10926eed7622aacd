//! What the kernel does with a uprobe on an amd64 instruction (Linux, arch/x86/kernel/uprobes.c).
//!
//! It executes a copy of the instruction elsewhere, one step, and keeps lists of the opcodes it
//! believes that to be safe for; a few it emulates. Kernels differ a little in the lists; an
//! opcode is refused here if any of them refuses it.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use crate::binary::code::isa::Refusal;

/// Why the kernel would refuse a probe on the (valid) instruction.
pub(super) fn refusal(instruction: &[u8]) -> Option<Refusal> {
    let mut rest = instruction;
    loop {
        match rest {
            [0xf0, ..] => return Some(Refusal::Lock),
            [0x26 | 0x2e | 0x36 | 0x3e, ..] => return Some(Refusal::SegmentPrefix),
            // `xchg rax, r8`: its opcode is NOP's, and the kernel looks at nothing else
            // (`branch_setup_xol_ops`). Emulated as a NOP, it corrupts the program that runs it:
            // up to Go 1.20 runtime.gcWriteBarrierR8 begins with one.
            [
                0x41 | 0x43 | 0x45 | 0x47 | 0x49 | 0x4b | 0x4d | 0x4f,
                0x90,
                ..,
            ] => {
                return Some(Refusal::Misread);
            }
            [0x64..=0x67 | 0xf2 | 0xf3 | 0x40..=0x4f, after @ ..] => rest = after,
            // The opcode after a VEX prefix is looked up as if it were one byte alone.
            [0xc5, _, opcode, ..] | [0xc4, _, _, opcode, ..] | [0x62, _, _, _, opcode, ..] => {
                return refused_one_byte(*opcode).then_some(Refusal::Opcode);
            }
            // Opcodes of three bytes are on no list.
            [0x0f, 0x38 | 0x3a, ..] => return Some(Refusal::Opcode),
            [0x0f, opcode, ..] => return refused_two_byte(*opcode).then_some(Refusal::Opcode),
            [opcode, ..] => return refused_one_byte(*opcode).then_some(Refusal::Opcode),
            [] => return Some(Refusal::Opcode),
        }
    }
}

/// Segment pushes and pops, BCD, bounds, port I/O, far and software interrupts, HLT, CLI, STI.
fn refused_one_byte(opcode: u8) -> bool {
    matches!(
        opcode,
        0x06 | 0x07
            | 0x0e
            | 0x0f
            | 0x16
            | 0x17
            | 0x1e
            | 0x1f
            | 0x26
            | 0x27
            | 0x2e
            | 0x2f
            | 0x36
            | 0x37
            | 0x3e
            | 0x3f
            | 0x40..=0x4f
            | 0x60..=0x62
            | 0x66
            | 0x67
            | 0x6c..=0x6f
            | 0x82
            | 0xc4
            | 0xc5
            | 0xcc..=0xcf
            | 0xd4..=0xd6
            | 0xe4..=0xe7
            | 0xec..=0xf1
            | 0xf4
            | 0xfa
            | 0xfb
    )
}

/// System instructions, prefetches, fences, population count.
fn refused_two_byte(opcode: u8) -> bool {
    matches!(
        opcode,
        0x00..=0x0e
            | 0x18
            | 0x20..=0x27
            | 0x30..=0x3f
            | 0x78..=0x7d
            | 0xa6
            | 0xa7
            | 0xae
            | 0xb8
            | 0xb9
            | 0xd0
            | 0xf0
            | 0xff
    )
}

/// Whether the kernel emulates the instruction: pushes of a register, NOPs, relative calls and jumps.
pub(super) fn emulated(instruction: &Instruction) -> bool {
    match instruction.mnemonic() {
        Mnemonic::Push => {
            instruction.op0_kind() == OpKind::Register
                && instruction.op0_register().is_gpr64()
                && instruction.op0_register() != Register::None
        }
        Mnemonic::Nop => true,
        Mnemonic::Call => instruction.is_call_near(),
        Mnemonic::Jmp => instruction.is_jmp_short_or_near(),
        _ => instruction.is_jcc_short_or_near(),
    }
}

/// Linux 6.18 and later replace a NOP of five bytes by a call as soon as its probe is hit
/// (`arch_uprobe_optimize`): a page of code of the kernel's comes into the process, and stays.
pub(super) fn rewritten(instruction: &[u8]) -> bool {
    matches!(instruction, [0x0f, 0x1f, _, _, _])
}
