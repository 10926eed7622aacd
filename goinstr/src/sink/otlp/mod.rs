//! OpenTelemetry by OTLP over HTTP (protobuf): metrics as time goes by, and a span for each single
//! call that is told of.
//!
//! A thread of its own puts calls together, encodes and sends. The measurement leaves it messages in
//! a queue of fixed size and never waits: what finds no room, and what a collector does not take, is
//! dropped and counted, and the ledger tells how much.
//!
//! The messages are those of `opentelemetry-proto`. OpenTelemetry's SDK makes its metrics of single
//! measurements, and these are histograms already, made in the kernel: it has no place for them.

mod client;
mod endpoint;
mod export;
mod lineage;
mod metrics;
mod resource;
mod spans;
mod tally;
#[cfg(test)]
mod tests;

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::resource::v1::Resource;

use super::{Sink, forest::Cut, names};
use crate::aggregate::{CallEvent, Exported, Ledger, OpenCall, Report, SessionInfo, ShedEvent};
use crate::plan::{Location, ProbePlan};

pub use endpoint::Endpoint;

use tally::Tally;

/// Messages that may wait: a few hundred bytes each, two megabytes.
const QUEUE: usize = 8192;
/// Metrics are cumulative, so that fewer reports say no less: at most one in this time.
const EACH_NS: u64 = 1_000_000_000;
/// How long the end waits for the collector to take what is left.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What is to become of single calls.
#[derive(Clone, Debug, Default)]
pub struct SpanOptions {
    /// At most so many levels of the trees become spans; which calls may be their roots, the plan says.
    pub levels: Option<u32>,
    /// At most so many spans a second, whole trees; `None`: all.
    pub per_second: Option<u32>,
}

/// What is to become of what goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaints {
    /// The first is told on stderr.
    Told,
    /// stderr is covered by a full screen: the ledger tells of them.
    Kept,
}

/// Pushes a measurement to an OpenTelemetry collector.
pub struct OtlpSink {
    endpoint: Endpoint,
    /// `None`: no single calls are told of.
    spans: Option<SpanOptions>,
    exporter: Option<Exporter>,
    shared: Arc<Shared>,
    /// When the last report was left, in ns since recording began.
    reported_ns: Option<u64>,
    /// When the end began.
    ending: Option<Instant>,
    /// Calls have come since it was last told which are open.
    calls_came: bool,
    complaints: Complaints,
}

/// The thread that sends, as the measurement sees it.
struct Exporter {
    messages: SyncSender<Message>,
    /// Disconnected when all is sent or given up.
    done: Receiver<()>,
}

/// What the measurement leaves for the thread.
enum Message {
    /// A call that has returned, bare.
    Call(CallEvent),
    /// Which calls are open, as [`Sink::settle`] has it.
    Settle(Option<Vec<OpenCall>>, u64),
    /// No call of this function comes any more.
    Shed(u32),
    /// There is a report in [`Shared`].
    Report,
}

/// What both sides see.
#[derive(Debug, Default)]
struct Shared {
    tally: Tally,
    /// The newest report: one that is older and was not sent yet says nothing that it doesn't.
    report: Mutex<Option<Pending>>,
}

/// A report that was not sent yet.
#[derive(Debug)]
struct Pending {
    report: Report,
    /// Nothing comes after it.
    last: bool,
}

/// What is known of the measurement from the beginning.
#[derive(Debug)]
struct Session {
    info: SessionInfo,
    /// By the function's index in the plan; each another.
    names: Vec<String>,
    locations: Vec<Option<Location>>,
    /// What all that is sent is said of.
    resource: Resource,
}

impl Session {
    fn of(info: &SessionInfo, plan: &ProbePlan) -> Self {
        let locations = plan.functions.iter();
        Self {
            info: info.clone(),
            names: names::unique(plan),
            locations: locations
                .map(|function| function.location.clone())
                .collect(),
            resource: resource::resource(info),
        }
    }
}

impl OtlpSink {
    /// Nothing is sent before recording begins, and no collector has to be there.
    #[must_use]
    pub fn new(endpoint: Endpoint, spans: Option<SpanOptions>, complaints: Complaints) -> Self {
        Self {
            endpoint,
            spans,
            exporter: None,
            shared: Arc::default(),
            reported_ns: None,
            ending: None,
            calls_came: false,
            complaints,
        }
    }

