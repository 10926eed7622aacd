//! Statistics → what people and scripts read. One file a format, behind [`Sink`].

mod columns;
mod cover;
mod cover_json;
mod cover_profile;
pub mod cover_saved;
mod cover_table;
mod csv;
mod difference;
mod exponential;
mod folded;
mod forest;
#[cfg(test)]
mod hostile;
mod html;
mod human;
mod inflight;
pub mod json;
mod json_text;
mod ledger;
pub mod line;
mod logfmt;
mod many;
mod names;
mod otlp;
mod perfetto;
mod pprof;
mod profile;
mod prometheus;
#[cfg(test)]
pub(crate) mod sample;
mod samples;
mod screen;
mod stack_lines;
mod table;
mod terminal;
mod trace;
mod tree;
mod values;
mod visible;

use std::io;

use crate::aggregate::{
    BegunCall, CallEvent, Exported, Ledger, OpenCall, Report, SessionInfo, ShedEvent,
};
use crate::plan::ProbePlan;

pub use columns::Sort;
pub use cover::CoverSink;
pub use cover_json::CoverJson;
pub use cover_profile::CoverProfile;
pub use cover_table::{CoverTable, CoverTableOptions};
pub use csv::CsvSink;
pub use difference::{Compared, Comparison, Figure, write_json, write_table};
pub use folded::{Drawing, FoldedSink, Weight};
pub use forest::Entry;
pub use html::HtmlSink;
pub use human::{count, duration};
pub use inflight::{InflightScreen, inflight_json, inflight_text};
pub use json::JsonSink;
pub use logfmt::Logfmt;
pub use many::{Many, One};
pub use otlp::{Complaints, Endpoint, OtlpSink, SpanOptions};
pub use perfetto::PerfettoSink;
pub use pprof::PprofSink;
pub use profile::ProfileFormat;
pub use prometheus::PrometheusSink;
pub use samples::{Gathered, Samples};
pub use screen::Size;
pub use table::{TableOptions, TableSink};
pub use terminal::TerminalSink;
pub use trace::{Format as TraceFormat, TraceSink};
pub use tree::{TreeOptions, TreeText};
pub use visible::visible;

/// Receives a measurement as it goes on. Calls come in the order of the methods.
///
/// An error ends the measurement: detach, then report it, but for
/// [`io::ErrorKind::BrokenPipe`], which is a reader that has seen enough.
pub trait Sink {
    /// Whether reports are to carry each function's [distribution](crate::aggregate::Distribution).
    fn wants_distributions(&self) -> bool {
        false
    }

    /// Whether whoever looks at it has asked for the end. Asked at least every tenth of a second.
    fn wants_end(&self) -> bool {
        false
    }

    /// Once, when all probes are in place; the skipped functions are in the plan.
    /// What is written here is flushed: a reader may start its load on seeing it.
    fn session(&mut self, info: &SessionInfo, plan: &ProbePlan) -> io::Result<()>;

    /// Each single call that was asked for; written through by the next interval.
    fn call(&mut self, call: &CallEvent) -> io::Result<()>;

    /// Each call as it begins, where that was asked for; written through by the next interval.
    fn begun(&mut self, _call: &BegunCall) -> io::Result<()> {
        Ok(())
    }

    /// Whether [`Sink::settle`] should be told which calls are open.
    fn asks_for_open(&self) -> bool {
        false
    }

    /// Before each interval and before the end: which calls were open just before the calls came
    /// that came last, outermost first on each goroutine, if that was asked for. Those of functions that
    /// were shed are not among them, though the depths of others count them.
    fn settle(&mut self, open: Option<&[OpenCall]>, now_unix_ns: u64) -> io::Result<()> {
        let _ = (open, now_unix_ns);
        Ok(())
    }

    /// A function is no longer measured.
    fn shed(&mut self, _event: &ShedEvent) -> io::Result<()> {
        Ok(())
    }

    /// At each interval, `number` from 0.
    fn interval(&mut self, number: u64, report: &Report) -> io::Result<()>;

    /// What went to a collector: asked after [`Sink::finish`], for the ledger of the sinks after it.
    fn exported(&self) -> Option<Exported> {
        None
    }

    /// Once, at the end. Everything is written through when it returns.
    fn finish(&mut self, report: &Report, ledger: &Ledger) -> io::Result<()>;
}
