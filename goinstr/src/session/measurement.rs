//! The measurement itself.

use std::{collections::HashSet, io, time::Duration};

use goinstr_common::{
    control::{PHASE_CLOSING, PHASE_RECORDING},
    counter::{DROPPED_RECORDS, DROPPED_STACKS, UNBINNED, UNCAPTURED},
    record::CallRecord,
    shadow::Frame,
};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{
    SessionError, budget,
    clock::{Clock, monotonic_ns},
    config::Config,
    duty::Windowing,
    ending::Ending,
    guard::{self, Guard, Told},
    heart::{Heart, Sign},
    leaving::leave,
    ledger,
    preparing::Prepared,
    telling::{Telling, say_kept_back},
    turn::{Due, LOOP_SILENCE, TURN, rest},
};
use crate::{
    aggregate::{
        Aggregator, End, FollowedStates, OpenCall, ProbeCosts, Report, SessionInfo, States,
    },
    attach::{Aggregation, AttachError, Attached, Costs, Kernel, Scope, Settings},
    event::{Beside, Diagnostics, Drained, Event, Reader},
    sink::Sink,
    target::{Process, Target},
};

/// Arms, measures, disarms, reports.
pub(super) async fn run(
    mut config: Config,
    prepared: Prepared,
    (mut ending, heart): (Ending, &Heart),
    sink: &mut dyn Sink,
) -> Result<End, SessionError> {
    let mut settings = settings(&config, &prepared);
    if config.raw {
        settings.costs = Costs::default();
    }
    let mut attached = Attached::arm(&config.plan, &config.target.open_path(), &settings)?;
    let mut diagnostics = Diagnostics::new(attached.kernel.take_logger());
    let ring = attached.kernel.take_ring()?;
    let clock = Clock::now();
    let telling = Telling::new(&mut config, &settings, clock);
    let mut state = State {
        reader: Reader::new(ring, config.plan.functions.len(), settings.ring_bytes),
        aggregator: Aggregator::new(config.plan.functions.len())
            .with_distributions(sink.wants_distributions()),
        aggregation: config.aggregation,
        slower_than: settings.slower_than_ns,
        telling,
        clock,
        began: monotonic_ns(),
        ended: None,
        shed: Vec::new(),
        counted: config.duty.map(|_| vec![0; config.plan.functions.len()]),
        output: Ok(()),
        sign: heart.part("the loop", LOOP_SILENCE),
    };
    let windows = attached.take_windows();
    match &windows {
        None => attached.kernel.set_phase(PHASE_RECORDING),
        Some(windows) => windows.begin(),
    }
    log::info!("the probes are in place");
    let windowing = windows
        .zip(config.duty)
        .map(|(windows, duty)| Windowing::start(windows, duty));
    let windowing = windowing.transpose().map_err(SessionError::Thread)?;
    ending.after(config.duration);
    let watch = config
        .guard
        .map(|budget| budget::watch(&config, &attached.kernel, &prepared, budget));
    let mut guard = Guard::start(watch, attached.shedder(), None, heart)?;
    // Told when nothing can keep it from being measured any more: every thread that it takes is there.
    state.output = sink.session(
        &info(&config, &attached, state.clock.unix_ns(state.began)),
        &config.plan,
    );
    let end = state
        .watch(
            &config,
            &attached,
            &mut diagnostics,
            (&mut ending, &mut guard),
            sink,
        )
        .await;
    state.sign.rest();
    for told in guard.rest() {
        state.hear(&config, told, sink);
    }

    // To be dropped after the entries are disarmed: no call is open then whose return goes unseen.
    let windows = match windowing {
        None => {
            attached.kernel.set_phase(PHASE_CLOSING);
            None
        }
        Some(windowing) => Some(windowing.end()),
    };
    state.ended = Some(monotonic_ns());
    let held = attached.is_held();
    if end == End::Signal {
        leave(&attached);
    }
    let kernel = attached.disarm();
    drop(windows);
    state.finish(&config, &kernel, &mut diagnostics, end, sink)?;
    match held {
        true => Ok(end),
        false => Err(AttachError::HolderGone.into()),
    }
}

