//! A coverage from arming to the report: what of a plan runs, in one or several phases.

use std::{
    io,
    time::{Duration, Instant},
};

use tokio::{
    io::unix::AsyncFd,
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant as Tick, MissedTickBehavior, interval_at},
};

use super::{
    SessionError,
    clock::{Clock, monotonic_ns},
    dead_man::Switch,
    ending::Ending,
    heart::{Heart, Sign},
    leaving::tell_left,
    retirement::{GLANCE, Schedule},
};
use crate::{
    aggregate::{CoverLedger, CoverReport, Coverage, End, Mode, SessionInfo},
    attach::{
        AttachError, BATCH, Costs, Method, OneShots, Scope, Watch,
        calibration::{self, Trial},
        urgent,
    },
    plan::CoverPlan,
    sink::CoverSink,
    target::Target,
};

/// How long the loop may be held up before the probes go: hot sites that nobody takes out cost most.
const SILENCE: Duration = Duration::from_secs(30);

/// Time for the hot ones of the sites just put in to be hit.
const BREATH: Duration = Duration::from_millis(2);

/// What a coverage is: validated, whatever it was typed as.
#[derive(Debug)]
pub struct CoverConfig {
    /// Which process or processes.
    pub target: Target,
    /// What is waited for.
    pub plan: CoverPlan,
    /// The binary's Go version, where it tells.
    pub go_version: Option<String>,
    /// The binary's architecture, as the session record names it.
    pub arch: &'static str,
    /// Ends after this time; `None`: when told to, or with the target.
    pub duration: Option<Duration>,
    /// Time between two reports of how far it is.
    pub interval: Duration,
    /// Whether a signal (SIGUSR1) or the Enter key ends a phase and begins the next.
    pub phases: bool,
    /// With phases: the last report is of all of them and not of the last alone.
    pub since_start: bool,
    /// Arm in this way; `None`: in the best way that the kernel has.
    pub method: Option<Method>,
}

/// Waits for what `config` plans until the end comes, and reports to `sink` all the while.
///
/// When this returns, whatever it returns, nothing is left in the kernel or in the target.
pub fn cover(config: &CoverConfig, sink: &mut dyn CoverSink) -> Result<End, SessionError> {
    // Before there is a runtime: it forks.
    let switch = Switch::start().map_err(SessionError::Runtime)?;
    let costs = hit_costs(config.method);
    let heart = Heart::start(Some(switch)).map_err(SessionError::Thread)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(SessionError::Runtime)?;
    runtime.block_on(run(config, &heart, costs, sink))
}

async fn run(
    config: &CoverConfig,
    heart: &Heart,
    costs: Option<Costs>,
    sink: &mut dyn CoverSink,
) -> Result<End, SessionError> {
    // Before arming: a signal that comes meanwhile ends it in good order.
    let mut ending = Ending::of(&config.target)?;
    let mut resets = Resets::new(config.phases).map_err(SessionError::Runtime)?;
    let sites: Vec<_> = config.plan.sites.iter().map(|site| site.site).collect();
    let exe = config.target.open_path();
    // All that is done from here on is to put sites in and to take them out, and to tell of it.
    urgent();
    let sites = OneShots::load(&sites, &exe, scope(&config.target), config.method)?;
    let clock = Clock::now();
    let began = monotonic_ns();
    let mut state = State {
        sign: heart.part("the loop", SILENCE),
        config,
        costs,
        clock,
        coverage: Coverage::none(&config.plan),
        before: Coverage::none(&config.plan),
        known: vec![false; sites.len()],
        new: Vec::new(),
        sites,
        schedule: Schedule::new(),
        phase: 1,
        began,
        phase_began: began,
        retirements: 0,
        retirement_ns: 0,
        output: Ok(()),
    };
    state.sites.record();
    let mut end = state.place(&mut ending).await?;
    ending.after(config.duration);
    log::info!("the probes are in place");
    let info = state.info();
    state.output = sink.session(&info, &config.plan);
    if end.is_none() {
        end = Some(state.watch(&mut ending, &mut resets, sink).await?);
    }
    let end = end.unwrap_or(End::Signal);
    state.finish(end, sink)?;
    Ok(end)
}

