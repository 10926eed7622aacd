//! The log-linear histogram: how a duration maps to a block and a slot.
//!
//! Values below 64 have a slot each; above, each power of two is cut into 64 slots of equal
//! width, so a slot is at most 1/64 (1.6 %) of its lower edge wide.
//!
//! A function's slots of one power of two stand together in a *block* of the map `HIST_BLOCKS`,
//! taken when the first duration falls into it. The map `HIST_DIR` says which block: element
//! `func * OCTAVES + octave` is the block's index plus one, or 0 for none.

use crate::wire;

/// Slots in a block: 2^6.
pub const SLOTS: usize = 64;
const SLOT_BITS: u32 = 6;
/// Blocks a function may use; the last octave that a `u64` reaches is 58.
pub const OCTAVES: u32 = 64;

/// The slots of one function and one power of two.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HistBlock {
    /// Number of finished calls in each slot.
    pub counts: [u64; SLOTS],
}
wire!(HistBlock, size = 512, align = 8);

/// The octave and slot of a value.
#[must_use]
#[inline(always)]
pub fn locate(value: u64) -> (u32, u32) {
    let exponent = log2(value | (SLOTS as u64 - 1));
    // exponent is 5 for values below 64: their octave is 0 and they are not shifted.
    let octave = exponent - (SLOT_BITS - 1);
    let shift = if octave == 0 { 0 } else { octave - 1 };
    (octave, ((value >> shift) & (SLOTS as u64 - 1)) as u32)
}

/// The lowest value of a slot and the number of values in it.
#[must_use]
pub fn range(octave: u32, slot: u32) -> (u64, u64) {
    if octave == 0 {
        return (u64::from(slot), 1);
    }
    let width = 1u64 << (octave - 1);
    ((SLOTS as u64 + u64::from(slot)) * width, width)
}

/// Floor of the binary logarithm; `value` is not 0.
///
/// By hand because BPF has no instruction for it and LLVM's expansion of `leading_zeros` is
/// longer; without branches, because the verifier follows each of them.
#[inline(always)]
fn log2(mut value: u64) -> u32 {
    let mut log = 0;
    let mut width = 32;
    while width != 0 {
        // 1 if there is a bit set at `width` or above: 0 - 1 borrows into all bits.
        let above = (value >> width).wrapping_neg() >> 63 | (value >> width) >> 63;
        let shift = (above as u32) * width;
        value >>= shift;
        log += shift;
        width /= 2;
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_the_range_of_its_slot() {
        let edges = (0..64).flat_map(|bit| {
            let power = 1u64 << bit;
            [
                power - 1,
                power,
                power + 1,
                power + power / 3,
                power | (power - 1),
            ]
        });
        for value in edges.chain([0, 1, 63, 64, 65, 127, 128, u64::MAX]) {
            let (octave, slot) = locate(value);
            assert!(octave < OCTAVES && (slot as usize) < SLOTS, "{value}");
            let (low, width) = range(octave, slot);
            assert!(
                low <= value && value - low < width,
                "{value}: {low}+{width}"
            );
            assert!(
                width == 1 || width * 64 <= low,
                "{value}: slot wider than 1/64"
            );
        }
    }

    #[test]
    fn slots_follow_each_other_without_gap() {
        let mut next = 0u64;
        for octave in 0..=58 {
            for slot in 0..SLOTS as u32 {
                let (low, width) = range(octave, slot);
                assert_eq!(low, next, "octave {octave} slot {slot}");
                next = low.wrapping_add(width);
            }
        }
        assert_eq!(next, 0, "the last slot ends at 2^64");
    }

    #[test]
    fn log2_agrees_with_the_standard_library() {
        for bit in 0..64 {
            let power = 1u64 << bit;
            for value in [power, power | (power >> 1), power | (power - 1)] {
                assert_eq!(log2(value), value.ilog2(), "{value}");
            }
        }
    }
}
