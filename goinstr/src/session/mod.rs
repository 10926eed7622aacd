//! One measurement from arming to the final report: wires the stages, owns the order of start and stop.

mod clock;
mod config;
mod counting;
mod cover;
pub mod doctor;
mod ending;
mod error;
mod ledger;
mod measurement;
mod retirement;

pub use config::{Config, Count, RING_BYTES};
pub use cover::{CoverConfig, cover};
pub use error::SessionError;

use crate::{
    aggregate::End,
    attach::{Costs, Watch, calibration},
    sink::Sink,
};

/// Measures until the end comes, and reports to `sink` all the while.
///
/// When this returns, whatever it returns, nothing is left in the kernel or in the target.
pub fn run(config: Config, sink: &mut dyn Sink) -> Result<End, SessionError> {
    // Before there is a runtime: it forks.
    let costs = if config.raw {
        Costs::default()
    } else {
        calibration::measure(config.plan.layout, config.method, calibrated(&config))?
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(SessionError::Runtime)?;
    runtime.block_on(async {
        match config.count {
            None => measurement::run(config, costs, sink).await,
            Some(_) => counting::run(config, costs, sink).await,
        }
    })
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
