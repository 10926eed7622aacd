//! `goinstr attach`: measures the chosen functions of a process.

use std::io::Write;

use super::args::Format;
use super::config::Attach;
use super::failure::Failure;
use super::{subject, verified};
use crate::binary::GoBinary;
use crate::plan::{ProbePlan, StatePlan};
use crate::session;
use crate::sink::{JsonSink, Sink, Size, TableOptions, TableSink, TerminalSink};
use crate::target::Target;

/// Measures until the end that `attach` says, the user or the target brings about.
pub(super) fn run(attach: &Attach) -> Result<(), Failure> {
    let mut target = Target::find(&attach.selection).map_err(Failure::failed)?;
    let (binary, mut plan) = subject::planned(&mut target, &attach.patterns)?;
    if attach.states {
        plan.states = Some(states(&binary)?);
    }
    if attach.duty.is_some() {
        plan.leave_out_loops("--duty")?;
    }
    plan.captures = attach.capture.plan(&binary, &plan)?;
    explain(&target, &plan);
    verified::verify(&target, &binary, &plan.layout)?;
    // Before anything is armed: a path that can't be written must not cost the target a hit.
    let out = attach.output.open_unwaiting()?;
    let delivery = out.delivery();
    let slower_than = attach.slower_than.map(session::nanos);
    let full_screen = attach.views.full_screen(&attach.output);
    let main = sink(attach, out, full_screen);
    let mut sink = attach.views.around(main, slower_than, full_screen)?;
    let go_version = binary.go_version().map(str::to_owned);
    let arch = binary.arch().name();
    let load_bias = subject::load_bias(&target, &binary);
    // The tables of a large binary are not needed while it is measured, but to name what calls.
    let (callers, stacks) = match (attach.callers, attach.stack) {
        (true, _) => (Some(binary), None),
        (false, true) => (None, Some(binary)),
        (false, false) => (None, None),
    };
    let config = session::Config {
        condition: attach.capture.condition.clone(),
        plan,
        go_version,
        arch,
        count: attach.count.then_some(session::Count {
            callers,
            told: false,
        }),
        duration: attach.duration,
        interval: attach.interval,
        slower_than: attach.slower_than,
        chains: attach.slower_than.is_some(),
        stacks,
        raw: attach.raw,
        aggregation: attach.aggregation,
        ring_bytes: attach.ring_bytes,
        method: attach.method,
        // Windows and generations of links don't go together; a tenth of the cost is its own budget.
        guard: attach.guard.filter(|_| attach.duty.is_none()),
        duty: attach.duty,
        dead_man: attach.guard.is_some(),
        returns_by: attach.returns_by,
        load_bias,
        target,
    };
    attach
        .output
        .delivered(delivery.as_ref(), session::run(config, sink.as_mut()))
}

/// Where the program changes goroutines' states.
pub(super) fn states(binary: &GoBinary) -> Result<StatePlan, Failure> {
    StatePlan::of(binary).ok_or_else(|| {
        Failure::failed(
            "--states: this program has no runtime.casgstatus that can be probed; measure without --states",
        )
    })
}

/// What is not wrong, and may still surprise.
pub(super) fn explain(target: &Target, plan: &ProbePlan) {
    let exe = target.exe().display();
    match target {
        Target::Process(process) => {
            log::info!("process {} ({}) runs {exe}", process.pid(), process.comm());
            if process.executable_deleted() {
                log::info!("{exe} was replaced or deleted since: what still runs is measured");
            }
        }
        Target::Executable { running, .. } if running.is_empty() => {
            log::warn!("no process runs {exe} yet: waiting for one");
        }
        Target::Executable { running, .. } => {
            for process in running {
                log::info!("process {} ({}) runs {exe}", process.pid(), process.comm());
            }
        }
    }
    let exits: usize = plan
        .functions
        .iter()
        .map(|function| function.exits.len())
        .sum();
    log::info!(
        "{} functions with {exits} returns planned, {} skipped; runtime offsets: {:?}",
        plan.functions.len(),
        plan.skipped.len(),
        plan.layout.source
    );
    if plan.unwind.recovery.is_none() {
        log::info!("runtime.recovery was not found: calls that a panic ends are noticed later");
    }
}

fn sink(attach: &Attach, out: impl Write + 'static, full_screen: bool) -> Box<dyn Sink> {
    match attach.output.format {
        Format::Json => Box::new(JsonSink::new(out, attach.intervals)),
        Format::Table => {
            let options = TableOptions {
                sort: attach.sort,
                limit: attach.limit,
                color: attach.output.color(),
                live: attach
                    .output
                    .is_terminal()
                    .then_some(|| Size::of(std::io::stdout())),
            };
            if full_screen {
                let slower_than = attach.slower_than.map(session::nanos);
                return Box::new(TerminalSink::new(out, options, slower_than));
            }
            Box::new(TableSink::new(out, options))
        }
    }
}
