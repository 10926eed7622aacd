//! A distribution of durations, and its quantiles.

use hdrhistogram::Histogram;

use super::distribution::Distribution;

/// Significant decimal digits kept of durations that come one by one: 1 % wide slots, where the
/// contract allows 2 %.
const DIGITS_OF_CALLS: u8 = 2;
/// Of durations that come from the kernel's slots, which are 1.6 % wide already: the middle of
/// one is at most 0.8 % off, and this must not add to it.
const DIGITS_OF_SLOTS: u8 = 3;

/// Durations in ns.
#[derive(Clone, Debug)]
pub(super) struct Durations(Histogram<u64>);

/// The quantiles that are reported, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quantiles {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
}

impl Durations {
    /// An empty distribution of single calls' durations.
    pub fn of_calls() -> Self {
        Self::with_digits(DIGITS_OF_CALLS)
    }

    /// An empty distribution to be filled from slots.
    pub fn of_slots() -> Self {
        Self::with_digits(DIGITS_OF_SLOTS)
    }

    fn with_digits(digits: u8) -> Self {
        // Only more than five digits are refused.
        Self(Histogram::new(digits).expect("a histogram of so few digits exists"))
    }

    /// Adds one call.
    pub fn add(&mut self, duration_ns: u64) {
        self.record(duration_ns, 1);
    }

    /// Adds the calls of a slot, each with the duration in the slot's middle.
    pub fn add_slot(&mut self, low: u64, width: u64, calls: u64) {
        self.record(low + (width - 1) / 2, calls);
    }

    fn record(&mut self, duration_ns: u64, calls: u64) {
        // It grows as it must; it can't hold the last few values below 2^64, which are 584 years.
        let longest = u64::MAX / 4;
        if self.0.record_n(duration_ns.min(longest), calls).is_err() {
            log::error!("a duration of {duration_ns} ns is missing from the quantiles");
        }
    }

    /// Adds all of another.
    pub fn add_all(&mut self, other: &Self) {
        for value in other.0.iter_recorded() {
            let middle = other.0.median_equivalent(value.value_iterated_to());
            self.record(middle, value.count_at_value());
        }
    }

    /// Adds all calls to a distribution in the kernel's slots.
    pub fn add_to(&self, distribution: &mut Distribution) {
        for value in self.0.iter_recorded() {
            let middle = self.0.median_equivalent(value.value_iterated_to());
            distribution.add(middle, value.count_at_value());
        }
    }

    /// Forgets all calls, keeps the memory.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// The quantiles, within the extremes that are known exactly. `None`: no calls.
    pub fn quantiles(&self, min_ns: u64, max_ns: u64) -> Option<Quantiles> {
        if self.0.is_empty() {
            return None;
        }
        let at = |quantile| {
            let value = self.0.value_at_quantile(quantile);
            self.0
                .median_equivalent(value)
                .clamp(min_ns, max_ns.max(min_ns))
        };
        Some(Quantiles {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
        })
    }
}

#[cfg(test)]
mod tests {
    use goinstr_common::histogram::{locate, range};
    use proptest::prelude::*;

    use super::*;

    /// The smallest value that is at least as large as a share `q` of them (nearest rank).
    fn exact(sorted: &[u64], q: f64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "small"
        )]
        let rank = (q * sorted.len() as f64).ceil() as usize;
        sorted[rank.max(1) - 1]
    }

    fn check(found: u64, sorted: &[u64], q: f64) {
        let exact = exact(sorted, q);
        let off = found.abs_diff(exact);
        assert!(off * 50 <= exact, "p{q}: {found}, exactly {exact}");
    }

    proptest! {
        /// The contract: within 2 % of the exact ones over the same calls, whichever way they came.
        #[test]
        fn quantiles_are_within_two_percent(
            mut calls in proptest::collection::vec((0u32..40).prop_flat_map(|bits| 1u64..=1 << bits), 1..300),
        ) {
            let (mut one_by_one, mut slots) = (Durations::of_calls(), Durations::of_slots());
            for &call in &calls {
                one_by_one.add(call);
                let (octave, slot) = locate(call);
                let (low, width) = range(octave, slot);
                slots.add_slot(low, width, 1);
            }
            let mut merged = Durations::of_slots();
            merged.add_all(&one_by_one);
            calls.sort_unstable();
            let (min, max) = (calls[0], calls[calls.len() - 1]);
            for durations in [&one_by_one, &slots, &merged] {
                let found = durations.quantiles(min, max).unwrap();
                check(found.p50, &calls, 0.5);
                check(found.p90, &calls, 0.9);
                check(found.p99, &calls, 0.99);
                check(found.p999, &calls, 0.999);
            }
        }
    }

    #[test]
    fn no_calls_have_no_quantiles() {
        let mut durations = Durations::of_calls();
        assert_eq!(durations.quantiles(0, 0), None);
        durations.add(5);
        durations.clear();
        assert_eq!(durations.quantiles(0, 0), None);
    }

    #[test]
    fn a_duration_beyond_all_bounds_is_no_panic() {
        let mut durations = Durations::of_calls();
        durations.add(u64::MAX);
        durations.add(0);
        assert!(durations.quantiles(0, u64::MAX).is_some());
    }
}