    /// Leaves a message if there is room for it.
    fn leave(&self, message: Message) -> bool {
        self.exporter
            .as_ref()
            .is_some_and(|exporter| exporter.messages.try_send(message).is_ok())
    }

    /// Leaves one of the last messages: these wait for room, all together no longer than the end may.
    fn leave_last(&mut self, mut message: Message) {
        let began = *self.ending.get_or_insert_with(Instant::now);
        let Some(exporter) = &self.exporter else {
            return;
        };
        while let Err(TrySendError::Full(back)) = exporter.messages.try_send(message) {
            if began.elapsed() > LAST_WORDS {
                return;
            }
            message = back;
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Puts a report where the thread finds it.
    fn publish(&mut self, report: &Report, last: bool) {
        self.reported_ns = Some(report.elapsed_ns);
        self.shared.tally.reports.fetch_add(1, Ordering::Relaxed);
        // Held for as long as a pointer is moved, on both sides; nobody panics meanwhile.
        if let Ok(mut newest) = self.shared.report.lock() {
            *newest = Some(Pending {
                report: report.clone(),
                last,
            });
        }
    }
}

impl Sink for OtlpSink {
    fn wants_distributions(&self) -> bool {
        true
    }

    fn session(&mut self, info: &SessionInfo, plan: &ProbePlan) -> io::Result<()> {
        let (messages, received) = sync_channel(QUEUE);
        let (finished, done) = sync_channel(0);
        let export = export::Export::new(
            self.endpoint.clone(),
            Session::of(info, plan),
            Cut::of(plan, self.spans.as_ref().and_then(|spans| spans.levels)),
            self.spans.as_ref().and_then(|spans| spans.per_second),
            Arc::clone(&self.shared),
            self.complaints,
        );
        std::thread::Builder::new()
            .name("otlp".to_owned())
            .spawn(move || {
                export.run(&received);
                drop(finished);
            })?;
        self.exporter = Some(Exporter { messages, done });
        Ok(())
    }

    fn call(&mut self, call: &CallEvent) -> io::Result<()> {
        self.calls_came = true;
        let left = self.leave(Message::Call(call.bare()));
        self.shared.tally.left(left);
        Ok(())
    }

    fn shed(&mut self, event: &ShedEvent) -> io::Result<()> {
        // Without it, what a root had called that was open is left out.
        self.leave(Message::Shed(event.function));
        Ok(())
    }

    fn asks_for_open(&self) -> bool {
        self.calls_came || self.shared.tally.kept.load(Ordering::Relaxed) > 0
    }

    fn settle(&mut self, open: Option<&[OpenCall]>, now_unix_ns: u64) -> io::Result<()> {
        if self.spans.is_none() {
            return Ok(());
        }
        self.calls_came = false;
        let message = Message::Settle(open.map(<[OpenCall]>::to_vec), now_unix_ns);
        if now_unix_ns == u64::MAX {
            self.leave_last(message);
        } else {
            // Without it trees wait for the next one.
            self.leave(message);
        }
        Ok(())
    }

    fn interval(&mut self, _number: u64, report: &Report) -> io::Result<()> {
        let due = self
            .reported_ns
            // Intervals are never quite as long as they should be.
            .is_none_or(|last| report.elapsed_ns.saturating_sub(last) >= EACH_NS * 9 / 10);
        if due {
            self.publish(report, false);
            // Without room for it the next message finds the report.
            self.leave(Message::Report);
        }
        Ok(())
    }

    fn finish(&mut self, report: &Report, _ledger: &Ledger) -> io::Result<()> {
        self.publish(report, true);
        self.leave_last(Message::Report);
        let Some(exporter) = self.exporter.take() else {
            return Ok(());
        };
        // It ends when it has sent what waits and finds nobody left.
        drop(exporter.messages);
        let began = self.ending.unwrap_or_else(Instant::now);
        let rest = LAST_WORDS.saturating_sub(began.elapsed());
        if exporter.done.recv_timeout(rest) == Err(RecvTimeoutError::Timeout) {
            log::debug!("OTLP: {} is too slow for the end", self.endpoint);
        }
        Ok(())
    }

    fn exported(&self) -> Option<Exported> {
        Some(self.shared.tally.exported())
    }
}
