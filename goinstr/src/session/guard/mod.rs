//! The guard: keeps what the probes cost under the budget, before arming and while it is measured.
//!
//! What a hit costs is known from the calibration, hits are counted; the rest is arithmetic. All of
//! it is in `docs/overhead.md`.

mod allowance;
mod moment;
pub(super) mod preflight;
mod thread;
mod watch;

pub(super) use allowance::Allowance;
pub(super) use thread::{GONE, Guard, Told};
pub(super) use watch::{Shed, Watch};

use crate::{
    attach::{Costs, EntryCosts, ValueCosts},
    plan::FunctionCapture,
};

/// ns in a second.
const SECOND: u64 = 1_000_000_000;

/// How often the guard looks, in ns.
const LOOK_NS: u64 = 50_000_000;

/// The weight of a look that comes `elapsed_ns` after the last, where one after [`LOOK_NS`] has weight `usual`:
/// in two looks together as much as in one of their length. A look right after another tells next to nothing.
#[expect(clippy::cast_precision_loss, reason = "fractions of a second")]
fn weight(usual: f64, elapsed_ns: u64) -> f64 {
    1.0 - (1.0 - usual).powf(elapsed_ns as f64 / LOOK_NS as f64)
}

/// What the hits of one function cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HitCosts {
    /// At the entry site, in ns.
    pub entry_ns: u64,
    /// At a return, in ns; 0 where it has none.
    pub exit_ns: u64,
}

impl HitCosts {
    /// `of_entry` is the function's kind of entry site.
    pub fn new(costs: Costs, of_entry: EntryCosts, returns: bool) -> Self {
        Self {
            entry_ns: u64::from(of_entry.entry_ns(costs.exit_ns)),
            exit_ns: if returns { u64::from(costs.exit_ns) } else { 0 },
        }
    }

    /// And the values of each call.
    pub fn with_values(self, values: ValueCosts, capture: Option<&FunctionCapture>) -> Self {
        let Some(capture) = capture.filter(|capture| capture.bytes > 0) else {
            return self;
        };
        let at_exit = match self.exit_ns {
            0 => 0,
            _ => values.exit_ns(capture.exit.len()),
        };
        Self {
            entry_ns: self.entry_ns + values.entry_ns(capture.entry.len()),
            exit_ns: self.exit_ns + at_exit,
        }
    }
}

/// A function's part of the load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Load {
    /// Its index in the plan.
    pub function: u32,
    /// Calls a second.
    pub calls: f64,
    /// What its probes take, in ns a second.
    pub cost: f64,
}

/// The functions that have to go for the rest to cost no more than `budget` ns a second: the
/// costliest first, no more than needed.
pub(super) fn over_budget(mut loads: Vec<Load>, budget: f64) -> Vec<Load> {
    loads.sort_by(|a, b| b.cost.total_cmp(&a.cost));
    let mut rest: f64 = loads.iter().map(|load| load.cost).sum();
    loads
        .into_iter()
        .take_while(|load| {
            let over = rest > budget;
            rest -= load.cost;
            over
        })
        .collect()
}

/// A cost in ns a second as people read it.
pub(super) fn share(cost: f64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let percent = cost * 100.0 / SECOND as f64;
    format!("{percent:.1} % of a CPU")
}

/// A rate as a number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are positive and far below 2^64"
)]
pub(super) fn rounded(calls: f64) -> u64 {
    calls.round() as u64
}

#[cfg(test)]
mod tests {
    use goinstr_common::capture::Step;

    use super::*;

    fn load(function: u32, cost: f64) -> Load {
        Load {
            function,
            calls: cost,
            cost,
        }
    }

    fn shed(loads: &[f64], budget: f64) -> Vec<u32> {
        let loads = loads.iter().zip(0..).map(|(&cost, f)| load(f, cost));
        let gone = over_budget(loads.collect(), budget);
        gone.iter().map(|load| load.function).collect()
    }

    #[test]
    fn reading_values_is_held_against_the_functions_that_have_some() {
        let values = ValueCosts::of_call_with(28, 3_200);
        let bare = HitCosts {
            entry_ns: 1_000,
            exit_ns: 9_000,
        };
        let capture = FunctionCapture {
            entry: vec![Step::default(); 2],
            exit: vec![Step::default(); 3],
            bytes: 300,
            ..FunctionCapture::default()
        };
        let with = bare.with_values(values, Some(&capture));
        assert_eq!((with.entry_ns, with.exit_ns), (1_600, 9_300));
        let entries = HitCosts { exit_ns: 0, ..bare };
        let with = entries.with_values(values, Some(&capture));
        assert_eq!((with.entry_ns, with.exit_ns), (1_600, 0));
        let unread = FunctionCapture::default();
        assert_eq!(bare.with_values(values, Some(&unread)), bare);
        assert_eq!(bare.with_values(values, None), bare);
    }

    #[test]
    fn looks_count_by_the_time_that_they_tell_of() {
        let rest = |elapsed_ns| 1.0 - weight(0.5, elapsed_ns);
        assert!((rest(LOOK_NS) - 0.5).abs() < 1e-9);
        assert!((rest(3 * LOOK_NS) - 0.125).abs() < 1e-9);
        assert!((rest(LOOK_NS / 4).powi(4) - 0.5).abs() < 1e-9);
        assert!(weight(0.5, LOOK_NS / 100) < 0.01);
    }

    #[test]
    fn the_costliest_go_first_and_no_more_than_needed() {
        assert_eq!(shed(&[1.0, 9.0, 3.0, 2.0], 15.0), [0; 0]);
        assert_eq!(shed(&[1.0, 9.0, 3.0, 2.0], 14.0), [1]);
        assert_eq!(shed(&[1.0, 9.0, 3.0, 2.0], 5.0), [1, 2]);
        assert_eq!(shed(&[1.0, 9.0, 3.0, 2.0], 0.5), [1, 2, 3, 0]);
        assert_eq!(shed(&[], 0.0), [0; 0]);
    }
}
