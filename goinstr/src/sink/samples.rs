//! Gathers the calls of every function by second, to be compared with those of another measurement.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

use super::{Sink, names};
use crate::aggregate::{
    CallEvent, Distribution, FunctionReport, Ledger, Report, Sample, SessionInfo,
};
use crate::plan::ProbePlan;

/// One side of a comparison.
#[derive(Debug, Default)]
pub struct Samples {
    names: Vec<String>,
    samples: Vec<Sample>,
    before: Vec<Distribution>,
    figures: Vec<FunctionReport>,
    elapsed_ns: u64,
}

/// What is known of a function.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// Its calls by second.
    pub sample: Sample,
    /// Its final figures.
    pub figures: FunctionReport,
}

impl Samples {
    /// The functions that were measured, by what they are called, and for how long, in ns.
    #[must_use]
    pub fn finish(self) -> (BTreeMap<String, Gathered>, u64) {
        let mut figures: BTreeMap<u32, FunctionReport> = self
            .figures
            .into_iter()
            .map(|figures| (figures.function, figures))
            .collect();
        let named = self.names.into_iter().zip(self.samples).zip(0..);
        let gathered = named.map(|((name, sample), id)| {
            let figures = figures.remove(&id).unwrap_or_default();
            (name, Gathered { sample, figures })
        });
        (gathered.collect(), self.elapsed_ns)
    }
}

impl Sink for Samples {
    fn wants_distributions(&self) -> bool {
        true
    }

    fn session(&mut self, _info: &SessionInfo, plan: &ProbePlan) -> io::Result<()> {
        self.names = names::as_they_are(plan).map(Cow::into_owned).collect();
        self.samples = vec![Sample::default(); plan.functions.len()];
        self.before = vec![Distribution::default(); plan.functions.len()];
        Ok(())
    }

    fn call(&mut self, _call: &CallEvent) -> io::Result<()> {
        Ok(())
    }

    fn interval(&mut self, _number: u64, report: &Report) -> io::Result<()> {
        for figures in &report.functions {
            let index = usize::try_from(figures.function).unwrap_or(usize::MAX);
            let Some((sample, before)) =
                self.samples.get_mut(index).zip(self.before.get_mut(index))
            else {
                continue;
            };
            if figures.calls == 0 {
                continue;
            }
            if figures.calls_in_interval == 0 {
                sample.add(Distribution::default());
                continue;
            }
            sample.add(figures.distribution.since(before));
            before.clone_from(&figures.distribution);
        }
        Ok(())
    }

    fn finish(&mut self, report: &Report, _ledger: &Ledger) -> io::Result<()> {
        self.figures.clone_from(&report.functions);
        self.elapsed_ns = report.elapsed_ns;
        Ok(())
    }
}