/// What changes while it goes on.
struct State<'c> {
    /// That the loop goes round.
    sign: Sign,
    config: &'c CoverConfig,
    /// What hits cost here, where that could be measured.
    costs: Option<Costs>,
    clock: Clock,
    sites: OneShots,
    /// What ran in this phase.
    coverage: Coverage,
    /// What ran in the phases before it.
    before: Coverage,
    /// Sites whose hit was seen in this phase.
    known: Vec<bool>,
    /// Functions that were not told of yet, and when they first ran.
    new: Vec<(u64, u32)>,
    schedule: Schedule,
    phase: u32,
    began: u64,
    phase_began: u64,
    retirements: u32,
    retirement_ns: u64,
    /// How writing went so far; after an error nothing more is written.
    output: io::Result<()>,
}

impl State<'_> {
    /// Looks, retires and reports until the end comes.
    async fn watch(
        &mut self,
        ending: &mut Ending,
        resets: &mut Resets,
        sink: &mut dyn CoverSink,
    ) -> Result<End, SessionError> {
        let mut reports = interval_at(Tick::now() + self.config.interval, self.config.interval);
        reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut glances = interval_at(Tick::now() + GLANCE, GLANCE);
        glances.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Instant::now();
        loop {
            if self.output.is_err() {
                // Nobody reads any more: going on would only cost.
                return Ok(End::Signal);
            }
            tokio::select! {
                biased;
                end = ending.wait() => return Ok(end),
                () = resets.wait() => {
                    if let Some(end) = self.reset(ending, sink).await? {
                        return Ok(end);
                    }
                }
                _ = glances.tick() => {
                    self.sign.show();
                    self.look(sink);
                    let passed = last.elapsed();
                    last = Instant::now();
                    if self.retire(passed)? {
                        return Ok(End::TargetExit);
                    }
                }
                _ = reports.tick() => {
                    if self.config.target.is_over() {
                        return Ok(End::TargetExit);
                    }
                    if !self.sites.is_held() {
                        return Ok(End::Signal);
                    }
                    let report = self.report();
                    self.write(|| sink.interval(&report));
                }
            }
        }
    }

    /// Puts in what is not in place, some at a time, and takes out what is hit at once before the
    /// next come. An end, if it comes meanwhile.
    async fn place(&mut self, ending: &mut Ending) -> Result<Option<End>, SessionError> {
        let start = Instant::now();
        let mut batch = *BATCH.start();
        loop {
            self.sign.show();
            let coverage = &self.coverage;
            let plan = &self.config.plan;
            let placed = self
                .sites
                .place_some(batch, |site| coverage.waits_for(&plan.sites[site]));
            match placed {
                Ok(true) => {}
                Ok(false) => break,
                Err(AttachError::Gone { .. }) if self.sites.placed() > 0 => {
                    return Ok(Some(End::TargetExit));
                }
                Err(error) => return Err(error.into()),
            }
            tokio::select! {
                biased;
                end = ending.wait() => return Ok(Some(end)),
                () = tokio::time::sleep(BREATH) => {}
            }
            self.note();
            let before = self.sites.placed();
            if self.take_out()? {
                return Ok(Some(End::TargetExit));
            }
            // Where hardly any is hit more may come at once; where many are, fewer.
            let out = before - self.sites.placed();
            batch = match out * 16 < batch {
                true => batch * 2,
                false => batch / 2,
            };
            batch = batch.clamp(*BATCH.start(), *BATCH.end());
        }
        log::debug!(
            "{} of {} sites in place after {:?}",
            self.sites.placed(),
            self.sites.len(),
            start.elapsed()
        );
        Ok(None)
    }

    /// Takes up what was hit since the last look, and tells of it.
    fn look(&mut self, sink: &mut dyn CoverSink) {
        self.note();
        // In the order in which they ran.
        self.new.sort_unstable();
        for (time, function) in std::mem::take(&mut self.new) {
            let time = self.clock.unix_ns(time);
            self.write(|| sink.ran(function, time));
        }
        self.write(|| sink.flush());
    }

    /// Takes up what was hit since the last look.
    fn note(&mut self) {
        for (index, site) in self.config.plan.sites.iter().enumerate() {
            if self.known[index] {
                continue;
            }
            if let Some(time) = self.sites.first_hit(index) {
                self.known[index] = true;
                let functions = self.coverage.hit(site, time);
                self.new
                    .extend(functions.into_iter().map(|function| (time, function)));
            }
        }
    }

    /// Takes out what tells nothing any more, if it is time to. True: the target is gone.
    fn retire(&mut self, passed: Duration) -> Result<bool, SessionError> {
        let hit = (0..self.known.len()).any(|site| self.known[site] && self.sites.is_placed(site));
        if !self.schedule.is_due(self.sites.hits().all(), passed, hit) {
            return Ok(false);
        }
        self.take_out()
    }

    /// Takes out what tells nothing any more. True: the target is gone.
    fn take_out(&mut self) -> Result<bool, SessionError> {
        let start = Instant::now();
        let of = self.sites.placed();
        let (plan, coverage) = (&self.config.plan, &self.coverage);
        let out = match self
            .sites
            .retire(|site| coverage.waits_for(&plan.sites[site]))
        {
            Ok(out) => out,
            Err(AttachError::Gone { .. }) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        let took = start.elapsed();
        if out > 0 {
            self.retirements += 1;
            self.retirement_ns += u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            log::debug!("{out} of {of} sites taken out in {took:?}");
        }
        self.schedule.done(took, out, of);
        Ok(false)
    }

    /// Ends a phase and begins the next. An end, if it comes meanwhile.
    async fn reset(
        &mut self,
        ending: &mut Ending,
        sink: &mut dyn CoverSink,
    ) -> Result<Option<End>, SessionError> {
        self.sites.pause();
        self.look(sink);
        let mut report = self.report();
        report.phase = Some(self.phase);
        self.write(|| sink.phase(&report));
        self.before.merge(&self.coverage);
        self.coverage = Coverage::none(&self.config.plan);
        self.known.fill(false);
        self.phase += 1;
        self.phase_began = monotonic_ns();
        self.sites.forget();
        if let Some(end) = self.place(ending).await? {
            return Ok(Some(end));
        }
        self.schedule.restart();
        let phase = self.phase;
        self.write(|| sink.phase_began(phase));
        Ok(None)
    }

    /// The final report.
    fn finish(mut self, end: End, sink: &mut dyn CoverSink) -> Result<(), SessionError> {
        // Perf events take as long as they take.
        self.sign.rest();
        self.sites.pause();
        let left = self.sites.placed();
        let held = self.sites.is_held();
        if end == End::Signal
            && let Some(holder) = self.sites.leave()
        {
            tell_left(holder, left);
        }
        self.sites.disarm();
        self.look(sink);
        let hits = self.sites.hits();
        let count = |sites: &[bool]| sites.iter().filter(|&&site| site).count();
        let ledger = CoverLedger {
            sites: self.sites.len(),
            sites_hit: count(&self.known),
            sites_left: left,
            probe_hits: hits.all(),
            probe_cost_ns: self.costs.map(|costs| hits.cost_ns(&costs)),
            retirements: self.retirements,
            retirement_ns: self.retirement_ns,
            end,
        };
        if self.config.since_start {
            let before = std::mem::take(&mut self.before);
            self.coverage.merge(&before);
            self.phase_began = self.began;
        }
        let mut report = self.report();
        if self.config.phases && !self.config.since_start {
            report.phase = Some(self.phase);
        }
        self.write(|| sink.finish(&report, &ledger));
        match self.output {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(SessionError::Output(error))
            }
            _ if !held => Err(AttachError::HolderGone.into()),
            _ => Ok(()),
        }
    }

    fn write(&mut self, output: impl FnOnce() -> io::Result<()>) {
        if self.output.is_ok() {
            self.output = output();
        }
    }

    fn report(&self) -> CoverReport {
        let mut coverage = self.coverage.clone();
        for time in coverage.functions.iter_mut().flatten() {
            *time = self.clock.unix_ns(*time);
        }
        CoverReport {
            phase: None,
            elapsed_ns: monotonic_ns() - self.phase_began,
            coverage,
        }
    }

    fn info(&self) -> SessionInfo {
        SessionInfo {
            pid: self.config.target.pid().map(|pid| pid.0),
            exe: self.config.target.exe().to_string_lossy().into_owned(),
            go_version: self.config.go_version.clone(),
            arch: self.config.arch,
            kernel: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
            attach: self.sites.method.name(),
            returns: "kernel",
            functions: self.config.plan.functions.len(),
            sites: self.sites.len(),
            start_unix_ns: self.clock.unix_ns(self.began),
            duty_percent: None,
            states: None,
            probe_costs: None,
            mode: Mode::default(),
        }
    }
}

