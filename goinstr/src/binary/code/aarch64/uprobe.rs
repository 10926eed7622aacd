//! What the kernel does with a uprobe on an arm64 instruction (Linux, arch/arm64/kernel/probes).
//!
//! It executes a copy of the instruction elsewhere, one step; what depends on its own address it
//! simulates, and refuses what it can do neither with.

use disarm64::InsnOpcode;
use disarm64::decoder::{InsnId, Opcode};
use disarm64_defn::InsnClass;

use crate::binary::code::isa::Refusal;

/// Why the kernel would refuse a probe on the instruction.
pub(super) fn refusal(opcode: &Opcode) -> Option<Refusal> {
    let bits = opcode.bits();
    match opcode.definition().class {
        InsnClass::LOADLIT => Some(Refusal::Literal),
        InsnClass::EXCEPTION => Some(Refusal::Opcode),
        InsnClass::BRANCH_REG => match opcode.id() {
            InsnId::BR_Rn | InsnId::BLR_Rn | InsnId::RET_Rn => None,
            _ => Some(Refusal::Opcode),
        },
        _ if is_exclusive(bits) => Some(Refusal::Exclusive),
        _ if is_write_of_system_register(bits) || is_hint(bits) && bits != NOP => {
            Some(Refusal::Opcode)
        }
        _ => None,
    }
}

/// Whether the kernel simulates the instruction: jumps, calls, returns, address arithmetic.
pub(super) fn emulated(opcode: &Opcode) -> bool {
    match opcode.definition().class {
        InsnClass::BRANCH_IMM
        | InsnClass::CONDBRANCH
        | InsnClass::COMPBRANCH
        | InsnClass::TESTBRANCH
        | InsnClass::PCRELADDR => true,
        InsnClass::BRANCH_REG => refusal(opcode).is_none(),
        _ => false,
    }
}

/// Load and store exclusive, and compare-and-swap of a pair, which the kernel takes for one.
fn is_exclusive(bits: u32) -> bool {
    bits & 0x3f80_0000 == 0x0800_0000
}

/// `msr` of a register or of an immediate.
fn is_write_of_system_register(bits: u32) -> bool {
    bits & 0xfff0_0000 == 0xd510_0000 || bits & 0xfff8_f01f == 0xd500_401f
}

/// Kernels step NOP and differ in the other hints.
const NOP: u32 = 0xd503_201f;

fn is_hint(bits: u32) -> bool {
    bits & 0xffff_f01f == 0xd503_201f
}
