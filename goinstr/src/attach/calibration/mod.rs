//! Measures what probes cost on this machine, on a child of goinstr's own.
//!
//! The child calls empty functions that carry probes like a Go program's. How long it takes tells
//! what the hits cost; what the kernel program measures tells how much of that falls into a call's
//! own duration.

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
mod empty;

mod child;
mod values;

use std::{io, path::Path};

use goinstr_common::control::{PHASE_CLOSING, PHASE_RECORDING};

pub use self::values::measure_values;

use self::child::{CALLS, Child, FUNCTIONS};
use super::{
    AttachError, Attached, Costs, Kernel, Method, Returns, Settings, Watch, beside::beside,
    costs::EntryCosts, own_text,
};
use crate::{
    binary::{LayoutSource, RecoverySp, RuntimeLayout, Vaddr},
    plan::{PlannedFunction, ProbePlan, Site, StatePlan, UnwindSites},
};

/// Size of the ring buffer: it stays empty.
const RING_BYTES: u32 = 1 << 16;

/// Any layout will do for the child, which keeps to it: this is one of Go's.
pub(super) const SOME_LAYOUT: RuntimeLayout = RuntimeLayout {
    source: LayoutSource::Table,
    goid: 152,
    atomicstatus: 144,
    waitreason: 176,
    parent_goid: None,
    m: 48,
    sched_sp: 56,
    sched_pc: 64,
    sched_bp: 96,
    m_curg: 184,
    recovery: RecoverySp::InG { offset: 0 },
};

/// As what the child is measured.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// The layout of the target, for which the program is the same then.
    pub layout: RuntimeLayout,
    /// How the sites are armed; `None`: in the best way that the kernel has.
    pub method: Option<Method>,
    /// Where only entries are watched, so are the child's: a return then costs nothing.
    pub watch: Watch,
    /// Calls have clocks of their states too.
    pub states: bool,
    /// Calls are looked at one by one, for those to be told of that take long, with their callers.
    pub chains: bool,
    /// The same, with their stacks.
    pub stacks: bool,
    /// The kernel program makes the child's returns. This is also the trial of that: an error if the
    /// child does not live through it or if any of its calls is missing.
    pub by_program: bool,
}

impl Default for Trial {
    /// Durations of calls and nothing beside.
    fn default() -> Self {
        Self {
            layout: SOME_LAYOUT,
            method: None,
            watch: Watch::Calls,
            states: false,
            chains: false,
            stacks: false,
            by_program: false,
        }
    }
}

/// Measures the costs.
///
/// # Errors
/// Those of arming, and [`AttachError::Calibration`] where the child did not do what it should.
pub fn measure(trial: &Trial) -> Result<Costs, AttachError> {
    let io = |source| AttachError::Calibration { source };
    let &Trial { layout, watch, .. } = trial;
    let mut child = Child::start().map_err(io)?;
    let (plan, load_bias) = plan(layout, trial.states).map_err(io)?;
    let settings = Settings {
        watch,
        returns: match trial.by_program {
            true => Returns::Program { load_bias },
            false => Returns::Kernel,
        },
        // No call takes so long: all are looked at, and none is told of.
        slower_than_ns: (trial.chains || trial.stacks).then_some(u64::MAX),
        stacks: trial.stacks,
        chains: trial.chains,
        ring_bytes: RING_BYTES,
        method: trial.method,
        ..Settings::of(child.scope())
    };
    let attached = Attached::arm(&plan, Path::new("/proc/self/exe"), &settings)?;
    attached.kernel.set_phase(PHASE_RECORDING);
    let times = child.run(layout.goid).map_err(io)?;
    attached.kernel.set_phase(PHASE_CLOSING);
    if watch == Watch::Calls {
        all_counted(&attached.kernel).map_err(io)?;
    }
    let costs = match watch {
        Watch::Calls => costs(&times, &attached.kernel),
        Watch::Entries { .. } => entry_costs(&times),
    };
    // Disarming waits for grace periods that nobody here needs: the child is over.
    beside(move || drop(attached.disarm()));
    log::debug!("probes cost {costs:?}");
    Ok(costs)
}

/// The child's functions as a plan: one with an emulated entry, one with a stepped one, and one
/// without a return, whose every hit after the first is one of a loop.
///
/// Its addresses are offsets in the file, and what comes with it is how far above these they are loaded.
fn plan(layout: RuntimeLayout, states: bool) -> io::Result<(ProbePlan, u64)> {
    let site = |address: u64| {
        let offset = own_text::file_offset(address)?;
        Ok::<_, io::Error>(Site {
            file: 0,
            address: Vaddr(offset.0),
            offset,
        })
    };
    let (first, _) = empty::sites(FUNCTIONS[0]);
    let load_bias = first - own_text::file_offset(first)?.0;
    let function = |name: &str, index: usize, returns: bool| {
        let (entry, exit) = empty::sites(FUNCTIONS[index]);
        Ok::<_, io::Error>(PlannedFunction {
            name: name.to_owned(),
            symbol: None,
            location: None,
            entry: site(entry)?,
            reenters: !returns,
            exits: if returns { vec![site(exit)?] } else { vec![] },
            inlined_into: 0,
        })
    };
    let plan = ProbePlan {
        functions: vec![
            function("emulated", 0, true)?,
            function("stepped", 1, true)?,
            function("entry only", 2, false)?,
        ],
        skipped: vec![],
        unwind: UnwindSites::default(),
        libraries: vec![],
        states: states.then(StatePlan::default),
        captures: None,
        roots: None,
        layout,
    };
    Ok((plan, load_bias))
}

/// Each call of the two functions that return has its entry and its return, and none is lost.
fn all_counted(kernel: &Kernel) -> io::Result<()> {
    for function in 0..2 {
        let totals = kernel.totals(function);
        if (totals.entries, totals.returned) != (CALLS as u64, CALLS as u64) {
            return Err(io::Error::other(format!(
                "{} entries and {} returns of {} calls were seen",
                totals.entries, totals.returned, CALLS
            )));
        }
    }
    Ok(())
}

fn costs(times: &child::Times, kernel: &Kernel) -> Costs {
    let [emulated, stepped, entry] = times.means();
    Costs {
        emulated: EntryCosts {
            own_ns: own(kernel, 0),
            pair_ns: emulated,
        },
        stepped: EntryCosts {
            own_ns: own(kernel, 1),
            pair_ns: stepped,
        },
        exit_ns: emulated.saturating_sub(entry),
    }
}

fn entry_costs(times: &child::Times) -> Costs {
    let [emulated, stepped, _] = times.means();
    let entry = |pair_ns| EntryCosts { own_ns: 0, pair_ns };
    Costs {
        emulated: entry(emulated),
        stepped: entry(stepped),
        exit_ns: 0,
    }
}

/// The mean of an empty function's durations, in ns, without the slowest.
fn own(kernel: &Kernel, function: u32) -> u32 {
    let (mut seen, mut sum) = (0, 0);
    for (low, width, calls) in kernel.histogram(function) {
        let here = calls.min(usual(CALLS) as u64 - seen);
        seen += here;
        sum += (low + (width - 1) / 2) * here;
    }
    u32::try_from(sum / seen.max(1)).unwrap_or(u32::MAX)
}

/// How many of so many calls are not of the slowest.
const fn usual(calls: usize) -> usize {
    calls - calls / 20
}
