//! Keeps the figures of each function of the plan.
//!
//! In: either the kernel's totals and histograms at some moment, or every finished call one by one.
//! Out: [`Report`]s.

use goinstr_common::{
    record::{CallRecord, OUTCOME_UNWOUND},
    stat::FuncStat,
};

use super::{
    distribution::Distribution,
    durations::Durations,
    report::{Books, FunctionReport, Report},
};

/// Figures of one function.
#[derive(Clone, Debug, Default)]
struct Function {
    /// All but the distribution.
    totals: FuncStat,
    /// Durations that came one by one.
    single: Option<Box<Durations>>,
    /// Finished calls at the last report.
    reported: u64,
}

/// Figures of all functions of a plan.
#[derive(Debug)]
pub struct Aggregator {
    functions: Vec<Function>,
    /// For the distribution of one function at a time.
    scratch: Durations,
    last_ns: u64,
    /// Whether reports carry the distributions themselves.
    distributions: bool,
}

impl Aggregator {
    /// For a plan of `functions` functions.
    #[must_use]
    pub fn new(functions: usize) -> Self {
        Self {
            functions: vec![Function::default(); functions],
            scratch: Durations::of_slots(),
            last_ns: 0,
            distributions: false,
        }
    }

    /// Puts into each report all durations of each function, beside the quantiles.
    #[must_use]
    pub fn with_distributions(self, distributions: bool) -> Self {
        Self {
            distributions,
            ..self
        }
    }

    /// Adds a finished call that is in no totals of the kernel.
    pub fn add_call(&mut self, call: &CallRecord) {
        let Some(function) = self.functions.get_mut(call.func as usize) else {
            return;
        };
        let totals = &mut function.totals;
        if call.outcome == OUTCOME_UNWOUND {
            totals.unwound += 1;
        } else {
            totals.returned += 1;
        }
        totals.total_ns = totals.total_ns.saturating_add(call.duration_ns);
        totals.self_ns = totals.self_ns.saturating_add(call.self_ns);
        totals.corrected_ns = totals.corrected_ns.saturating_add(call.corrected_ns);
        totals.max_ns = totals.max_ns.max(call.duration_ns);
        totals.min_inverted = totals.min_inverted.max(u64::MAX - call.duration_ns);
        self.add_duration(call);
    }

    /// Adds a finished call that is in the kernel's totals and only missing in its histogram.
    pub fn add_duration(&mut self, call: &CallRecord) {
        let Some(function) = self.functions.get_mut(call.func as usize) else {
            return;
        };
        function
            .single
            .get_or_insert_with(|| Box::new(Durations::of_calls()))
            .add(call.duration_ns);
    }

    /// The report at `elapsed_ns` after the beginning.
    ///
    /// `kernel` gives the kernel's totals and the filled slots of its histogram (lowest value,
    /// number of values, number of calls) for a function, where the kernel aggregates.
    pub fn report<Slots>(
        &mut self,
        elapsed_ns: u64,
        mut kernel: impl FnMut(u32) -> Option<(FuncStat, Slots)>,
    ) -> Report
    where
        Slots: Iterator<Item = (u64, u64, u64)>,
    {
        let scratch = &mut self.scratch;
        let distributions = self.distributions;
        let functions = self.functions.iter_mut().zip(0..).map(|(function, id)| {
            scratch.clear();
            let mut distribution = Distribution::default();
            if let Some((totals, slots)) = kernel(id) {
                let finished = totals.returned + totals.unwound;
                let changed = finished != 0;
                function.totals = totals;
                if changed {
                    for (low, width, calls) in slots {
                        scratch.add_slot(low, width, calls);
                        if distributions {
                            distribution.add(low, calls);
                        }
                    }
                }
            }
            if let Some(single) = &function.single {
                scratch.add_all(single);
                if distributions {
                    single.add_to(&mut distribution);
                }
            }
            FunctionReport {
                distribution,
                ..function.report(id, scratch)
            }
        });
        let functions = functions.collect();
        let interval_ns = elapsed_ns - self.last_ns.min(elapsed_ns);
        self.last_ns = elapsed_ns;
        Report {
            elapsed_ns,
            interval_ns,
            dropped_records: 0,
            functions,
            callers: Vec::new(),
            books: Books::default(),
        }
    }
}

