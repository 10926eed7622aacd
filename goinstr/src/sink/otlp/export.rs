//! The thread that puts calls together, encodes and sends.

use std::{
    sync::{Arc, atomic::Ordering, mpsc::Receiver},
    time::Instant,
};

use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceResponse, trace::v1::ExportTraceServiceResponse},
    trace::v1::Span,
};
use prost::Message as _;

use super::{
    Complaints, Endpoint, Message, Pending, Session, Shared,
    client::Client,
    lineage::{Lineage, level},
    metrics, spans,
    tally::add,
};
use crate::aggregate::{OpenCall, Report};
use crate::sink::{
    Entry,
    forest::{Cut, Forest},
};

/// Spans sent at once.
const BATCH: usize = 512;

/// All that the thread has.
pub(super) struct Export {
    endpoint: Endpoint,
    session: Session,
    cut: Cut,
    shared: Arc<Shared>,
    forest: Forest,
    lineage: Lineage,
    allowance: Option<Allowance>,
    batch: Vec<Span>,
    /// Calls that had not returned at the end.
    left_open: Vec<OpenCall>,
    /// Whether it was told that the collector does not take something.
    told: bool,
}

impl Export {
    pub fn new(
        endpoint: Endpoint,
        session: Session,
        cut: Cut,
        per_second: Option<u32>,
        shared: Arc<Shared>,
        complaints: Complaints,
    ) -> Self {
        Self {
            endpoint,
            session,
            forest: Forest::new(cut.clone()),
            lineage: Lineage::new(),
            allowance: per_second.map(Allowance::new),
            cut,
            shared,
            batch: Vec::with_capacity(BATCH),
            left_open: Vec::new(),
            told: complaints == Complaints::Kept,
        }
    }

    /// Sends what comes until nobody is left to send.
    pub fn run(mut self, messages: &Receiver<Message>) {
        let mut client = match Client::new(self.endpoint.clone()) {
            Ok(client) => client,
            Err(error) => {
                // Whatever is left finds nobody any more, and is counted.
                log::warn!("OTLP: {error}: nothing is sent");
                return;
            }
        };
        while let Ok(message) = messages.recv() {
            match message {
                Message::Call(call) => {
                    self.forest.add(call);
                    self.shared.tally.kept.fetch_add(1, Ordering::Relaxed);
                }
                Message::Settle(open, now_ns) => {
                    self.settle(&mut client, open.as_deref(), now_ns);
                }
                Message::Shed(function) => self.forest.shed(function),
                Message::Report => {}
            }
            self.send_report(&mut client);
        }
    }

    /// Makes spans of the trees that are whole.
    fn settle(&mut self, client: &mut Client, open: Option<&[OpenCall]>, now_ns: u64) {
        let entries = self.forest.ready(open, now_ns);
        self.lineage.settle(open);
        let gone = self.shared.tally.kept.load(Ordering::Relaxed) as usize - self.forest.kept();
        let shown = entries
            .iter()
            .filter(|entry| matches!(entry, Entry::Call { .. }))
            .count();
        add(&self.shared.tally.cut, gone.saturating_sub(shown));
        self.shared
            .tally
            .kept
            .store(self.forest.kept() as u64, Ordering::Relaxed);
        for tree in entries.chunk_by(|_, next| level(next) > 0) {
            let calls = tree
                .iter()
                .filter(|entry| matches!(entry, Entry::Call { .. }))
                .count();
            if let Some(allowance) = &mut self.allowance
                && !allowance.take(calls)
            {
                add(&self.shared.tally.thinned, calls);
                continue;
            }
            for entry in tree {
                if let Some(ids) = self.lineage.ids(entry)
                    && let Entry::Call { call, .. } = entry
                {
                    let span = spans::finished(&self.session, ids, call);
                    self.push(client, span);
                }
            }
        }
        if now_ns == u64::MAX {
            self.left_open = open.unwrap_or_default().to_vec();
        }
        self.send_spans(client);
    }

