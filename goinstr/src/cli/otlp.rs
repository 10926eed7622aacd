//! `--otlp`: to which OpenTelemetry collector a measurement is pushed.

use crate::sink::{Complaints, Endpoint, Many, One, OtlpSink, Sink, SpanOptions};

/// Spans a second without `--otlp-spans`.
const SPANS: u32 = 2000;

#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Otlp {
    /// Push metrics, and each call that is told of singly as a span, to the OpenTelemetry collector
    /// at this URL (OTLP over HTTP), such as http://127.0.0.1:4318
    #[arg(long, value_name = "ENDPOINT")]
    pub otlp: Option<Endpoint>,
    /// Push at most so many spans a second, whole trees of calls (0: all of them)
    #[arg(long, value_name = "N", requires = "otlp", default_value_t = SPANS)]
    pub otlp_spans: u32,
}

impl Otlp {
    /// The sink, if it was asked for. `calls_from_ns`: single calls at least this long become spans, at most
    /// so many `levels` of their trees.
    pub fn sink(
        &self,
        calls_from_ns: Option<u64>,
        levels: Option<u32>,
        complaints: Complaints,
    ) -> Option<One> {
        let endpoint = self.otlp.clone()?;
        let spans = calls_from_ns.map(|_| SpanOptions {
            levels,
            per_second: (self.otlp_spans > 0).then_some(self.otlp_spans),
        });
        Some(One {
            sink: Box::new(OtlpSink::new(endpoint, spans, complaints)),
            calls_from_ns,
        })
    }

    /// `main`, and the collector if it was asked for: before it, so that its ledger has the figures.
    pub fn around(
        &self,
        main: Box<dyn Sink>,
        calls_from_ns: Option<u64>,
        levels: Option<u32>,
    ) -> Box<dyn Sink> {
        match self.sink(calls_from_ns, levels, Complaints::Told) {
            None => main,
            Some(otlp) => Box::new(Many(vec![
                otlp,
                One {
                    sink: main,
                    calls_from_ns,
                },
            ])),
        }
    }
}
