//! What the kernel program asks of a call's data, so as not to tell of calls that nobody wants to see.
//!
//! A sieve is a list of tests. Each looks at one word of the data and names the test that is next, or the
//! end: [`PASS`] or [`DROP`]. Tests lead forward only, so that each is asked once at most. Userspace makes them of
//! a condition: what they drop does not match it, and what they let pass is asked there.

use crate::wire;

/// Tests of one sieve: what has more is not asked here. A call takes some ns for each that it comes to.
pub const MAX_TESTS: u32 = 128;

/// `Test::then`, `Test::otherwise`: the call may match.
pub const PASS: u32 = u32::MAX;
/// The same: it does not.
pub const DROP: u32 = u32::MAX - 1;

/// `Test::relation`: the bits are those of `with`.
pub const EQUAL: u32 = 0;
/// `Test::relation`: they are less, as a number without a sign.
pub const BELOW: u32 = 1;

/// One question about one word.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Test {
    /// Where in the data the word stands. A multiple of 8.
    pub at: u32,
    /// How it has to stand to `with`: a constant of this module.
    pub relation: u32,
    /// Its bits that count.
    pub mask: u64,
    /// Bits of it that are turned over first: the sign, so that numbers with one are in order too.
    pub flip: u64,
    /// What it is compared with.
    pub with: u64,
    /// What is next where it stands so: a test's number, `PASS` or `DROP`.
    pub then: u32,
    /// What is next where it doesn't.
    pub otherwise: u32,
}
wire!(Test, size = 40, align = 8);

/// Which tests are a sieve.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sieve {
    /// Index of the first one in the map `TESTS`.
    pub first: u32,
    /// Their number; 0: everything passes.
    pub tests: u32,
}
wire!(Sieve, size = 8, align = 4);

impl Test {
    /// What is next, where this is the word.
    #[inline(always)]
    #[must_use]
    pub const fn next(&self, word: u64) -> u32 {
        let value = (word ^ self.flip) & self.mask;
        let holds = if self.relation == EQUAL {
            value == self.with
        } else {
            value < self.with
        };
        if holds { self.then } else { self.otherwise }
    }
}

/// Whether a call passes whose words are these; as the kernel program goes through the tests.
pub fn passes(tests: &[Test], word: impl Fn(u32) -> u64) -> bool {
    let mut next = 0;
    for _ in 0..tests.len().min(MAX_TESTS as usize) {
        let Some(test) = tests.get(next as usize) else {
            break;
        };
        next = test.next(word(test.at));
    }
    next != DROP
}
