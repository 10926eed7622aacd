//! The look before arming: a short count of entries alone predicts what the probes would cost, and
//! functions that would break the budget are left out.
//!
//! The count costs the target something too, so it ends early where its own hits have cost a certain
//! time; what that has shown to be too much is left out of the next round.

use std::time::Duration;

use goinstr_common::control::PHASE_RECORDING;
use tokio::time::sleep;

use super::{Allowance, HitCosts, Load, moment::at_a_moment, over_budget, rounded, share};
use crate::{
    aggregate::End,
    attach::{AttachError, Attached, Method, Settings, ValueCosts, Watch, features},
    plan::{ProbePlan, Skipped},
    session::{clock::monotonic_ns, ending::Ending},
    target::Target,
};

/// How long entries are counted.
const WINDOW: Duration = Duration::from_millis(250);
/// How often what they have cost is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// What the hits of one round may cost the target, in ns: less than a time slice of the scheduler's.
const OWN_COST_NS: u64 = 10_000_000;
/// Rounds: each but the last has left something out.
const ROUNDS: usize = 4;

/// Functions that are counted also where each site takes some tenths of a second to go.
const FEW: usize = 10;

/// What came of the look.
pub(in crate::session) enum Looked {
    /// It was taken as far as it is.
    Whole {
        /// Which of the functions that stay were called, as far as that was looked at.
        called: Vec<bool>,
    },
    /// A signal ended it.
    Ended,
}

/// Leaves the functions out of `plan` that would break the budget.
///
/// # Errors
/// Those of arming.
pub(in crate::session) async fn leave_out(
    plan: &mut ProbePlan,
    target: &Target,
    (settings, values): (&Settings, ValueCosts),
    percent: f64,
    ending: &mut Ending,
) -> Result<Looked, AttachError> {
    let mut called = vec![false; plan.functions.len()];
    let one_by_one = settings.method == Some(Method::PerfEvent) || !features::has_uprobe_multi();
    if one_by_one && plan.functions.len() > FEW {
        log::warn!(
            "no look before arming: taking {} functions' probes out again would take too long here, so \
             --max-overhead is kept from the first moments on and not before",
            plan.functions.len()
        );
        return Ok(Looked::Whole { called });
    }
    for round in 0..ROUNDS {
        if plan.functions.is_empty() {
            break;
        }
        let counted = count(plan, target, (settings, values), percent, ending).await?;
        let Some(counted) = counted else {
            return Ok(Looked::Ended);
        };
        for (called, load) in called.iter_mut().zip(&counted.loads) {
            *called |= load.calls > 0.0;
        }
        let gone = over_budget(counted.loads, counted.allowed);
        let done = counted.whole || gone.is_empty();
        log::debug!(
            "preflight {round}: {:?}, whole {}, {} functions over the budget of {}",
            counted.elapsed,
            counted.whole,
            gone.len(),
            share(counted.allowed)
        );
        remove(plan, &mut called, &gone, counted.allowed);
        // What comes while the kernel takes the sites out is heard only now.
        if ending.is_wanted().await {
            return Ok(Looked::Ended);
        }
        if done {
            break;
        }
    }
    Ok(Looked::Whole { called })
}

/// What a round has shown.
struct Counted {
    loads: Vec<Load>,
    /// What all together may cost, in ns a second.
    allowed: f64,
    elapsed: Duration,
    /// Whether it was not ended early.
    whole: bool,
}

