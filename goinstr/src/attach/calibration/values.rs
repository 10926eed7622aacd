//! What reading values costs: arguments and results of each call, by the steps that a function has for them.
//!
//! The child's functions are told of as they begin, one without values and one with. Beside an entry alone the
//! difference shows: that of two single steps may be larger than it is.

use std::{io, path::Path};

use goinstr_common::{
    capture::{NO_COUNT, REGISTER_BYTES, STACK_POINTER, Step},
    control::{PHASE_CLOSING, PHASE_RECORDING},
};

use super::{Child, Trial};
use crate::{
    attach::{AttachError, Attached, Settings, ValueCosts, Watch, beside::beside},
    plan::{CapturePlan, FunctionCapture, ProbePlan, Redaction},
};

/// Steps of the function that has values.
const STEPS: u32 = 28;
/// Bytes that each copies: a word or two is what most of them do.
const BYTES: u32 = 16;
/// Room for all records: one that finds none costs less.
const RING_BYTES: u32 = 1 << 20;
/// The child's functions in the plan: without values, and with.
const WITHOUT: usize = 0;
const WITH: usize = 2;

/// Measures it.
///
/// # Errors
/// As [`super::measure`].
pub fn measure_values(trial: &Trial) -> Result<ValueCosts, AttachError> {
    let io = |source| AttachError::Calibration { source };
    let mut child = Child::start().map_err(io)?;
    let plan = plan(trial).map_err(io)?;
    let settings = Settings {
        watch: Watch::Entries {
            callers: false,
            told: true,
        },
        ring_bytes: RING_BYTES,
        method: trial.method,
        ..Settings::of(child.scope())
    };
    let attached = Attached::arm(&plan, Path::new("/proc/self/exe"), &settings)?;
    attached.kernel.set_phase(PHASE_RECORDING);
    let times = child.run(trial.layout.goid).map_err(io)?;
    attached.kernel.set_phase(PHASE_CLOSING);
    // As above.
    beside(move || drop(attached.disarm()));
    let means = times.means();
    let all = means[WITH].saturating_sub(means[WITHOUT]);
    let costs = ValueCosts::of_call_with(STEPS, all);
    log::debug!("values cost {costs:?}");
    Ok(costs)
}

/// The functions, of which one has values: words at its stack pointer, again and again.
fn plan(trial: &Trial) -> io::Result<ProbePlan> {
    let (mut plan, _) = super::plan(trial.layout, false)?;
    for function in &mut plan.functions {
        // Nothing is followed.
        function.reenters = false;
    }
    let registers = u32::try_from(REGISTER_BYTES).unwrap_or(u32::MAX);
    let pointer = u32::try_from(STACK_POINTER * 8).unwrap_or(u32::MAX);
    let step = |number: u32| Step {
        address: pointer,
        add: 0,
        to: registers + number * BYTES,
        most: BYTES,
        count: NO_COUNT,
        each: 0,
    };
    let with = FunctionCapture {
        entry: (0..STEPS).map(step).collect(),
        bytes: registers + STEPS * BYTES,
        ..FunctionCapture::default()
    };
    let mut functions = vec![FunctionCapture::default(); plan.functions.len()];
    if let Some(function) = functions.get_mut(WITH) {
        *function = with;
    }
    plan.captures = Some(CapturePlan {
        functions,
        arguments: true,
        results: false,
        types: None,
        redaction: Redaction::default(),
        go_minor: None,
        conditional: false,
    });
    Ok(plan)
}
