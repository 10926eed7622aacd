//! One measurement from arming to the final report: wires the stages, owns the order of start and stop.

mod clock;
mod config;
mod counting;
mod cover;
mod dead_man;
pub mod doctor;
mod ending;
mod error;
mod guard;
mod inflight;
mod ledger;
mod measurement;
mod retirement;

pub use config::{Budget, Config, Count, RING_BYTES};
pub use cover::{CoverConfig, cover};
pub use error::SessionError;
pub use inflight::{InflightConfig, inflight};
pub use measurement::nanos;

use self::dead_man::Switch;
use crate::{
    aggregate::End,
    attach::{Costs, Watch, calibration},
    sink::Sink,
};

/// Measures until the end comes, and reports to `sink` all the while.
///
/// When this returns, whatever it returns, nothing is left in the kernel or in the target.
pub fn run(mut config: Config, sink: &mut dyn Sink) -> Result<End, SessionError> {
    // Before there is a runtime: it forks.
    let costs = if config.raw && config.guard.is_none() {
        Costs::default()
    } else {
        calibration::measure(
            config.plan.layout,
            config.method,
            calibrated(&config),
            config.plan.states.is_some(),
        )?
    };
    if let Some(budget) = config.guard
        && config.count.is_none()
    {
        leave_out(&mut config, costs, budget)?;
    }
    let switch = config.dead_man.then(Switch::start);
    let switch = switch.transpose().map_err(SessionError::Runtime)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(SessionError::Runtime)?;
    runtime.block_on(async {
        match config.count {
            None => measurement::run(config, costs, switch, sink).await,
            Some(_) => counting::run(config, costs, switch, sink).await,
        }
    })
}

/// Leaves out of the plan what would break the budget.
fn leave_out(config: &mut Config, costs: Costs, budget: Budget) -> Result<(), SessionError> {
    let settings = measurement::settings(config, costs);
    let target = &config.target;
    guard::preflight::leave_out(&mut config.plan, target, &settings, budget.percent)?;
    match (config.plan.functions.as_slice(), config.plan.skipped.last()) {
        ([], Some(last)) => Err(SessionError::OverBudget {
            function: last.function.clone(),
            detail: last.detail.clone(),
        }),
        _ => Ok(()),
    }
}

/// What the calibration has to watch: a count follows the calls of some functions too, and those
/// cost more than the others.
fn calibrated(config: &Config) -> Watch {
    if config
        .plan
        .functions
        .iter()
        .any(|function| function.reenters)
    {
        Watch::Calls
    } else {
        config.watch()
    }
}