/// What changes while it is measured.
struct State {
    reader: Reader,
    aggregator: Aggregator,
    aggregation: Aggregation,
    /// Single calls at least this long are told of, in ns.
    slower_than: Option<u64>,
    telling: Telling,
    clock: Clock,
    began: u64,
    /// When no call could open any more. Disarming takes a while that no rate may count.
    ended: Option<u64>,
    /// Functions that were shed, and when, in ns since recording began.
    shed: Vec<(u32, u64)>,
    /// Where durations are measured for part of the time: calls in the last report, by function.
    counted: Option<Vec<u64>>,
    /// How writing went so far; after an error nothing more is written.
    output: io::Result<()>,
    /// That the loop goes round.
    sign: Sign,
}

impl State {
    /// Reports until the end comes.
    async fn watch(
        &mut self,
        config: &Config,
        attached: &Attached,
        diagnostics: &mut Diagnostics,
        (ending, guard): (&mut Ending, &mut Guard),
        sink: &mut dyn Sink,
    ) -> End {
        let kernel = &attached.kernel;
        let mut reports = interval_at(Instant::now() + config.interval, config.interval);
        reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = 0;
        let mut due = None;
        loop {
            self.sign.show();
            if self.output.is_err() {
                // Nobody reads any more: measuring on would only cost.
                return End::Signal;
            }
            if sink.wants_end() {
                return End::Signal;
            }
            tokio::select! {
                biased;
                end = ending.wait() => return end,
                told = guard.told() => if !self.hear(config, told, sink) {
                    return End::Signal;
                },
                _ = reports.tick(), if due.is_none() => {
                    // Before what has come is taken: a call that ends now is then in one of the two.
                    let frames = if sink.asks_for_open() { open_frames(kernel) } else { None };
                    due = Some(Due::new(frames, self.reader.capacity()));
                }
                () = rest(self.reader.pause()) => {}
            }
            let drained = self.drain(config, sink);
            diagnostics.pass_on();
            if let Some(due) = due.take_if(|due| due.is_ready(drained)) {
                // Calls that have come may be outermost since a function was shed.
                for told in guard.told_by_now() {
                    if !self.hear(config, told, sink) {
                        return End::Signal;
                    }
                }
                let open = due.frames.map(|frames| self.open(&frames));
                let now = self.clock.unix_ns(monotonic_ns());
                self.write(|| sink.settle(open.as_deref(), now));
                if config.target.is_over() {
                    return End::TargetExit;
                }
                if !attached.is_held() {
                    return End::Signal;
                }
                let report = self.report(config, kernel);
                self.write(|| sink.interval(number, &report));
                number += 1;
            }
        }
    }

    /// Hears what the guard tells; false: it can't keep the budget, so that the measurement has to end.
    fn hear(&mut self, config: &Config, told: Told, sink: &mut dyn Sink) -> bool {
        match told {
            Told::Shed { shed, at_ns } => {
                let times = (self.began, at_ns);
                let Some(event) = budget::shed_event(&config.plan, &shed, self.clock, times) else {
                    return true;
                };
                self.shed.push((event.function, event.after_ns));
                self.write(|| sink.shed(&event));
                let is_shed = |id| self.shed.iter().any(|&(function, _)| function == id);
                if budget::without_roots(&config.plan, is_shed) {
                    log::error!(
                        "{} was the last of the roots, without which no call is shown: the trace was ended",
                        event.name
                    );
                    return false;
                }
                true
            }
            // Of entries that are told of alone.
            Told::TooLoud { .. } => false,
            Told::StatesTooDear(detail) => {
                log::error!(
                    "{detail}: the measurement was ended; measure without --states, \
                     or with a higher --max-overhead or --no-guard"
                );
                false
            }
            Told::Failed(error) => {
                log::error!("{error}: the measurement was ended");
                false
            }
            Told::Gone => {
                log::error!("{}", guard::GONE);
                false
            }
        }
    }

