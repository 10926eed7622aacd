//! Where a goroutine waited, kept until the call is told of in which it did.
//!
//! Asked is always for the longest wait since a call began, and the calls of a goroutine are told of
//! from the inside out. So a wait that was followed by a longer one is the answer for no call any
//! more: what is kept of a goroutine gets shorter from one wait to the next, as a rule a handful.

use std::collections::HashMap;

use super::left_behind::drop_older;
use super::stacks::Goroutine;
use crate::event::StackEvent;

/// Waits kept of a goroutine at most.
const OF_ONE: usize = 64;
/// Waits kept of all goroutines: about 1 KB for each.
const OF_ALL: usize = 1 << 15;

/// A wait and where it was.
#[derive(Clone, Debug)]
pub(super) struct Wait {
    /// How long, in ns.
    pub ns: u64,
    /// Its stack.
    pub stack: StackEvent,
}

/// The waits of calls that have not been told of yet.
#[derive(Debug)]
pub(super) struct Waits {
    of: HashMap<Goroutine, Vec<Wait>>,
    kept: usize,
    /// How many may be kept in all.
    most: usize,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            of: HashMap::new(),
            kept: 0,
            most: OF_ALL,
        }
    }
}

impl Waits {
    /// Keeps a wait of a goroutine: it began after all that are kept of it.
    pub fn take(&mut self, goroutine: Goroutine, wait: Wait) {
        if self.kept >= self.most {
            // Left behind by calls that were never told of.
            drop_older(&mut self.of, |waits| {
                waits.last().map_or(0, |wait| wait.stack.start_ns)
            });
            self.kept = self.of.values().map(Vec::len).sum();
        }
        let waits = self.of.entry(goroutine).or_default();
        let before = waits.len();
        while waits.last().is_some_and(|last| last.ns <= wait.ns) {
            waits.pop();
        }
        if waits.len() >= OF_ONE {
            waits.pop();
        }
        waits.push(wait);
        self.kept = self.kept - before + waits.len();
    }

    /// A goroutine's longest wait that began at `start_ns` or later.
    pub fn longest_since(&self, goroutine: Goroutine, start_ns: u64) -> Option<&Wait> {
        let waits = self.of.get(&goroutine)?;
        waits.iter().find(|wait| wait.stack.start_ns >= start_ns)
    }

    /// Keeps none of a goroutine: no call of it is open that they could be in.
    pub fn forget(&mut self, goroutine: Goroutine) {
        if let Some(waits) = self.of.remove(&goroutine) {
            self.kept -= waits.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::StackOf;

    const GOROUTINE: Goroutine = (1, 7);

    fn wait(start_ns: u64, ns: u64) -> Wait {
        let stack = StackEvent {
            of: StackOf::Wait { ns },
            tgid: GOROUTINE.0,
            goid: GOROUTINE.1,
            start_ns,
            first_returns: true,
            addresses: vec![],
            offsets: vec![],
        };
        Wait { ns, stack }
    }

    fn longest(waits: &Waits, since: u64) -> Option<u64> {
        waits.longest_since(GOROUTINE, since).map(|wait| wait.ns)
    }

    /// Every beginning of a call, against a look at all waits since.
    #[test]
    fn the_longest_since_any_moment_is_known() {
        let lengths = [5, 3, 9, 9, 1, 4, 2, 8, 7, 7, 6, 1];
        let mut waits = Waits::default();
        for (at, ns) in (0_u64..).zip(lengths) {
            waits.take(GOROUTINE, wait(at * 100, ns));
            for since in 0..=at + 1 {
                let begun = lengths[..=at as usize].iter().skip(since as usize);
                assert_eq!(longest(&waits, since * 100), begun.max().copied());
            }
        }
    }

    /// A goroutine that once waited long more often than is kept, in a call that goes on.
    #[test]
    fn long_waits_of_the_past_do_not_hide_ordinary_ones() {
        let mut waits = Waits::default();
        for at in 0..1_000 {
            waits.take(GOROUTINE, wait(at, 1_000_000 - at));
        }
        waits.take(GOROUTINE, wait(5_000, 20));
        assert_eq!(longest(&waits, 5_000), Some(20));
        assert_eq!(longest(&waits, 0), Some(1_000_000));
        assert_eq!(waits.kept, OF_ONE);
    }

    #[test]
    fn what_is_kept_is_bounded_and_counted() {
        let mut waits = Waits {
            most: 10,
            ..Waits::default()
        };
        for goid in 0..100 {
            for at in 0..3 {
                waits.take((1, goid), wait(at, 9 - at));
            }
            let kept: usize = waits.of.values().map(Vec::len).sum();
            assert_eq!(waits.kept, kept);
            assert!(kept <= 10, "{kept}");
        }
        // The last that came, of those that were left behind without an end.
        assert_eq!(waits.longest_since((1, 99), 0).map(|wait| wait.ns), Some(9));
        waits.forget((1, 99));
        let kept: usize = waits.of.values().map(Vec::len).sum();
        assert_eq!((waits.kept, waits.of.contains_key(&(1, 99))), (kept, false));
    }
}
