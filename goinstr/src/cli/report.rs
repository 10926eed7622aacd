//! `goinstr report`: what a recording holds, in the format that someone wants to see.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read};
use std::path::PathBuf;

use clap::ValueEnum;

use super::args::{self, Format, SortBy};
use super::failure::Failure;
use super::output::Output;
use super::progress::Progress;
use crate::aggregate::{CallEvent, Ledger, Report, SessionInfo, ShedEvent};
use crate::plan::ProbePlan;
use crate::recording::{self, Played, RecordingError};
use crate::sink::{
    CsvSink, Drawing, FoldedSink, HtmlSink, JsonSink, PerfettoSink, PprofSink, Sink, TableOptions,
    TableSink, Weight,
};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(super) struct Typed {
    /// A recording of `goinstr record`
    #[arg(value_name = "FILE")]
    recording: PathBuf,
    #[command(flatten)]
    form: FormFlags,
    /// Of flame graphs and folded stacks: what a width is
    #[arg(long, value_enum, default_value_t)]
    weight: By,
    /// In the table and as JSON, show the single calls too
    #[arg(long)]
    calls: bool,
    /// Sort the table by this, largest first
    #[arg(long, value_enum, default_value = "total")]
    sort: SortBy,
    /// Show at most so many functions in the table (0: all)
    #[arg(long, default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    output: args::Output,
}

#[derive(Clone, Copy, Debug, Default, clap::Args)]
#[group(multiple = false, conflicts_with = "output")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "flags of which clap allows one"
)]
struct FormFlags {
    /// A page for a browser: distributions, time line, call tree, flame graph; one file, no network
    #[arg(long)]
    html: bool,
    /// A flame graph: an SVG for a browser
    #[arg(long)]
    flamegraph: bool,
    /// Folded stacks, for flamegraph.pl, speedscope and others
    #[arg(long)]
    folded: bool,
    /// A trace for ui.perfetto.dev: goroutines as tracks, calls as slices
    #[arg(long)]
    perfetto: bool,
    /// A profile of wall time, for `go tool pprof`
    #[arg(long)]
    pprof: bool,
    /// A row for each function, comma-separated
    #[arg(long)]
    csv: bool,
    /// The same as --output json
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum By {
    /// Time of calls, callers below
    #[default]
    Wall,
    /// Time of the functions themselves, callers above
    Exclusive,
    /// Time of calls, callers below, and what they did in it above: needs record --states
    State,
    /// Number of calls
    Calls,
}

/// Reports as `typed` says.
pub(super) fn run(typed: Typed, color: args::Color) -> Result<(), Failure> {
    let path = typed.recording.display();
    let failed = |error: &dyn std::fmt::Display| Failure::failed(format_args!("{path}: {error}"));
    let file = File::open(&typed.recording).map_err(|error| {
        Failure::failed(format_args!("can't open the recording {path}: {error}"))
    })?;
    let length = file.metadata().map_or(0, |data| data.len());
    let output = Output::new(typed.output, color);
    let flags = typed.form;
    if (flags.perfetto || flags.pprof) && output.is_terminal() {
        return Err(Failure::failed(
            "this format is not for a terminal: give --output-file, or send it on through a pipe",
        ));
    }
    let out = BufWriter::new(output.open()?);
    let table = TableOptions {
        sort: typed.sort.into(),
        limit: (typed.limit > 0).then_some(typed.limit),
        color: output.color(),
        live: None,
    };
    let weight = match typed.weight {
        By::Wall => Weight::Wall,
        By::Exclusive => Weight::Exclusive,
        By::State => Weight::State,
        By::Calls => Weight::Calls,
    };
    let mut sink: Box<dyn Sink> = match flags {
        FormFlags { html: true, .. } => Box::new(HtmlSink::new(out)),
        FormFlags {
            flamegraph: true, ..
        } => Box::new(FoldedSink::new(out, Drawing::FlameGraph, weight)),
        FormFlags { folded: true, .. } => Box::new(FoldedSink::new(out, Drawing::Folded, weight)),
        FormFlags { perfetto: true, .. } => Box::new(PerfettoSink::new(out)),
        FormFlags { pprof: true, .. } => Box::new(PprofSink::new(out)),
        FormFlags { csv: true, .. } => Box::new(CsvSink::new(out)),
        FormFlags { json: true, .. } => Box::new(JsonSink::new(out, false)),
        _ if output.format == Format::Json => Box::new(JsonSink::new(out, false)),
        _ => Box::new(TableSink::new(out, table)),
    };
    let drawn = flags.html || flags.flamegraph || flags.folded || flags.perfetto || flags.pprof;
    if !drawn && !typed.calls {
        sink = Box::new(NoCalls(sink));
    }
    let progress = Progress::of_bytes("reading the recording", length);
    let read = Counted {
        file,
        progress: &progress,
    };
    let played = recording::play(BufReader::with_capacity(1 << 16, read), sink.as_mut());
    progress.finish();
    match played {
        Ok(played) => {
            tell(&played, &path);
            Ok(())
        }
        Err(RecordingError::Write(error)) if error.kind() == io::ErrorKind::InvalidData => {
            Err(failed(&error))
        }
        Err(RecordingError::Write(error)) => Err(Failure::writing(output.name(), &error)),
        Err(error) => Err(failed(&error)),
    }
}

/// A sink for people or scripts that asked for no single calls.
struct NoCalls(Box<dyn Sink>);

impl Sink for NoCalls {
    fn session(&mut self, info: &SessionInfo, plan: &ProbePlan) -> io::Result<()> {
        self.0.session(info, plan)
    }

    fn call(&mut self, _call: &CallEvent) -> io::Result<()> {
        Ok(())
    }

    fn shed(&mut self, event: &ShedEvent) -> io::Result<()> {
        self.0.shed(event)
    }

    fn interval(&mut self, number: u64, report: &Report) -> io::Result<()> {
        self.0.interval(number, report)
    }

    fn finish(&mut self, report: &Report, ledger: &Ledger) -> io::Result<()> {
        self.0.finish(report, ledger)
    }
}

/// What must not be overlooked.
fn tell(played: &Played, path: &impl std::fmt::Display) {
    if let Some(damage) = &played.damage {
        eprintln!(
            "goinstr: {path} is not complete ({}): this is what was recorded until then",
            crate::sink::visible(damage)
        );
    }
    if played.calls_recorded < played.calls_seen {
        log::info!(
            "{} of {} single calls are in the recording; the statistics hold all",
            played.calls_recorded,
            played.calls_seen
        );
    }
}

/// Tells how far the file is read.
struct Counted<'p> {
    file: File,
    progress: &'p Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(bytes)?;
        self.progress.advance(read as u64);
        Ok(read)
    }
}