    /// The final report. No program runs any more.
    fn finish(
        mut self,
        config: &Config,
        kernel: &Kernel,
        diagnostics: &mut Diagnostics,
        end: End,
        sink: &mut dyn Sink,
    ) -> Result<(), SessionError> {
        while !self.drain(config, sink).emptied {}
        diagnostics.pass_on();
        let now = monotonic_ns();
        let open = kernel.open_calls()?;
        let still = self.open(&open);
        // Calls of functions that were shed may be over.
        let (given_up, open): (Vec<_>, Vec<_>) = open
            .into_iter()
            .partition(|(_, frame)| kernel.is_shed(frame.func));
        self.write(|| sink.settle(Some(&still), u64::MAX));
        let uncaptured = kernel.counter(UNCAPTURED);
        if uncaptured > 0 {
            log::warn!(
                "{uncaptured} calls are without values: more were open at once than there was room for"
            );
        }
        let stackless = kernel.counter(DROPPED_STACKS);
        if stackless > 0 {
            log::warn!(
                "{stackless} stacks or chains of callers are missing: the ring buffer was full; --ring-size makes it larger"
            );
        }
        say_kept_back(config, kernel);
        let mut report = self.report(config, kernel);
        count_open(&mut report, &open, now);
        let cut_off = kernel.cut_off_calls()?;
        let given_up = given_up.len() as u64;
        let ledger = ledger::draw_up(kernel, &report, &open, given_up, cut_off, end);
        self.write(|| sink.finish(&report, &ledger));
        match self.output {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                log::warn!("{}", ledger.books());
                Err(SessionError::Output(error))
            }
            _ => Ok(()),
        }
    }

    /// The calls whose ends will be told of: not those of functions that the sink knows were shed.
    fn open(&self, frames: &[(u64, Frame)]) -> Vec<OpenCall> {
        let shed: HashSet<u32> = self.shed.iter().map(|&(function, _)| function).collect();
        let mut calls: Vec<OpenCall> = Vec::with_capacity(frames.len());
        let mut around = None;
        for &(goid, frame) in frames {
            let depth = match around {
                Some((same, depth)) if same == goid => depth + 1,
                _ => 0,
            };
            around = Some((goid, depth));
            if shed.contains(&frame.func) {
                continue;
            }
            calls.push(OpenCall {
                function: frame.func,
                goid,
                depth,
                start_unix_ns: self.clock.unix_ns(frame.start_ns),
            });
        }
        calls
    }

    fn write(&mut self, output: impl FnOnce() -> io::Result<()>) {
        if self.output.is_ok() {
            self.output = output();
        }
    }

    fn report(&mut self, config: &Config, kernel: &Kernel) -> Report {
        let elapsed = self.ended.unwrap_or_else(monotonic_ns) - self.began;
        let mut report = self.figures(kernel, elapsed);
        for &(function, after_ns) in &self.shed {
            if let Some(function) = report.functions.get_mut(function as usize) {
                function.shed_after_ns = Some(after_ns);
                function.in_flight = 0;
            }
        }
        for (function, reported) in report
            .functions
            .iter_mut()
            .zip(self.counted.iter_mut().flatten())
        {
            let calls = kernel.totals(function.function).entries;
            function.timed = Some(function.calls);
            function.calls = calls;
            function.calls_in_interval = calls - std::mem::replace(reported, calls);
            // What begins between windows is not followed to its end.
            function.in_flight = 0;
        }
        if let Some(plan) = &config.plan.states {
            for function in &mut report.functions {
                function.states = kernel
                    .states(function.function)
                    .filter(|sum| sum.calls > 0)
                    .map(|sum| States::of(&sum.times, sum.total_ns, |slot| plan.waits.name(slot)));
            }
        }
        report.dropped_records = kernel.counter(DROPPED_RECORDS) + kernel.counter(UNBINNED);
        report.books = ledger::books(kernel);
        report
    }

    fn figures(&mut self, kernel: &Kernel, elapsed: u64) -> Report {
        match self.aggregation {
            Aggregation::Kernel => self.aggregator.report(elapsed, |id| {
                Some((kernel.totals(id), kernel.histogram(id)))
            }),
            Aggregation::Ring => self
                .aggregator
                .report(elapsed, |_| None::<(_, std::iter::Empty<(u64, u64, u64)>)>),
        }
    }

    /// Takes what is in the ring buffer, for one turn.
    fn drain(&mut self, config: &Config, sink: &mut dyn Sink) -> Drained {
        let Self {
            reader,
            aggregator,
            aggregation,
            slower_than,
            telling,
            output,
            ..
        } = self;
        let mut tell = |telling: &mut Telling, call: &CallRecord, beside: &Beside| {
            if output.is_ok()
                && let Some(call) = telling.of(call, beside, config)
            {
                *output = sink.call(&call);
            }
        };
        reader.drain(TURN, |event| match (event, *aggregation) {
            (Event::Call(call, _), Aggregation::Ring) => aggregator.add_call(&call),
            (Event::Call(call, beside), Aggregation::Kernel) => tell(telling, &call, &beside),
            (Event::Unbinned(call, beside), _) => {
                aggregator.add_duration(&call);
                if slower_than.is_some_and(|bound| call.duration_ns >= bound) {
                    tell(telling, &call, &beside);
                }
            }
            // Only of a count.
            (Event::Begun(..), _) => {}
            (Event::Chain(chain), _) => telling.take_chain(chain),
            (Event::Stack(stack), _) => telling.take_stack(stack),
        })
    }
}