    /// The calls that had not returned at the end: without them, those in them had no parents.
    fn close(&mut self, client: &mut Client, report: &Report) {
        let end_ns = self
            .session
            .info
            .start_unix_ns
            .saturating_add(report.elapsed_ns);
        for call in std::mem::take(&mut self.left_open) {
            let levels = self.cut.levels;
            if self.cut.roots.is_some() || levels.is_some_and(|levels| call.depth >= levels) {
                continue;
            }
            add(&self.shared.tally.open, 1);
            let ids = self.lineage.at_end(&call);
            let span = spans::open(&self.session, ids, &call, end_ns);
            self.push(client, span);
        }
        self.send_spans(client);
    }

    fn push(&mut self, client: &mut Client, span: Span) {
        self.batch.push(span);
        if self.batch.len() == BATCH {
            self.send_spans(client);
        }
    }

    fn send_spans(&mut self, client: &mut Client) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        let number = batch.len();
        let bytes = spans::request(&self.session, batch).encode_to_vec();
        let answer = client.send("v1/traces", bytes).and_then(|answer| {
            ExportTraceServiceResponse::decode(answer).map_err(|error| error.to_string())
        });
        match answer {
            Ok(answer) => {
                let partial = answer.partial_success.unwrap_or_default();
                let rejected = usize::try_from(partial.rejected_spans).unwrap_or(0);
                add(
                    &self.shared.tally.delivered,
                    number.saturating_sub(rejected),
                );
                if rejected > 0 {
                    self.tell(&format!(
                        "it rejected {rejected} spans: {}",
                        partial.error_message
                    ));
                }
            }
            Err(error) => self.tell(&error),
        }
    }

    fn send_report(&mut self, client: &mut Client) {
        let newest = self
            .shared
            .report
            .lock()
            .ok()
            .and_then(|mut newest| newest.take());
        let Some(Pending { report, last }) = newest else {
            return;
        };
        if last {
            self.close(client, &report);
        }
        let bytes = metrics::request(&self.session, &report).encode_to_vec();
        let answer = client.send("v1/metrics", bytes).and_then(|answer| {
            ExportMetricsServiceResponse::decode(answer).map_err(|error| error.to_string())
        });
        match answer {
            Ok(answer) => {
                let partial = answer.partial_success.unwrap_or_default();
                if partial.rejected_data_points > 0 {
                    self.tell(&format!(
                        "it rejected {} figures: {}",
                        partial.rejected_data_points, partial.error_message
                    ));
                } else {
                    add(&self.shared.tally.delivered_reports, 1);
                }
            }
            Err(error) => self.tell(&error),
        }
    }

    /// Once: a collector that is not there is not there each second.
    fn tell(&mut self, what: &str) {
        if self.told {
            log::debug!("OTLP, {}: {what}", self.endpoint);
            return;
        }
        self.told = true;
        log::warn!(
            "OTLP, {}: {what}; what it does not take is dropped and counted",
            self.endpoint
        );
    }
}

/// So many spans a second, and what was not used of the last second.
#[derive(Debug)]
struct Allowance {
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Allowance {
    fn new(per_second: u32) -> Self {
        Self {
            per_second: per_second.into(),
            left: per_second.into(),
            at: Instant::now(),
        }
    }

    /// Whether a tree of so many spans may be sent. One that is larger than a second's allowance
    /// may, now and then: else the largest trees would never be seen.
    fn take(&mut self, spans: usize) -> bool {
        let passed = self.at.elapsed().as_secs_f64();
        self.at = Instant::now();
        self.left = (self.left + passed * self.per_second).min(self.per_second);
        #[expect(
            clippy::cast_precision_loss,
            reason = "at most as many calls as are kept"
        )]
        let spans = spans as f64;
        if spans > self.left && self.left < self.per_second {
            return false;
        }
        self.left -= spans;
        true
    }
}
