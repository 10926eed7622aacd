//! The ways to run the same calls.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use goinstr::{
    attach::{
        Aggregation, Attached, Costs, ProgramSize, Scope, Settings,
        calibration::{self, Trial},
    },
    binary::GoBinary,
    plan::{Pattern, ProbePlan, Site, plan},
};
use goinstr_common::control::{PHASE_CLOSING, PHASE_RECORDING};

use crate::{draining::Draining, target::Target};

const RING_BYTES: u32 = 4 << 20;

/// A way to run the calls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Untraced,
    Idle,
    Kernel,
    Ring,
    KernelFirstByte,
    EntryOnly,
}

impl Way {
    pub const ALL: [Self; 6] = [
        Self::Untraced,
        Self::Idle,
        Self::Kernel,
        Self::Ring,
        Self::KernelFirstByte,
        Self::EntryOnly,
    ];

    pub fn index(self) -> usize {
        Self::ALL.iter().position(|&way| way == self).unwrap_or(0)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Untraced => "untraced",
            Self::Idle => "probes at the same two sites that do nothing",
            Self::Kernel => "traced, aggregated in the kernel",
            Self::Ring => "traced, every call through the ring buffer",
            Self::KernelFirstByte => "traced at the first byte and the return",
            Self::EntryOnly => "a probe that does nothing at the entry alone",
        }
    }

    /// Times calls of `main.work` in this way; ns per call.
    pub fn time(self, exe: &Path, target: &mut Target, calls: u64) -> Result<f64> {
        self.time_and(exe, target, calls, || Ok(()))
    }

    /// The same, and looks at what is loaded before it goes.
    pub fn time_and(
        self,
        exe: &Path,
        target: &mut Target,
        calls: u64,
        look: impl FnOnce() -> Result<()>,
    ) -> Result<f64> {
        if self == Self::Untraced {
            return target.time("work", calls * 100);
        }
        let mut plan = plan_of(exe, "main.work")?;
        match self {
            Self::KernelFirstByte => plan.functions[0].entry = first_byte(exe, "main.work")?,
            Self::EntryOnly => plan.functions[0].exits.clear(),
            _ => {}
        }
        let aggregation = if self == Self::Ring {
            Aggregation::Ring
        } else {
            Aggregation::Kernel
        };
        let mut attached = Attached::arm(
            &plan,
            exe,
            &settings(target.pid(), aggregation, Costs::default()),
        )?;
        if matches!(self, Self::Idle | Self::EntryOnly) {
            let took = target.time("work", calls);
            drop(attached.disarm());
            return took;
        }
        let draining = Draining::start(&mut attached.kernel, RING_BYTES)?;
        attached.kernel.set_phase(PHASE_RECORDING);
        let took = target.time("work", calls)?;
        attached.kernel.set_phase(PHASE_CLOSING);
        look()?;
        let kernel = attached.disarm();
        let records = draining.end()?;
        // A benchmark of calls that were not measured would be worth nothing.
        ensure!(
            kernel.totals(0).returned == calls,
            "{} of {calls} calls were counted",
            kernel.totals(0).returned
        );
        ensure!(
            self != Self::Ring || records as u64 == calls,
            "{records} of {calls} records came"
        );
        Ok(took)
    }
}

/// The sizes of the kernel programs as they are loaded to measure durations.
pub fn sizes(exe: &Path) -> Result<Vec<ProgramSize>> {
    let plan = plan_of(exe, "main.work")?;
    let costs = calibration::measure(&Trial {
        layout: plan.layout,
        ..Trial::default()
    })?;
    let settings = settings(std::process::id(), Aggregation::Kernel, costs);
    Ok(ProgramSize::of_all(&plan, &settings)?)
}

/// Settings for measuring one process.
pub fn settings(pid: u32, aggregation: Aggregation, costs: Costs) -> Settings {
    Settings {
        aggregation,
        ring_bytes: RING_BYTES,
        costs,
        ..Settings::of(Scope::Process {
            pid,
            kernel_pid: Some(pid),
        })
    }
}

/// The plan for the functions that a pattern chooses.
pub fn plan_of(exe: &Path, pattern: &str) -> Result<ProbePlan> {
    let binary = GoBinary::open(exe)?;
    Ok(plan(&binary, &[Pattern::parse(pattern)?])?)
}

fn first_byte(exe: &Path, name: &str) -> Result<Site> {
    let binary = GoBinary::open(exe)?;
    let function = binary.named(name).next().context("no such function")?;
    let offset = binary
        .file_offset(function.entry)
        .context("not in the file")?;
    Ok(Site {
        file: 0,
        address: function.entry,
        offset,
    })
}
