//! The stack check a Go function begins with on arm64 (cmd/internal/obj/arm64, `stacksplit`).
//!
//! `ldr x16, [x28, #guard]`, with `guard` 16, or 24 in functions that run on the system stack, and
//! by frame size:
//!
//! 1. small: `cmp sp, x16; b.ls`, before Go 1.19 `mov x17, sp; cmp x17, x16; b.ls`
//! 2. large: `sub x17, sp, #N; cmp x17, x16; b.ls`
//! 3. huge: `subs x17, sp, #N` or `mov x27, #N…; subs x17, sp, x27`, then `b.lo; cmp x17, x16; b.ls`
//!
//! Before Go 1.18 x1 and x2 stand for x16 and x17.

use super::{LENGTH, field, relative, words};
use crate::binary::code::isa::{Code, StackCheck};

/// `ldr xT, [x28, #16]` and `#24`: `g.stackguard0` and `g.stackguard1`.
const LOADS: [u32; 2] = [0xf940_0b80, 0xf940_0f80];
/// Register of the guard, and of the compared SP - N.
const PAIRS: [(u32, u32); 2] = [(16, 17), (1, 2)];
/// Longest form: the load, 4 moves, `subs`, `b.lo`, `cmp`, `b.ls`.
const LONGEST: usize = 9;

const LOWER: u32 = 3;
const LOWER_OR_SAME: u32 = 9;

/// The check the code begins with. Whether its failure restarts the function is not looked at.
pub(super) fn find(code: &Code<'_>) -> Option<StackCheck> {
    let mut cursor = Cursor {
        words: words(code.bytes)
            .take(LONGEST)
            .map_while(|word| word)
            .collect(),
        next: 0,
        start: code.start,
    };
    let load = cursor.take()?;
    let (guard, below) = PAIRS
        .into_iter()
        .find(|(guard, _)| LOADS.iter().any(|form| load == form | guard))?;

    let mut word = cursor.take()?;
    let mut wrapped = None;
    if is_compare_of_sp(word, guard) {
        return cursor.finish(None);
    }
    if is_sub_from_sp(word, below) || is_copy_of_sp(word, below) {
        word = cursor.take()?;
    } else {
        while is_move_to_scratch(word) {
            word = cursor.take()?;
        }
        if !is_subs_from_sp(word, below) {
            return None;
        }
        wrapped = Some(cursor.branch(LOWER)?);
        word = cursor.take()?;
    }
    if !is_compare(word, below, guard) {
        return None;
    }
    cursor.finish(wrapped)
}

struct Cursor {
    words: Vec<u32>,
    next: usize,
    start: u64,
}

impl Cursor {
    fn take(&mut self) -> Option<u32> {
        let word = self.words.get(self.next).copied();
        self.next += 1;
        word
    }

    /// Target of the next instruction, if it is a branch on this condition.
    fn branch(&mut self, condition: u32) -> Option<u64> {
        let at = self.address();
        let word = self.take()?;
        (word & 0xff00_001f == 0x5400_0000 | condition).then(|| relative(at, word, 5, 19))
    }

    fn address(&self) -> u64 {
        self.start.wrapping_add(self.next as u64 * LENGTH)
    }

    fn finish(mut self, wrapped: Option<u64>) -> Option<StackCheck> {
        let failed = self.branch(LOWER_OR_SAME)?;
        if wrapped.is_some_and(|target| target != failed) {
            return None;
        }
        Some(StackCheck {
            start: self.start,
            passed: self.address(),
            failed,
        })
    }
}

/// `cmp sp, xM`
fn is_compare_of_sp(word: u32, guard: u32) -> bool {
    word == 0xeb20_63ff | guard << 16
}

/// `cmp xN, xM`
fn is_compare(word: u32, below: u32, guard: u32) -> bool {
    word == 0xeb00_001f | guard << 16 | below << 5
}

/// `mov xD, sp`
fn is_copy_of_sp(word: u32, below: u32) -> bool {
    word == 0x9100_03e0 | below
}

/// `sub xD, sp, #N`, N shifted or not
fn is_sub_from_sp(word: u32, below: u32) -> bool {
    word & 0xff80_03ff == 0xd100_03e0 | below
}

/// `subs xD, sp, #N` or `subs xD, sp, x27`
fn is_subs_from_sp(word: u32, below: u32) -> bool {
    word & 0xff80_03ff == 0xf100_03e0 | below || word == 0xeb3b_63e0 | below
}

/// `movz`, `movn`, `movk`, or `orr` of a bit pattern, to x27
fn is_move_to_scratch(word: u32) -> bool {
    let wide = field(word, 23, 6) == 0b10_0101 && word >> 31 == 1 && field(word, 29, 2) != 1;
    let pattern = word & 0xff80_03e0 == 0xb200_03e0;
    field(word, 0, 5) == 27 && (wide || pattern)
}
