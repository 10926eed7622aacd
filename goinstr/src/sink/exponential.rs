//! A distribution in the exponential buckets that Prometheus' native histograms and OpenTelemetry's
//! exponential histograms share.
//!
//! At scale `s` a bucket reaches from a power of `2^(2^-s)` seconds to the next, its upper edge
//! included (<https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram>).
//! All calls of a slot go to the bucket that the middle of the slot lies in. A slot is at most 1/64
//! of its lower edge wide, so that a call's true duration is at most 0.8 % outside of its bucket;
//! the number of calls is exact.

use crate::aggregate::Distribution;

/// The finest scale: 32 buckets for each power of two, 2.2 % wide, a little wider than the slots.
const FINEST: i32 = 5;
/// Buckets at most, as OpenTelemetry's SDKs have it: coarser where the durations span too much.
const MOST_BUCKETS: usize = 160;
/// Nanoseconds in the unit.
const SECOND: f64 = 1e9;

/// Counts of calls in exponential buckets of seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exponential {
    /// Buckets for each power of two: `2^scale`.
    pub scale: i32,
    /// The lower edge of the first bucket is this power of `2^(2^-scale)` seconds.
    pub offset: i32,
    /// Calls in that bucket and those after it.
    pub counts: Vec<u64>,
    /// Calls of no duration at all.
    pub zero: u64,
}

impl Exponential {
    /// The calls of a distribution.
    pub fn of(distribution: &Distribution) -> Self {
        let mut zero = 0;
        let mut indexed: Vec<(i32, u64)> = Vec::new();
        for slot in distribution.slots() {
            if slot.low == 0 {
                zero += slot.calls;
                continue;
            }
            let index = index(slot.middle());
            match indexed.last_mut() {
                Some((last, calls)) if *last == index => *calls += slot.calls,
                _ => indexed.push((index, slot.calls)),
            }
        }
        let (Some(&(mut first, _)), Some(&(mut last, _))) = (indexed.first(), indexed.last())
        else {
            return Self {
                scale: FINEST,
                zero,
                ..Self::default()
            };
        };
        let mut coarser = 0;
        while usize::try_from(last - first).unwrap_or(usize::MAX) >= MOST_BUCKETS {
            // Two neighbours become one, the even one first: rounded towards minus infinity.
            (first, last) = (first >> 1, last >> 1);
            coarser += 1;
        }
        let mut counts = vec![0; usize::try_from(last - first).unwrap_or(0) + 1];
        for (index, calls) in indexed {
            let at = usize::try_from((index >> coarser) - first).ok();
            if let Some(count) = at.and_then(|at| counts.get_mut(at)) {
                *count += calls;
            }
        }
        Self {
            scale: FINEST - coarser,
            offset: first,
            counts,
            zero,
        }
    }
}

/// The bucket of the finest scale.
fn index(duration_ns: u64) -> i32 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "an edge is an irrational number anyway"
    )]
    let power = (duration_ns as f64 / SECOND).log2() * f64::from(1 << FINEST);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "|log2| of a u64 is at most 64"
    )]
    let upper = power.ceil() as i32;
    upper - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edge(scale: i32, index: i32) -> f64 {
        (f64::from(index) * f64::from(-scale).exp2()).exp2() * SECOND
    }

    proptest! {
        /// The bound that the documentation promises.
        #[test]
        fn no_call_is_more_than_eight_thousandths_outside_of_its_bucket(
            calls in proptest::collection::vec((0u32..45).prop_flat_map(|bits| 1u64..=1 << bits), 1..100),
        ) {
            for &call in &calls {
                let mut one = Distribution::default();
                one.add(call, 1);
                let found = Exponential::of(&one);
                prop_assert_eq!(&found.counts, &[1]);
                #[expect(clippy::cast_precision_loss, reason = "below 2^45")]
                let call = call as f64;
                prop_assert!(call > edge(found.scale, found.offset) * (1.0 - 1.0 / 127.0), "{call}");
                prop_assert!(call <= edge(found.scale, found.offset + 1) * (1.0 + 1.0 / 127.0), "{call}");
            }
            let mut all = Distribution::default();
            for &call in &calls {
                all.add(call, 3);
            }
            let found = Exponential::of(&all);
            prop_assert_eq!(found.counts.iter().sum::<u64>() + found.zero, all.calls());
            prop_assert!(found.counts.len() <= MOST_BUCKETS);
        }
    }

    #[test]
    fn a_second_is_the_upper_edge_of_the_bucket_below_it() {
        // 2^30 ns is the low end of a slot, a second lies within one.
        assert_eq!(index(1_000_000_000), -1);
        assert_eq!(index(1_000_000_001), 0);
        assert_eq!(index(2_000_000_000), 31);
        assert_eq!(index(500_000_000), -33);
    }

    #[test]
    fn what_spans_too_much_becomes_coarser_and_loses_no_call() {
        let mut distribution = Distribution::default();
        for bits in 0..40 {
            distribution.add(1 << bits, 1);
        }
        distribution.add(0, 7);
        let found = Exponential::of(&distribution);
        assert_eq!(found.zero, 7);
        assert_eq!(found.counts.iter().sum::<u64>(), 40);
        // 39 powers of two apart: 4 buckets each are 157, 8 would be 313.
        assert_eq!(found.scale, 2);
    }

    #[test]
    fn no_calls_are_no_buckets() {
        let found = Exponential::of(&Distribution::default());
        assert_eq!((found.counts.len(), found.zero), (0, 0));
    }
}
