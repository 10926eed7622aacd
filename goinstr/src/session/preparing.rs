//! What has to be found out by trying before anything is armed in the target: what probes cost, and
//! who makes the returns.

use super::{
    SessionError,
    config::{Config, ReturnsBy},
};
use crate::attach::{
    AttachError, Costs, Method, Returns, ValueCosts, Watch,
    calibration::{self, Trial},
};

/// Who makes the returns where nothing is said and both can.
const BY_DEFAULT: ReturnsBy = ReturnsBy::Kernel;

/// What was found out.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    /// What probes cost; nothing, where nobody asks.
    pub costs: Costs,
    /// What reading values costs beside; nothing, where nobody asks.
    pub values: ValueCosts,
    /// Who makes the returns.
    pub returns: Returns,
    /// Which functions of the plan were called in the look before arming, by index; empty without one.
    pub called: Vec<bool>,
}

/// Tries it on a child of goinstr's own. Forks, so there must be no other thread yet.
pub(super) fn prepare(config: &Config) -> Result<Prepared, SessionError> {
    let watch = calibrated(config);
    let trial = |by_program| Trial {
        layout: config.plan.layout,
        method: config.method,
        watch,
        states: config.plan.states.is_some(),
        chains: config.tells_chains(),
        stacks: config.stacks.is_some(),
        by_program,
    };
    let measure = |by_program| calibration::measure(&trial(by_program));
    // Durations are not corrected for it, so only a budget asks.
    let values = match (&config.plan.captures, config.guard) {
        (Some(_), Some(_)) => calibration::measure_values(&trial(false))?,
        _ => ValueCosts::default(),
    };
    if watch == Watch::Calls
        && let Some(load_bias) = by_program(config)?
    {
        match measure(true) {
            Ok(costs) => {
                return Ok(Prepared {
                    costs,
                    values,
                    returns: Returns::Program { load_bias },
                    called: Vec::new(),
                });
            }
            Err(error) if config.returns_by == Some(ReturnsBy::Program) => {
                return Err(refused(format!(
                    "on a child of goinstr's own it failed: {error}"
                )));
            }
            Err(error) => {
                log::warn!(
                    "returns are single-stepped: made by the program on a child they failed: {error}"
                );
            }
        }
    }
    // A guard needs them whatever becomes of the durations.
    let costs = if config.raw && config.guard.is_none() {
        Costs::default()
    } else {
        measure(false)?
    };
    Ok(Prepared {
        costs,
        values,
        returns: Returns::Kernel,
        called: Vec::new(),
    })
}

/// The load bias, if the program may make the returns.
fn by_program(config: &Config) -> Result<Option<u64>, SessionError> {
    if config.returns_by.unwrap_or(BY_DEFAULT) == ReturnsBy::Kernel {
        return Ok(None);
    }
    let obstacle = if config.method == Some(Method::PerfEvent) {
        // Every kernel that lets it has the better way to arm.
        Some("it is only done with uprobe.multi".to_owned())
    } else {
        Returns::obstacle(config.target.pid().map(|pid| pid.0), config.load_bias)
    };
    match obstacle {
        None => Ok(config.load_bias),
        Some(why) if config.returns_by == Some(ReturnsBy::Program) => Err(refused(why)),
        Some(why) => {
            log::info!("returns are left to the kernel: {why}");
            Ok(None)
        }
    }
}

fn refused(why: String) -> SessionError {
    AttachError::ReturnsByKernel { why }.into()
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
