//! A count: how often functions are called, by whom, and each call as it begins; from entry sites alone.

use std::{collections::HashMap, io, time::Duration};

use goinstr_common::{
    caller::{CallerKey, UNREADABLE},
    control::{PHASE_CLOSING, PHASE_RECORDING},
    counter::DROPPED_RECORDS,
};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{
    SessionError, budget,
    clock::{Clock, monotonic_ns},
    config::Config,
    ending::Ending,
    guard::{self, Allowance, Guard, Told, share},
    heart::{Heart, Sign},
    leaving::leave,
    ledger,
    measurement::{info, settings},
    preparing::Prepared,
    telling::{Telling, say_kept_back},
    turn::{LOOP_SILENCE, TURN, rest},
};
use crate::{
    aggregate::{CallerReport, End, FunctionReport, Mode, Report},
    attach::{AttachError, Attached, Kernel},
    binary::{GoBinary, Vaddr},
    event::{Event, Reader},
    plan::ProbePlan,
    sink::Sink,
};

/// Arms, counts, disarms, reports.
pub(super) async fn run(
    mut config: Config,
    prepared: Prepared,
    (mut ending, heart): (Ending, &Heart),
    sink: &mut dyn Sink,
) -> Result<End, SessionError> {
    let settings = settings(&config, &prepared);
    let mut attached = Attached::arm(&config.plan, &config.target.open_path(), &settings)?;
    let clock = Clock::now();
    let told = config.mode() == Mode::Entries;
    let calls = match told {
        true => Some(Calls {
            reader: Reader::new(
                attached.kernel.take_ring()?,
                config.plan.functions.len(),
                settings.ring_bytes,
            ),
            telling: Telling::new(&mut config, &settings, clock),
        }),
        false => None,
    };
    let began = monotonic_ns();
    attached.kernel.set_phase(PHASE_RECORDING);
    log::info!("the probes are in place");
    ending.after(config.duration);
    let start = clock.unix_ns(began);
    let mut state = State {
        began,
        clock,
        last_ns: 0,
        reported: vec![0; config.plan.functions.len()],
        output: Ok(()),
        budget: config
            .guard
            .filter(|_| !told)
            .map(|budget| Allowance::new(budget.percent, &config.target)),
        spent_ns: 0,
        calls,
        sign: heart.part("the loop", LOOP_SILENCE),
    };
    let watch = config
        .guard
        .filter(|_| told)
        .map(|budget| budget::watch(&config, &attached.kernel, &prepared, budget));
    let stopper = attached.stopper();
    let mut guard = Guard::start(watch, attached.shedder(), Some(stopper), heart)?;
    state.output = sink.session(&info(&config, &attached, start), &config.plan);
    let waiting = (&mut ending, &mut guard);
    let end = state.watch(&config, &attached, waiting, sink).await?;
    state.sign.rest();
    for told in guard.rest() {
        state.hear(&config, told, sink);
    }
    attached.kernel.set_phase(PHASE_CLOSING);
    // Disarming takes a while that no rate may count.
    let elapsed = monotonic_ns() - began;
    let held = attached.is_held();
    if end == End::Signal {
        leave(&attached);
    }
    let kernel = attached.disarm();
    while !state.drain(&config, sink) {}
    say_kept_back(&config, &kernel);
    let report = state.report(&config, &kernel, elapsed)?;
    let ledger = ledger::of_count(&kernel, config.mode(), end);
    if state.output.is_ok() {
        state.output = sink.finish(&report, &ledger);
    }
    match state.output {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(SessionError::Output(error)),
        _ if !held => Err(AttachError::HolderGone.into()),
        _ => Ok(end),
    }
}

/// How often the sink is asked whether it wants the end.
const LOOK: Duration = Duration::from_millis(100);

/// What changes while it is counted.
struct State {
    began: u64,
    clock: Clock,
    /// When the last report was made, since the beginning.
    last_ns: u64,
    /// Calls in the last report, by function.
    reported: Vec<u64>,
    /// How writing went so far; after an error nothing more is written.
    output: io::Result<()>,
    /// Until it was told that the count costs more; a trace is ended for that.
    budget: Option<Allowance>,
    /// What the probes had cost at the last report, ns.
    spent_ns: u64,
    /// Where each call is told of.
    calls: Option<Calls>,
    /// That the loop goes round.
    sign: Sign,
}

/// The calls as they begin.
struct Calls {
    reader: Reader,
    telling: Telling,
}

impl State {
    /// Reports until the end comes.
    async fn watch(
        &mut self,
        config: &Config,
        attached: &Attached,
        (ending, guard): (&mut Ending, &mut Guard),
        sink: &mut dyn Sink,
    ) -> Result<End, SessionError> {
        let mut reports = interval_at(Instant::now() + config.interval, config.interval);
        reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = 0;
        loop {
            self.sign.show();
            if self.output.is_err() {
                // Nobody reads any more: counting on would only cost.
                break;
            }
            tokio::select! {
                biased;
                end = ending.wait() => return Ok(end),
                told = guard.told() => {
                    self.hear(config, told, sink);
                    break;
                }
                _ = reports.tick() => {}
                () = rest(self.pause()) => {
                    self.drain(config, sink);
                    if sink.wants_end() {
                        break;
                    }
                    continue;
                }
            }
            self.drain(config, sink);
            if config.target.is_over() {
                return Ok(End::TargetExit);
            }
            if !attached.is_held() {
                break;
            }
            let report = self.report(config, &attached.kernel, monotonic_ns() - self.began)?;
            self.mind_the_budget(&report);
            self.output = sink.interval(number, &report);
            number += 1;
        }
        Ok(End::Signal)
    }

