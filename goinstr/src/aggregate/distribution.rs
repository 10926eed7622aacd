//! A distribution of durations in the kernel's own slots: exact to merge, to subtract, to compare.

use goinstr_common::histogram::{OCTAVES, SLOTS, locate, range};

/// How many calls took how long. Slots are the kernel's ([`goinstr_common::histogram`]): at most
/// 1/64 of their lower edge wide, the same for every function, machine and recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// Index of the slot and number of calls, by index; no slot twice, none without calls.
    slots: Vec<(u16, u64)>,
}

/// A slot with calls in it. Durations are in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Shortest duration that falls into it.
    pub low: u64,
    /// Number of durations that do.
    pub width: u64,
    /// Calls.
    pub calls: u64,
}

impl Slot {
    /// The duration in its middle, in ns.
    #[must_use]
    pub fn middle(self) -> u64 {
        self.low + (self.width - 1) / 2
    }

    /// Longest duration that falls into it, in ns.
    #[must_use]
    pub fn high(self) -> u64 {
        self.low + (self.width - 1)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "64 octaves of 64 slots")]
fn index(duration_ns: u64) -> u16 {
    let (octave, slot) = locate(duration_ns);
    (octave * SLOTS as u32 + slot) as u16
}

fn slot((index, calls): (u16, u64)) -> Slot {
    let (octave, slot) = (
        u32::from(index) / SLOTS as u32,
        u32::from(index) % SLOTS as u32,
    );
    let (low, width) = range(octave.min(OCTAVES - 1), slot);
    Slot { low, width, calls }
}

impl Distribution {
    /// Adds calls of one duration.
    pub fn add(&mut self, duration_ns: u64, calls: u64) {
        if calls == 0 {
            return;
        }
        let index = index(duration_ns);
        // Mostly they come in order.
        if self.slots.last().is_none_or(|&(last, _)| last < index) {
            self.slots.push((index, calls));
            return;
        }
        match self.slots.binary_search_by_key(&index, |&(at, _)| at) {
            Ok(at) => {
                if let Some((_, sum)) = self.slots.get_mut(at) {
                    *sum = sum.saturating_add(calls);
                }
            }
            Err(at) => self.slots.insert(at, (index, calls)),
        }
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        for slot in other.slots() {
            self.add(slot.low, slot.calls);
        }
    }

    /// What came since `earlier`, which was a state of this one.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut before = earlier.slots.iter().copied().peekable();
        let came = |&(index, calls): &(u16, u64)| {
            while before.next_if(|&(at, _)| at < index).is_some() {}
            let gone = before
                .next_if(|&(at, _)| at == index)
                .map_or(0, |(_, calls)| calls);
            let new = calls.saturating_sub(gone);
            (new != 0).then_some((index, new))
        };
        Self {
            slots: self.slots.iter().filter_map(came).collect(),
        }
    }

    /// The slots that hold calls, shortest durations first.
    pub fn slots(&self) -> impl ExactSizeIterator<Item = Slot> + '_ {
        self.slots.iter().copied().map(slot)
    }

    /// Calls in all.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.slots
            .iter()
            .fold(0, |sum, &(_, calls)| sum.saturating_add(calls))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The duration that a share `q` of the calls is no longer than (nearest rank), in ns, within
    /// 0.8 %. `None`: no calls.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank among calls: beyond 2^53 of them its last digits don't matter"
        )]
        let rank = ((q * self.calls() as f64).ceil() as u64).max(1);
        let mut passed = 0u64;
        for slot in self.slots() {
            passed = passed.saturating_add(slot.calls);
            if passed >= rank {
                return Some(slot.middle());
            }
        }
        self.slots().last().map(Slot::middle)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(durations: &[u64]) -> Distribution {
        let mut distribution = Distribution::default();
        for &duration in durations {
            distribution.add(duration, 1);
        }
        distribution
    }

    proptest! {
        #[test]
        fn the_difference_of_two_states_is_what_came_between(
            before in proptest::collection::vec((0u32..64).prop_flat_map(|bits| 0u64..=u64::MAX >> bits), 0..100),
            after in proptest::collection::vec((0u32..64).prop_flat_map(|bits| 0u64..=u64::MAX >> bits), 0..100),
        ) {
            let (early, came) = (of(&before), of(&after));
            let mut late = early.clone();
            late.merge(&came);
            prop_assert_eq!(late.since(&early), came);
            prop_assert_eq!(late.calls(), (before.len() + after.len()) as u64);
            prop_assert!(late.since(&late).is_empty());
        }

        #[test]
        fn every_duration_is_in_its_slot(duration in any::<u64>()) {
            let distribution = of(&[duration]);
            let slot = distribution.slots().next().expect("one");
            prop_assert!(slot.low <= duration && duration <= slot.high());
            prop_assert!(distribution.quantile(0.5).expect("one").abs_diff(duration) <= duration / 64);
        }
    }

    #[test]
    fn quantiles_are_nearest_ranks() {
        let distribution = of(&[10, 20, 30, 40]);
        for (q, expected) in [
            (0.0, 10),
            (0.25, 10),
            (0.5, 20),
            (0.75, 30),
            (0.76, 40),
            (1.0, 40),
        ] {
            assert_eq!(distribution.quantile(q), Some(expected), "{q}");
        }
        assert_eq!(Distribution::default().quantile(0.5), None);
    }
}
