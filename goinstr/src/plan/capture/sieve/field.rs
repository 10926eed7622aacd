//! Questions about numbers in words of the data.

use goinstr_common::capture::DATA_BYTES;
use goinstr_common::sieve::{BELOW, EQUAL, Test};

use super::formula::{Asked, Formula};
use crate::plan::capture::shape::Word;
use crate::plan::condition::{Comparison, Constant, Operator};

/// Some bytes of a word of the data, as a number.
#[derive(Clone, Copy)]
pub(super) struct Field {
    /// Where the word stands.
    at: u32,
    /// Bits of it below the field.
    shift: u32,
    /// The field's bits.
    bits: u32,
    signed: bool,
}

impl Field {
    /// What `ask` asks of a number of so many bytes; where they are nowhere, nothing holds of them.
    pub fn of(word: Word, size: u8, signed: bool, ask: impl FnOnce(Self) -> Formula) -> Formula {
        let Word::Data(at) = word else {
            return Formula::Never;
        };
        match size {
            1 | 2 | 4 | 8 => Self::within(at, size.into(), signed).map_or(Formula::Open, ask),
            _ => Formula::Open,
        }
    }

    /// The same of the first few bytes of a word.
    pub fn of_word(at: u32, bytes: usize, ask: impl FnOnce(Self) -> Formula) -> Formula {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        match at % 8 {
            0 => Self::within(at, bytes, false).map_or(Formula::Open, ask),
            _ => Formula::Open,
        }
    }

    /// `None`: not in one word, or not in the data.
    fn within(at: u32, bytes: u32, signed: bool) -> Option<Self> {
        let inside = at % 8 + bytes <= 8 && at as usize + 8 <= DATA_BYTES;
        inside.then_some(Self {
            at: at - at % 8,
            shift: at % 8 * 8,
            bits: bytes * 8,
            signed,
        })
    }

    fn asked(self, relation: u32, with: u64) -> Formula {
        let ones = u64::MAX >> (64 - self.bits);
        let flip = match self.signed && relation == BELOW {
            true => 1 << (self.shift + self.bits - 1),
            false => 0,
        };
        Formula::Asked(Asked {
            test: Test {
                at: self.at,
                relation,
                mask: ones << self.shift,
                flip,
                with: ((with & ones) << self.shift) ^ flip,
                ..Test::default()
            },
            expected: true,
        })
    }

    pub fn equal(self, with: u64) -> Formula {
        self.asked(EQUAL, with)
    }

    /// How it compares with the constant. One that no number of its type reaches is compared now.
    pub fn number(self, comparison: &Comparison) -> Formula {
        let with = match comparison.with {
            Constant::Int(with) => with,
            Constant::Float(_) => return Formula::Open,
            _ => return Formula::Never,
        };
        let (least, most) = match self.signed {
            true => (-1_i128 << (self.bits - 1), (1_i128 << (self.bits - 1)) - 1),
            false => (0, (1_i128 << self.bits) - 1),
        };
        if with < least || with > most {
            // All its numbers are on the same side of it.
            return Formula::decided(comparison.number(least));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is within, and its bits are wanted"
        )]
        let bits = |number: i128| number as u64;
        match comparison.operator {
            Operator::Equal => self.equal(bits(with)),
            Operator::Unequal => self.equal(bits(with)).opposite(),
            Operator::Less if with == least => Formula::Never,
            Operator::AtLeast if with == least => Formula::Open,
            Operator::Less => self.asked(BELOW, bits(with)),
            Operator::AtLeast => self.asked(BELOW, bits(with)).opposite(),
            Operator::AtMost if with == most => Formula::Open,
            Operator::More if with == most => Formula::Never,
            Operator::AtMost => self.asked(BELOW, bits(with + 1)),
            Operator::More => self.asked(BELOW, bits(with + 1)).opposite(),
        }
    }
}
