//! One measurement from arming to the final report: wires the stages, owns the order of start and stop.

mod budget;
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
mod heart;
mod inflight;
mod leaving;
mod ledger;
mod left_behind;
mod measurement;
mod preparing;
mod retirement;
mod stacks;
mod target_types;
mod telling;
mod turn;
mod waits;

pub use config::{Budget, Config, Count, Duty, RING_BYTES, ReturnsBy};
pub use cover::{CoverConfig, cover};
pub use error::SessionError;
pub use inflight::{InflightConfig, inflight};
pub use measurement::nanos;

use self::{dead_man::Switch, ending::Ending, heart::Heart};
use crate::{aggregate::End, sink::Sink};

/// Measures until the end comes, and reports to `sink` all the while.
///
/// When this returns, whatever it returns, nothing is left in the kernel or in the target.
pub fn run(mut config: Config, sink: &mut dyn Sink) -> Result<End, SessionError> {
    // Before there is a runtime: it forks.
    let mut prepared = preparing::prepare(&config)?;
    let switch = config.dead_man.then(Switch::start);
    let switch = switch.transpose().map_err(SessionError::Runtime)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(SessionError::Runtime)?;
    // From the first probe in the target to the last.
    let heart = Heart::start(switch).map_err(SessionError::Thread)?;
    runtime.block_on(async {
        // Before anything is armed: a signal that comes meanwhile ends it in good order.
        let mut ending = Ending::of(&config.target)?;
        if let Some(budget) = config.guard {
            prepared.called =
                budget::leave_out(&mut config, &prepared, budget, &mut ending).await?;
        }
        match config.count {
            None => measurement::run(config, prepared, (ending, &heart), sink).await,
            Some(_) => counting::run(config, prepared, (ending, &heart), sink).await,
        }
    })
}
