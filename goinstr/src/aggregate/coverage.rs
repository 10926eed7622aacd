//! What of a coverage plan has run so far.

use super::End;
use crate::plan::{CoverPlan, CoverSite};

/// What has run, and when it was first seen to. Times are ns of `CLOCK_MONOTONIC`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// One for each function of the plan.
    pub functions: Vec<Option<u64>>,
    /// One for each line of the plan.
    pub lines: Vec<bool>,
}

impl Coverage {
    /// Nothing of the plan has run.
    #[must_use]
    pub fn none(plan: &CoverPlan) -> Self {
        Self {
            functions: vec![None; plan.functions.len()],
            lines: vec![false; plan.lines.len()],
        }
    }

    /// A site was first hit at this time. Returns the functions that were not known to have run.
    pub fn hit(&mut self, site: &CoverSite, time: u64) -> Vec<u32> {
        for &line in &site.lines {
            if let Some(line) = self.lines.get_mut(line as usize) {
                *line = true;
            }
        }
        let mut new = Vec::new();
        for &function in &site.functions {
            match self.functions.get_mut(function as usize) {
                Some(Some(first)) => *first = time.min(*first),
                Some(none) => {
                    *none = Some(time);
                    new.push(function);
                }
                None => {}
            }
        }
        new
    }

    /// Whether a hit of the site would tell anything that isn't known.
    #[must_use]
    pub fn waits_for(&self, site: &CoverSite) -> bool {
        let function = |&id: &u32| matches!(self.functions.get(id as usize), Some(None));
        let line = |&id: &u32| self.lines.get(id as usize) == Some(&false);
        site.functions.iter().any(function) || site.lines.iter().any(line)
    }

    /// What ran in either.
    pub fn merge(&mut self, other: &Self) {
        for (own, other) in self.functions.iter_mut().zip(&other.functions) {
            *own = match (*own, *other) {
                (Some(own), Some(other)) => Some(own.min(other)),
                (own, other) => own.or(other),
            };
        }
        for (own, other) in self.lines.iter_mut().zip(&other.lines) {
            *own |= other;
        }
    }

    /// Number of functions that ran.
    #[must_use]
    pub fn functions_run(&self) -> usize {
        self.functions.iter().flatten().count()
    }

    /// Number of lines that ran.
    #[must_use]
    pub fn lines_run(&self) -> usize {
        self.lines.iter().filter(|&&ran| ran).count()
    }
}

/// What ran in one phase, or in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverReport {
    /// Number of the phase, from 1, where there are phases.
    pub phase: Option<u32>,
    /// How long it was waited for, in ns.
    pub elapsed_ns: u64,
    /// What ran. Times are ns since the Unix epoch.
    pub coverage: Coverage,
}

/// What it took to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverLedger {
    /// Sites there are.
    pub sites: usize,
    /// Sites hit since the last reset.
    pub sites_hit: usize,
    /// Sites still in place at the end.
    pub sites_left: usize,
    /// Hits of sites, repeated ones among them.
    pub probe_hits: u64,
    /// What they cost the target in all, in ns, by what a hit costs on this machine; `None`: that
    /// could not be measured.
    pub probe_cost_ns: Option<u64>,
    /// How often hit sites were taken out.
    pub retirements: u32,
    /// How long goinstr was busy with that, in ns.
    pub retirement_ns: u64,
    /// Why it ended.
    pub end: End,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::{FileOffset, Vaddr};
    use crate::plan::Site;

    fn site(functions: &[u32], lines: &[u32]) -> CoverSite {
        CoverSite {
            site: Site {
                file: 0,
                address: Vaddr(0),
                offset: FileOffset(0),
            },
            functions: functions.to_vec(),
            lines: lines.to_vec(),
        }
    }

    #[test]
    fn a_site_is_waited_for_until_all_that_it_shows_is_known() {
        let mut coverage = Coverage {
            functions: vec![None; 2],
            lines: vec![false; 2],
        };
        let (both, line) = (site(&[0, 1], &[0]), site(&[], &[1]));
        assert!(coverage.waits_for(&both) && coverage.waits_for(&line));
        assert_eq!(coverage.hit(&site(&[1], &[0]), 20), [1]);
        assert!(coverage.waits_for(&both));
        assert_eq!(coverage.hit(&both, 10), [0]);
        assert!(!coverage.waits_for(&both) && coverage.waits_for(&line));
        assert_eq!(coverage.functions, [Some(10), Some(10)]);
        assert_eq!((coverage.functions_run(), coverage.lines_run()), (2, 1));
        // What the file doesn't have is nothing.
        assert!(coverage.hit(&site(&[7], &[7]), 1).is_empty());
    }

    #[test]
    fn merging_keeps_the_earliest() {
        let mut own = Coverage {
            functions: vec![Some(5), None, None],
            lines: vec![true, false, false],
        };
        own.merge(&Coverage {
            functions: vec![Some(3), Some(9), None],
            lines: vec![false, true, false],
        });
        assert_eq!(own.functions, [Some(3), Some(9), None]);
        assert_eq!(own.lines, [true, true, false]);
    }
}
