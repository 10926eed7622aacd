//! `goinstr attach`: measures the chosen functions of a process.

use std::io::Write;

use super::args::Format;
use super::config::Attach;
use super::failure::Failure;
use super::subject;
use crate::plan;
use crate::session::{self, SessionError};
use crate::sink::{JsonSink, Sink, Size, TableOptions, TableSink};
use crate::target::Target;

/// Measures until the end that `attach` says, the user or the target brings about.
pub(super) fn run(attach: &Attach) -> Result<(), Failure> {
    let target = Target::find(&attach.selection).map_err(Failure::failed)?;
    let binary = subject::read(&target)?;
    let plan = plan::plan(&binary, &attach.patterns)?;
    // Before anything is armed: a path that can't be written must not cost the target a hit.
    let mut sink = sink(attach, attach.output.open()?);
    let config = session::Config {
        plan,
        go_version: binary.go_version().map(str::to_owned),
        arch: binary.arch().name(),
        duration: attach.duration,
        interval: attach.interval,
        slower_than: attach.slower_than,
        raw: attach.raw,
        aggregation: attach.aggregation,
        ring_bytes: attach.ring_bytes,
        method: attach.method,
        target,
    };
    // The tables of a large binary are not needed while it is measured.
    drop(binary);
    match session::run(config, sink.as_mut()) {
        Ok(_) => Ok(()),
        Err(SessionError::Output(error)) => Err(Failure::writing(attach.output.name(), &error)),
        Err(error) => Err(Failure::failed(error)),
    }
}

fn sink(attach: &Attach, out: impl Write + 'static) -> Box<dyn Sink> {
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
            Box::new(TableSink::new(out, options))
        }
    }
}
