//! A metrics endpoint for Prometheus: OpenMetrics text, and its own protobuf with native histograms.
//!
//! The measurement leaves a snapshot at each interval, and never waits for a scrape: what a scrape
//! needs is made by the server's own thread from the last snapshot.

mod families;
mod server;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
};

use super::{Sink, names, visible::visible};
use crate::aggregate::{CallEvent, Ledger, Report, SessionInfo};
use crate::plan::ProbePlan;

use server::Server;

/// Serves the metrics of a measurement.
#[derive(Debug)]
pub struct PrometheusSink {
    shared: Shared,
    session: Option<Arc<Session>>,
    /// Ends with the sink.
    server: Server,
}

/// Where the last snapshot lies; nothing before recording.
type Shared = Arc<Mutex<Option<Snapshot>>>;

/// What stays the same in all snapshots.
#[derive(Debug)]
struct Session {
    info: SessionInfo,
    /// By the function's index in the plan; each another.
    names: Vec<String>,
    /// Functions that were chosen and can't be measured, by reason.
    skipped: Vec<(&'static str, u64)>,
}

/// The figures of a moment.
#[derive(Clone, Debug)]
struct Snapshot {
    session: Arc<Session>,
    report: Arc<Report>,
}

impl PrometheusSink {
    /// Listens at `address` at once; until recording begins every scrape is told to come again.
    ///
    /// # Errors
    /// The address can't be listened at.
    pub fn listen(address: SocketAddr) -> io::Result<Self> {
        let shared = Shared::default();
        let server = Server::start(TcpListener::bind(address)?, Arc::clone(&shared))?;
        Ok(Self {
            shared,
            session: None,
            server,
        })
    }

    /// Where it listens: with the port that was chosen, if that was left to the system.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    fn publish(&self, report: Report) {
        let Some(session) = &self.session else { return };
        let snapshot = Snapshot {
            session: Arc::clone(session),
            report: Arc::new(report),
        };
        // Held for as long as a pointer is copied, on both sides; nobody panics meanwhile.
        if let Ok(mut last) = self.shared.lock() {
            *last = Some(snapshot);
        }
    }
}

impl Sink for PrometheusSink {
    fn wants_distributions(&self) -> bool {
        true
    }

    fn session(&mut self, info: &SessionInfo, plan: &ProbePlan) -> io::Result<()> {
        let mut skipped: Vec<(&'static str, u64)> = Vec::new();
        for one in &plan.skipped {
            match skipped.iter_mut().find(|(reason, _)| *reason == one.reason) {
                Some((_, functions)) => *functions += 1,
                None => skipped.push((one.reason, 1)),
            }
        }
        // Labels may hold anything; but who looks at them with curl has a terminal: spelt out.
        let spelt = |text: &str| visible(text).into_owned();
        self.session = Some(Arc::new(Session {
            info: SessionInfo {
                exe: spelt(&info.exe),
                go_version: info.go_version.as_deref().map(spelt),
                ..info.clone()
            },
            names: names::unique(plan),
            skipped,
        }));
        // Counters that begin at 0 let rates see the first calls.
        let functions = (0..).take(plan.functions.len());
        self.publish(Report {
            functions: functions
                .map(|function| crate::aggregate::FunctionReport {
                    function,
                    ..Default::default()
                })
                .collect(),
            ..Report::default()
        });
        Ok(())
    }

    fn call(&mut self, _call: &CallEvent) -> io::Result<()> {
        Ok(())
    }

    fn interval(&mut self, _number: u64, report: &Report) -> io::Result<()> {
        self.publish(report.clone());
        Ok(())
    }

    fn finish(&mut self, report: &Report, _ledger: &Ledger) -> io::Result<()> {
        self.publish(report.clone());
        Ok(())
    }
}