/// The calls that are open now, where they can be read.
fn open_frames(kernel: &Kernel) -> Option<Vec<(u64, Frame)>> {
    let open = kernel.open_calls();
    // A goroutine's frames may go while they are read.
    open.inspect_err(|error| log::debug!("open calls: {error}"))
        .ok()
}

pub(super) fn settings(config: &Config, prepared: &Prepared) -> Settings {
    let scope = match &config.target {
        Target::Process(process) => Scope::Process {
            pid: process.pid().0,
            kernel_pid: process.kernel_pid().map(|pid| pid.0),
        },
        Target::Executable { .. } => Scope::Everyone,
    };
    Settings {
        scope,
        watch: config.watch(),
        shedding: config.sheds(),
        windows: config.duty.is_some(),
        aggregation: config.aggregation,
        slower_than_ns: config.slower_than.map(nanos),
        chains: config.tells_chains(),
        stacks: config.stacks.is_some(),
        ring_bytes: config.ring_bytes,
        target_memory: config.target.process().and_then(Process::resident_bytes),
        method: config.method,
        returns: prepared.returns,
        costs: prepared.costs,
        called: prepared.called.clone(),
    }
}

/// A time in ns, as everything here counts it.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn info(config: &Config, attached: &Attached, start_unix_ns: u64) -> SessionInfo {
    SessionInfo {
        pid: config.target.pid().map(|pid| pid.0),
        exe: config.target.exe().to_string_lossy().into_owned(),
        go_version: config.go_version.clone(),
        arch: config.arch,
        kernel: rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned(),
        mode: config.mode(),
        attach: attached.method.name(),
        returns: attached.returns.name(),
        functions: config.plan.functions.len(),
        sites: attached.sites,
        start_unix_ns,
        duty_percent: config.duty.map(|duty| duty.percent),
        states: config.plan.states.as_ref().map(|_| FollowedStates {
            threads: attached.follows_threads,
        }),
        probe_costs: probe_costs(config, attached.kernel.costs()),
    }
}

fn probe_costs(config: &Config, costs: Costs) -> Option<ProbeCosts> {
    (costs != Costs::default()).then(|| ProbeCosts {
        entry_ns: costs.emulated.entry_ns(costs.exit_ns),
        stepped_entry_ns: costs.stepped.entry_ns(costs.exit_ns),
        exit_ns: config.count.is_none().then_some(costs.exit_ns),
        floor_ns: config.count.is_none().then_some(costs.emulated.own_ns),
    })
}

/// Puts the calls that are open into the report.
fn count_open(report: &mut Report, open: &[(u64, Frame)], now: u64) {
    for function in &mut report.functions {
        function.in_flight = 0;
    }
    for (_, frame) in open {
        let Some(function) = report.functions.get_mut(frame.func as usize) else {
            continue;
        };
        function.in_flight += 1;
        let age = now.saturating_sub(frame.start_ns);
        function.oldest_in_flight_ns = Some(
            function
                .oldest_in_flight_ns
                .map_or(age, |oldest| oldest.max(age)),
        );
    }
}
