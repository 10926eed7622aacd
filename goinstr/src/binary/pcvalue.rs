//! pc-value tables: pclntab's encoding of "from here to there the value is this".
//!
//! In: the bytes of `pctab` from a table's start. Out: [`PcValues`], runs of pcs with their value.
//! Format: pairs of varints, a zig-zag delta of the value (from −1) and a delta of the pc in units
//! of the smallest instruction; a zero value delta ends it (`src/runtime/symtab.go`, `step`).

/// One run: the value holds from the end of the run before (or the function's entry) to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Offset from the function's entry.
    pub start: u64,
    /// Offset from the function's entry; exclusive.
    pub end: u64,
    pub value: i32,
}

/// The runs of one table for one function, in order of pc.
#[derive(Clone, Debug)]
pub(super) struct PcValues<'a> {
    bytes: &'a [u8],
    at: usize,
    quantum: u64,
    size: u64,
    run: Run,
}

impl<'a> PcValues<'a> {
    /// `table` begins with the table; `size` is the function's, in bytes, and bounds the work.
    pub fn new(table: &'a [u8], quantum: u8, size: u64) -> Self {
        let run = Run {
            start: 0,
            end: 0,
            value: -1,
        };
        Self {
            bytes: table,
            at: 0,
            quantum: u64::from(quantum),
            size,
            run,
        }
    }

    /// The value at an offset from the function's entry.
    pub fn at(self, offset: u64) -> Option<i32> {
        self.into_iter()
            .find(|run| offset < run.end)
            .map(|run| run.value)
    }
}

impl Iterator for PcValues<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        if self.run.end >= self.size {
            return None;
        }
        let (delta, next) = varint(self.bytes, self.at)?;
        if delta == 0 && self.at != 0 {
            return None;
        }
        let (advance, next) = varint(self.bytes, next)?;
        // No run is empty: it would let a damaged table cost more than its function's size.
        if advance == 0 {
            return None;
        }
        self.at = next;
        let delta = (delta as u32 >> 1) as i32 ^ -((delta & 1) as i32);
        self.run.value = self.run.value.wrapping_add(delta);
        self.run.start = self.run.end;
        self.run.end = self
            .run
            .end
            .saturating_add(advance.saturating_mul(self.quantum));
        Some(self.run)
    }
}

/// An unsigned LEB128 of at most ten bytes at `at`, and where it ends.
pub(super) fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (i, byte) in bytes.get(at..)?.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * i as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, at + i + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn runs_of_a_table() {
        // −1+1=0 for 4 units, +1 for 300, −2 for 1, end.
        let table = [2, 4, 2, 0xac, 0x02, 3, 1, 0, 9, 9];
        let runs: Vec<_> = PcValues::new(&table, 4, 10_000).collect();
        let run = |start, end, value| Run { start, end, value };
        assert_eq!(runs, [run(0, 16, 0), run(16, 1216, 1), run(1216, 1220, -1)]);
        assert_eq!(PcValues::new(&table, 4, 10_000).at(16), Some(1));
        assert_eq!(PcValues::new(&table, 4, 10_000).at(1220), None);
    }

    #[test]
    fn a_first_delta_of_zero_is_no_end() {
        assert_eq!(PcValues::new(&[0, 5, 0], 1, 100).at(0), Some(-1));
    }

    proptest! {
        #[test]
        fn any_bytes_end_within_the_function(table: Vec<u8>, size in 0u64..5000) {
            let mut end = 0;
            for run in PcValues::new(&table, 1, size) {
                prop_assert!(run.start == end && run.end > run.start);
                prop_assert!(run.start < size);
                end = run.end;
            }
        }
    }
}
