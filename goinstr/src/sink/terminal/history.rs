//! What happened in each of the last intervals, by function.

use std::collections::{HashMap, VecDeque};

use crate::aggregate::{Distribution, Report};

/// Intervals that are kept: the columns of a wide terminal.
const KEPT: usize = 240;

/// What a function did in one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    /// Finished calls a second.
    pub rate: u64,
    /// Median and 99th percentile of the calls that ended in it, in ns; 0 without any.
    pub p50_ns: u64,
    pub p99_ns: u64,
}

/// The last intervals of every function that was called.
#[derive(Debug, Default)]
pub(super) struct History {
    functions: HashMap<u32, Function>,
    /// Intervals so far.
    intervals: usize,
}

#[derive(Debug, Default)]
struct Function {
    moments: VecDeque<Moment>,
    /// All calls up to the last interval.
    seen: Distribution,
}

impl History {
    /// Adds an interval.
    pub fn add(&mut self, report: &Report) {
        for figures in &report.functions {
            let known = self.functions.contains_key(&figures.function);
            if figures.calls == 0 && !known {
                continue;
            }
            let intervals = self.intervals;
            let function = self
                .functions
                .entry(figures.function)
                .or_insert_with(|| Function {
                    moments: std::iter::repeat_n(Moment::default(), intervals.min(KEPT)).collect(),
                    seen: Distribution::default(),
                });
            let mut moment = Moment::default();
            if figures.calls_in_interval > 0 {
                let came = figures.distribution.since(&function.seen);
                function.seen.clone_from(&figures.distribution);
                moment = Moment {
                    rate: per_second(figures.calls_in_interval, report.interval_ns),
                    p50_ns: came.quantile(0.5).unwrap_or(0),
                    p99_ns: came.quantile(0.99).unwrap_or(0),
                };
            }
            if function.moments.len() == KEPT {
                function.moments.pop_front();
            }
            function.moments.push_back(moment);
        }
        self.intervals += 1;
    }

    /// The last `n` intervals of a function, the oldest first.
    pub fn last(&self, function: u32, n: usize) -> Vec<Moment> {
        let moments = self.functions.get(&function).map(|found| &found.moments);
        moments.map_or_else(Vec::new, |moments| {
            let from = moments.len().saturating_sub(n);
            moments.iter().skip(from).copied().collect()
        })
    }
}

/// Rounded to the nearest.
fn per_second(calls: u64, ns: u64) -> u64 {
    let ns = u128::from(ns.max(1));
    let rate = (u128::from(calls) * 1_000_000_000 + ns / 2) / ns;
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sample;

    #[test]
    fn each_interval_has_only_what_came_in_it() {
        let mut history = History::default();
        history.add(&sample::report(1));
        let mut second = sample::report(2);
        if let Some(slow) = second.functions.first_mut() {
            slow.distribution = sample::report(1).functions[0].distribution.clone();
            slow.distribution.add(50_000_000, 100);
        }
        history.add(&second);
        let moments = history.last(0, 10);
        assert_eq!(moments.len(), 2);
        assert_eq!((moments[0].rate, moments[1].rate), (100, 100));
        assert!(
            moments[0].p50_ns.abs_diff(1_234_567) < 20_000,
            "{moments:?}"
        );
        assert!(
            moments[1].p50_ns.abs_diff(50_000_000) < 500_000,
            "{moments:?}"
        );
        assert_eq!(history.last(4, 10), []);
    }
}