/// Counts entries, each hit of a loop as well; `None`: a signal ended it.
async fn count(
    plan: &ProbePlan,
    target: &Target,
    (settings, values): (&Settings, ValueCosts),
    percent: f64,
    ending: &mut Ending,
) -> Result<Option<Counted>, AttachError> {
    let follows = settings.watch == Watch::Calls;
    let mut bare = plan.clone();
    bare.captures = None;
    bare.states = None;
    for function in &mut bare.functions {
        // Nothing is to be followed.
        function.reenters = false;
    }
    let settings = Settings {
        watch: Watch::Entries {
            callers: false,
            told: false,
        },
        shedding: false,
        ..settings.clone()
    };
    let costs = settings.costs;
    let attached = Attached::arm(&bare, &target.open_path(), &settings)?;
    let mut allowance = Allowance::new(percent, target);
    let began = monotonic_ns();
    attached.kernel.set_phase(PHASE_RECORDING);
    let functions = 0..u32::try_from(plan.functions.len()).unwrap_or(u32::MAX);
    let entry = |id| u64::from(attached.kernel.entry_costs(id).entry_ns(costs.exit_ns));
    let (counts, elapsed, whole) = loop {
        let over = tokio::select! {
            biased;
            end = ending.wait() => Some(end),
            () = sleep(LOOK) => None,
        };
        if let Some(End::Signal) = over {
            drop(attached.disarm());
            return Ok(None);
        }
        let (now, counts) = at_a_moment(monotonic_ns, || -> Vec<u64> {
            let entries = |id| attached.kernel.totals(id).entries;
            functions.clone().map(entries).collect()
        });
        let elapsed = Duration::from_nanos(now - began);
        let cost: u64 = counts
            .iter()
            .zip(functions.clone())
            .map(|(count, id)| count * entry(id))
            .sum();
        // Of a target that has gone no more is to be seen.
        let whole = elapsed >= WINDOW || over.is_some();
        if whole || cost > OWN_COST_NS {
            #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
            allowance.look(now - began, cost as f64);
            break (counts, elapsed, whole);
        }
    };
    let load = |(count, id): (u64, u32)| {
        let planned = plan.functions.get(id as usize);
        // How many of a looping function's hits are calls is not known: what its returns cost, the
        // watch will see.
        let returns = follows && planned.is_some_and(|f| !f.exits.is_empty() && !f.reenters);
        let captures = plan.captures.as_ref();
        let capture = captures.and_then(|captures| captures.functions.get(id as usize));
        let hit = HitCosts::new(costs, attached.kernel.entry_costs(id), returns)
            .with_values(values, capture);
        #[expect(clippy::cast_precision_loss, reason = "rates need no 53 bits")]
        let calls = count as f64 / elapsed.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of one hit")]
        let cost = calls * (hit.entry_ns + hit.exit_ns) as f64;
        Load {
            function: id,
            calls,
            cost,
        }
    };
    let loads = counts
        .into_iter()
        .zip(functions.clone())
        .map(load)
        .collect();
    drop(attached.disarm());
    Ok(Some(Counted {
        loads,
        allowed: allowance.ns_per_second(),
        elapsed,
        whole,
    }))
}

/// Takes functions out of the plan, the costliest first among what is skipped, and out of `called`.
fn remove(plan: &mut ProbePlan, called: &mut Vec<bool>, gone: &[Load], allowed: f64) {
    for load in gone {
        let Some(function) = plan.functions.get(load.function as usize) else {
            continue;
        };
        plan.skipped.push(Skipped {
            function: function.name.clone(),
            reason: "over_budget",
            detail: format!(
                "{} calls/s would cost {}, and all together may cost {}; --max-overhead allows more, --no-guard all",
                crate::sink::count(rounded(load.calls)),
                share(load.cost),
                share(allowed)
            ),
        });
    }
    let goes = |index: usize| gone.iter().any(|load| load.function as usize == index);
    plan.take_out(goes);
    let mut indices = 0..;
    called.retain(|_| indices.next().is_some_and(|index| !goes(index)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{CapturePlan, FunctionCapture, PlannedFunction, Redaction};
    use crate::sink::sample;

    fn names(functions: &[PlannedFunction]) -> Vec<&str> {
        functions.iter().map(|f| f.name.as_str()).collect()
    }

    #[test]
    fn what_belongs_to_a_function_stays_with_it() {
        let mut plan = sample::plan();
        let of = |bytes| FunctionCapture {
            bytes,
            ..FunctionCapture::default()
        };
        plan.captures = Some(CapturePlan {
            functions: (0..5).map(of).collect(),
            arguments: true,
            results: false,
            types: None,
            redaction: Redaction::default(),
            go_minor: None,
            conditional: false,
        });
        plan.roots = Some(vec![true, false, false, true, false]);
        let whole = plan.clone();
        let gone = [2, 0].map(|function| Load {
            function,
            calls: 1e6,
            cost: 1e9,
        });
        let mut called = vec![true, false, true, false, true];
        remove(&mut plan, &mut called, &gone, 5e7);
        assert_eq!(called, [false, false, true]);
        let all = names(&whole.functions);
        assert_eq!(names(&plan.functions), [all[1], all[3], all[4]]);
        assert_eq!(plan.roots, Some(vec![false, true, false]));
        let captures = plan.captures.expect("captures").functions;
        let bytes: Vec<u32> = captures.iter().map(|of| of.bytes).collect();
        assert_eq!(bytes, [1, 3, 4]);
        let skipped = &plan.skipped[whole.skipped.len()..];
        let told: Vec<_> = skipped
            .iter()
            .map(|one| (one.function.as_str(), one.reason))
            .collect();
        assert_eq!(told, [(all[2], "over_budget"), (all[0], "over_budget")]);
    }
}
