//! One measurement from arming to the final report: wires the stages, owns the order of start and stop.

mod clock;
mod config;
mod ending;
mod error;
mod ledger;
mod measurement;

pub use config::{Config, RING_BYTES};
pub use error::SessionError;

use crate::{
    aggregate::End,
    attach::{Costs, calibration},
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
        calibration::measure(config.plan.layout, config.method)?
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(SessionError::Runtime)?;
    runtime.block_on(measurement::run(config, costs, sink))
}