impl Function {
    fn report(&mut self, id: u32, durations: &Durations) -> FunctionReport {
        let totals = self.totals;
        let calls = totals.returned + totals.unwound;
        let since = calls.saturating_sub(self.reported);
        self.reported = calls;
        let (min, max) = (u64::MAX - totals.min_inverted, totals.max_ns);
        let known = |figure| (calls != 0).then_some(figure);
        let quantiles = durations.quantiles(min, max);
        FunctionReport {
            function: id,
            calls,
            timed: None,
            unwound: totals.unwound,
            in_flight: totals.entries.saturating_sub(calls),
            oldest_in_flight_ns: None,
            shed_after_ns: None,
            calls_in_interval: since,
            total_ns: totals.total_ns,
            self_ns: totals.self_ns,
            min_ns: known(min),
            mean_ns: totals.total_ns.checked_div(calls),
            p50_ns: quantiles.map(|q| q.p50),
            p90_ns: quantiles.map(|q| q.p90),
            p99_ns: quantiles.map(|q| q.p99),
            p999_ns: quantiles.map(|q| q.p999),
            max_ns: known(max),
            states: None,
            distribution: Distribution::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use goinstr_common::{
        histogram::{locate, range},
        record::OUTCOME_RETURNED,
    };

    use super::*;

    fn call(func: u32, duration_ns: u64, outcome: u32) -> CallRecord {
        CallRecord {
            func,
            duration_ns,
            self_ns: duration_ns / 2,
            outcome,
            ..CallRecord::default()
        }
    }

    type NoSlots = std::iter::Empty<(u64, u64, u64)>;

    #[test]
    fn calls_one_by_one_add_up() {
        let mut aggregator = Aggregator::new(2).with_distributions(true);
        for duration in [100, 300, 200] {
            aggregator.add_call(&call(1, duration, OUTCOME_RETURNED));
        }
        aggregator.add_call(&call(1, 1000, OUTCOME_UNWOUND));
        let report = aggregator.report(10, |_| None::<(FuncStat, NoSlots)>);
        assert_eq!(
            report.functions[0],
            FunctionReport {
                function: 0,
                ..FunctionReport::default()
            }
        );
        let found = &report.functions[1];
        assert_eq!(
            (found.calls, found.unwound, found.calls_in_interval),
            (4, 1, 4)
        );
        assert_eq!(
            (found.total_ns, found.self_ns, found.mean_ns),
            (1600, 800, Some(400))
        );
        assert_eq!((found.min_ns, found.max_ns), (Some(100), Some(1000)));
        assert!(found.p50_ns.unwrap().abs_diff(200) <= 4);
        assert_eq!(found.distribution.calls(), 4);
        assert!(found.distribution.quantile(1.0).unwrap().abs_diff(1000) <= 20);
        let report = aggregator.report(30, |_| None::<(FuncStat, NoSlots)>);
        assert_eq!(
            (
                report.functions[1].calls,
                report.functions[1].calls_in_interval
            ),
            (4, 0)
        );
        assert_eq!((report.elapsed_ns, report.interval_ns), (30, 20));
    }

    #[test]
    fn the_kernels_totals_and_a_call_that_found_no_slot_make_one_distribution() {
        let mut aggregator = Aggregator::new(1);
        aggregator = aggregator.with_distributions(true);
        aggregator.add_duration(&call(0, 1_000_000, OUTCOME_RETURNED));
        let totals = FuncStat {
            entries: 5,
            returned: 3,
            total_ns: 1_002_000,
            self_ns: 7,
            min_inverted: u64::MAX - 1000,
            max_ns: 1_000_000,
            ..FuncStat::default()
        };
        let (octave, slot) = locate(1000);
        let (low, width) = range(octave, slot);
        let report = aggregator.report(1, |_| Some((totals, std::iter::once((low, width, 2)))));
        let found = &report.functions[0];
        assert_eq!(
            (found.calls, found.in_flight, found.total_ns),
            (3, 2, 1_002_000)
        );
        assert!(found.p50_ns.unwrap().abs_diff(1000) <= 20);
        assert_eq!(found.p99_ns, Some(1_000_000));
        let slots: Vec<_> = found.distribution.slots().map(|slot| slot.calls).collect();
        assert_eq!(slots, [2, 1]);
    }
}