    /// Hears that the guard can't keep the budget, or is gone. It tells nothing else: nothing is shed, and no states
    /// are followed.
    fn hear(&mut self, config: &Config, told: Told, sink: &mut dyn Sink) {
        match told {
            Told::TooLoud { shed, at_ns } => {
                let times = (self.began, at_ns);
                if let Some(event) = budget::shed_event(&config.plan, &shed, self.clock, times) {
                    if self.output.is_ok() {
                        self.output = sink.shed(&event);
                    }
                    budget::tell_end(&event);
                }
            }
            Told::Gone => log::error!("{}", guard::GONE),
            Told::Shed { .. } | Told::StatesTooDear(_) | Told::Failed(_) => {}
        }
    }

    /// How long nothing has to be looked at.
    fn pause(&self) -> Duration {
        let pause = self.calls.as_ref().map(|calls| calls.reader.pause());
        pause.map_or(LOOK, |pause| pause.min(LOOK))
    }

    /// Takes calls that are in the ring buffer, where they are told of, for one turn; whether there are no more.
    fn drain(&mut self, config: &Config, sink: &mut dyn Sink) -> bool {
        let Self { calls, output, .. } = self;
        let Some(Calls { reader, telling }) = calls else {
            return true;
        };
        let drained = reader.drain(TURN, |event| {
            if let Event::Begun(call, beside) = event
                && output.is_ok()
                && let Some(call) = telling.of_begun(&call, &beside, config)
            {
                *output = sink.begun(&call);
            }
        });
        drained.emptied
    }

    /// Says once that the count costs more than the budget. Nothing is shed: while a site's link is
    /// changed for another, a call that is not followed could be counted by both or by neither.
    fn mind_the_budget(&mut self, report: &Report) {
        let (Some(budget), Some(spent)) = (&mut self.budget, report.books.probe_cost_ns) else {
            return;
        };
        let cost = spent.saturating_sub(self.spent_ns);
        self.spent_ns = spent;
        #[expect(clippy::cast_precision_loss, reason = "rates need no 53 bits")]
        let (cost, interval) = (cost as f64, report.interval_ns as f64 / 1e9);
        budget.look(report.interval_ns, cost);
        let (costs, allowed) = (cost / interval, budget.ns_per_second());
        if interval > 0.0 && costs > allowed {
            log::warn!(
                "the count costs {}, and --max-overhead allows {}: choose fewer functions",
                share(costs),
                share(allowed)
            );
            self.budget = None;
        }
    }

    fn report(
        &mut self,
        config: &Config,
        kernel: &Kernel,
        elapsed_ns: u64,
    ) -> Result<Report, AttachError> {
        let interval_ns = elapsed_ns - self.last_ns;
        self.last_ns = elapsed_ns;
        let functions = self
            .reported
            .iter_mut()
            .zip(0..)
            .map(|(reported, function)| {
                let calls = kernel.totals(function).entries;
                FunctionReport {
                    function,
                    calls,
                    calls_in_interval: calls - std::mem::replace(reported, calls),
                    ..FunctionReport::default()
                }
            });
        let functions: Vec<_> = functions.collect();
        let binary = config
            .count
            .as_ref()
            .and_then(|count| count.callers.as_ref());
        let callers = match binary {
            Some(binary) => named(binary, &config.plan, &functions, &kernel.callers()?),
            None => Vec::new(),
        };
        Ok(Report {
            elapsed_ns,
            dropped_records: kernel.counter(DROPPED_RECORDS),
            interval_ns,
            functions,
            callers,
            books: ledger::books(kernel),
        })
    }
}

/// Calls by function and caller; most calls first within a function.
///
/// Calls whose caller is not known come last: the return address was not to be read, lies in no
/// function of the file, or found no room in the table.
fn named(
    binary: &GoBinary,
    plan: &ProbePlan,
    functions: &[FunctionReport],
    counted: &[(CallerKey, u64)],
) -> Vec<CallerReport> {
    let mut calls: HashMap<(u32, String), u64> = HashMap::new();
    for (key, of_place) in counted {
        if let Some(name) = name(binary, plan, key) {
            *calls.entry((key.func, name)).or_default() += of_place;
        }
    }
    let mut callers: Vec<_> = calls
        .into_iter()
        .map(|((function, name), calls)| CallerReport {
            function,
            caller: Some(name),
            calls,
        })
        .collect();
    let mut unknown: Vec<u64> = functions.iter().map(|function| function.calls).collect();
    for caller in &callers {
        if let Some(rest) = unknown.get_mut(caller.function as usize) {
            // The table is read while calls go on, after the functions.
            *rest = rest.saturating_sub(caller.calls);
        }
    }
    callers.sort_by(|a, b| {
        let by_name = || a.caller.cmp(&b.caller);
        a.function
            .cmp(&b.function)
            .then_with(|| b.calls.cmp(&a.calls))
            .then_with(by_name)
    });
    let unknown = unknown.into_iter().zip(0..).filter(|&(calls, _)| calls > 0);
    callers.extend(unknown.map(|(calls, function)| CallerReport {
        function,
        caller: None,
        calls,
    }));
    // Stable: within a function the order is as it was.
    callers.sort_by_key(|caller| caller.function);
    callers
}

/// Name of the innermost function at the place that calls.
fn name(binary: &GoBinary, plan: &ProbePlan, key: &CallerKey) -> Option<String> {
    if key.distance == UNREADABLE {
        return None;
    }
    let entry = plan.functions.get(key.func as usize)?.entry;
    if entry.file != 0 {
        // A library's own addresses say nothing of where its callers are.
        return None;
    }
    // The call ends where it returns to, and that may be another function's line already.
    let call = entry.address.0.wrapping_add(key.distance).wrapping_sub(1);
    binary
        .innermost_name(Vaddr(call))
        .map(|name| name.into_owned())
}
