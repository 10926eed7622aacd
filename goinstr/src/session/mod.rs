//! One measurement from arming to the final report: wires the stages, owns the order of start and stop.

mod chains;
mod clock;
mod config;
mod counting;
mod cover;
mod dead_man;
pub mod doctor;
mod duty;
mod ending;
mod error;
mod guard;
mod inflight;
mod leaving;
mod ledger;
mod measurement;
mod preparing;
mod retirement;
mod stacks;
mod target_types;
mod telling;
mod waits;

pub use config::{Budget, Config, Count, Duty, RING_BYTES, ReturnsBy};
pub use cover::{CoverConfig, cover};
pub use error::SessionError;
pub use inflight::{InflightConfig, inflight};
pub use measurement::nanos;

use self::{dead_man::Switch, preparing::Prepared};
use crate::{aggregate::End, plan::ProbePlan, sink::Sink};

/// Measures until the end comes, and reports to `sink` all the while.
///
/// When this returns, whatever it returns, nothing is left in the kernel or in the target.
pub fn run(mut config: Config, sink: &mut dyn Sink) -> Result<End, SessionError> {
    // Before there is a runtime: it forks.
    let prepared = preparing::prepare(&config)?;
    if let Some(budget) = config.guard {
        leave_out(&mut config, prepared, budget)?;
    }
    let switch = config.dead_man.then(Switch::start);
    let switch = switch.transpose().map_err(SessionError::Runtime)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(SessionError::Runtime)?;
    runtime.block_on(async {
        match config.count {
            None => measurement::run(config, prepared, switch, sink).await,
            Some(_) => counting::run(config, prepared, switch, sink).await,
        }
    })
}

/// Leaves out of the plan what would break the budget.
fn leave_out(config: &mut Config, prepared: Prepared, budget: Budget) -> Result<(), SessionError> {
    let settings = measurement::settings(config, prepared);
    let plan = &mut config.plan;
    let before = plan.skipped.len();
    let roots = names_of_roots(plan);
    guard::preflight::leave_out(plan, &config.target, &settings, budget.percent)?;
    let gone = plan.skipped.get(before..).unwrap_or_default();
    // The costliest went first, so the last is the one that a little more would let in.
    if plan.functions.is_empty()
        && let Some(last) = gone.last()
    {
        return Err(SessionError::OverBudget {
            function: last.function.clone(),
            detail: last.detail.clone(),
        });
    }
    if let Some(left) = &plan.roots
        && !left.contains(&true)
        && let Some(last) = gone.iter().rfind(|one| roots.contains(&one.function))
    {
        return Err(SessionError::RootsOverBudget {
            function: last.function.clone(),
            detail: last.detail.clone(),
        });
    }
    if let Some(captures) = &plan.captures
        && !gone.is_empty()
        && captures.functions.iter().all(|of| of.obstacle.is_some())
    {
        log::warn!("of none of the functions that are within the budget can values be read");
    }
    Ok(())
}

/// The functions with which a tree may begin, where not every one may.
fn names_of_roots(plan: &ProbePlan) -> Vec<String> {
    let roots = plan.roots.iter().flatten();
    let functions = plan.functions.iter().zip(roots);
    functions
        .filter(|(_, is_root)| **is_root)
        .map(|(function, _)| function.name.clone())
        .collect()
}