/// What a hit costs on this machine, by a program that does as much with it: the one that counts.
/// The figure is for the books only, so that nothing fails where it can't be had.
fn hit_costs(method: Option<Method>) -> Option<Costs> {
    let trial = Trial {
        method,
        watch: Watch::Entries {
            callers: false,
            told: false,
        },
        ..Trial::default()
    };
    calibration::measure(&trial)
        .inspect_err(|error| log::info!("what a hit costs is not known: {error}"))
        .ok()
}

fn scope(target: &Target) -> Scope {
    match target {
        Target::Process(process) => Scope::Process {
            pid: process.pid().0,
            kernel_pid: process.kernel_pid().map(|pid| pid.0),
        },
        Target::Executable { .. } => Scope::Everyone,
    }
}

/// What begins a new phase: SIGUSR1, or the Enter key.
struct Resets {
    signal: Option<Signal>,
    keyboard: Option<AsyncFd<io::Stdin>>,
}

impl Resets {
    /// Takes over the signal, and the keyboard where there is one.
    fn new(wanted: bool) -> io::Result<Self> {
        use io::IsTerminal as _;
        let keyboard = (wanted && io::stdin().is_terminal())
            .then(|| {
                // SAFETY: stdin is one open descriptor for as long as the process lives.
                unsafe {
                    AsyncFd::register_with_interest(io::stdin(), tokio::io::Interest::READABLE)
                }
                .ok()
            })
            .flatten();
        Ok(Self {
            signal: wanted
                .then(|| signal(SignalKind::user_defined1()))
                .transpose()?,
            keyboard,
        })
    }

    /// Waits. May be dropped and called again.
    async fn wait(&mut self) {
        let signal = async {
            match &mut self.signal {
                Some(signal) => drop(signal.recv().await),
                None => std::future::pending().await,
            }
        };
        let line = async {
            let Some(keyboard) = &self.keyboard else {
                return std::future::pending().await;
            };
            let Ok(mut ready) = keyboard.readable().await else {
                return std::future::pending().await;
            };
            let mut typed = [0; 256];
            // Readable: this does not block. A terminal hands out whole lines.
            match rustix::io::read(keyboard.get_ref(), &mut typed) {
                Ok(0) | Err(_) => std::future::pending().await,
                Ok(_) => ready.clear_ready(),
            }
        };
        tokio::select! {
            () = signal => {}
            () = line => {}
        }
    }
}
