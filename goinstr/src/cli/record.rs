//! `goinstr record`: measures as `attach` does and writes a recording.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use clap::error::ErrorKind;

use super::args::{self, AttachBy, Format, PATTERN_HELP, Which, time};
use super::attach::{explain, states};
use super::config::{guard, patterns, ring_bytes, selection, usage};
use super::failure::Failure;
use super::otlp::Otlp;
use super::output::{Destination, Output};
use super::{subject, verified};
use crate::attach::{Aggregation, Method};
use crate::plan::Pattern;
use crate::recording::RecordingSink;
use crate::session::{self, Budget, SessionError};
use crate::sink::{Complaints, JsonSink, Many, One, Sink, Sort, TableOptions, TableSink};
use crate::target::{Selection, Target};

/// What a kill loses at most.
const INTERVAL: Duration = Duration::from_secs(1);
/// Each call takes a record.
const RING_KIB: u32 = 16 << 10;
/// About 20 bytes a call in the file: at most 200 KB/s.
const CALLS_PER_SECOND: u64 = 10_000;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(super) struct Typed {
    #[command(flatten)]
    which: Which,
    #[arg(value_name = "PATTERN", help = PATTERN_HELP)]
    patterns: Vec<String>,
    /// The recording's file; `goinstr report FILE` shows what is in it
    #[arg(short = 'o', long, value_name = "FILE")]
    recording: PathBuf,
    /// Record at most so many single calls a second, the first of each second; the statistics hold
    /// every call (0: no single calls)
    #[arg(long, value_name = "PER-SECOND", default_value_t = CALLS_PER_SECOND)]
    calls: u64,
    /// Of the single calls, record those that took at least this long
    #[arg(long, value_name = "TIME", value_parser = time)]
    slower_than: Option<Duration>,
    #[command(flatten)]
    output: args::Output,
    /// End after this time (10s, 1m30s); else on Ctrl-C or when the target exits
    #[arg(long, value_name = "TIME", value_parser = time)]
    duration: Option<Duration>,
    /// Leave in the durations what the probes add to them
    #[arg(long)]
    raw: bool,
    /// Also record what calls do: run, wait for a CPU, wait for what, make system calls (costs more)
    #[arg(long)]
    states: bool,
    /// Also record the Go stacks of single calls, at their return or, with --states, where they waited longest
    /// (they take far more room than the calls alone: choose calls by --slower-than)
    #[arg(long)]
    stack: bool,
    #[command(flatten)]
    overhead: args::Overhead,
    /// Size of the ring buffer, in KiB: a power of two
    #[arg(long, value_name = "KIB", default_value_t = RING_KIB)]
    ring_size: u32,
    /// Arm in this way, and not in the best that the kernel has
    #[arg(long, value_enum, value_name = "WAY")]
    attach_by: Option<AttachBy>,
    #[command(flatten)]
    otlp: Otlp,
}

/// What is meant.
#[derive(Debug)]
pub(super) struct Record {
    selection: Selection,
    patterns: Vec<Pattern>,
    recording: PathBuf,
    calls: u64,
    slower_than: Option<Duration>,
    output: Output,
    duration: Option<Duration>,
    raw: bool,
    ring_bytes: u32,
    method: Option<Method>,
    states: bool,
    stack: bool,
    guard: Option<Budget>,
    otlp: Otlp,
}

impl Record {
    pub fn new(typed: Typed, color: args::Color) -> Result<Self, Failure> {
        let wrong = |message: &str| Err(usage("record", ErrorKind::ValueValidation, message));
        if typed.duration == Some(Duration::ZERO) {
            return wrong("--duration 0s records nothing: leave it out to record until Ctrl-C");
        }
        let which = typed.which;
        let guard = guard("record", &typed.overhead)?;
        Ok(Self {
            states: typed.states,
            otlp: typed.otlp,
            stack: typed.stack,
            guard,
            selection: selection("record", which.pid, which.name, which.exe)?,
            patterns: patterns("record", typed.patterns.into_iter())?,
            recording: typed.recording,
            calls: typed.calls,
            slower_than: (typed.calls > 0).then(|| typed.slower_than.unwrap_or_default()),
            output: Output::new(typed.output, color),
            duration: typed.duration,
            raw: typed.raw,
            ring_bytes: ring_bytes("record", typed.ring_size)?,
            method: typed.attach_by.map(|by| match by {
                AttachBy::UprobeMulti => Method::UprobeMulti,
                AttachBy::PerfEvent => Method::PerfEvent,
            }),
        })
    }
}

/// Records until the end that `record` says, the user or the target brings about, then prints the
/// final figures as `attach` does.
pub(super) fn run(record: &Record) -> Result<(), Failure> {
    let mut target = Target::find(&record.selection).map_err(Failure::failed)?;
    let (binary, mut plan) = subject::planned(&mut target, &record.patterns)?;
    if record.states {
        plan.states = Some(states(&binary)?);
    }
    explain(&target, &plan);
    verified::verify(&target, &binary, &plan.layout)?;
    let out = record.output.open_unwaiting()?;
    let out_delivery = out.delivery();
    let shown = shown(record, out);
    let path = record.recording.display();
    let file = File::create(&record.recording).map_err(|error| {
        Failure::failed(format_args!(
            "can't create the recording {path}: {error}; give a path that can be written"
        ))
    })?;
    let to = Destination::unwaiting(file);
    let to = to.map_err(|error| Failure::failed(SessionError::Thread(error)))?;
    let delivery = to.delivery();
    let failed = Rc::new(Cell::new(false));
    let file = Watched {
        to,
        failed: Rc::clone(&failed),
    };
    let recording = RecordingSink::new(file, record.calls).map_err(Failure::failed)?;
    let load_bias = subject::load_bias(&target, &binary);
    let config = session::Config {
        duty: None,
        condition: None,
        plan,
        go_version: binary.go_version().map(str::to_owned),
        arch: binary.arch().name(),
        count: None,
        duration: record.duration,
        interval: INTERVAL,
        slower_than: record.slower_than,
        // Trees show them.
        chains: false,
        stacks: record.stack.then_some(binary),
        raw: record.raw,
        aggregation: Aggregation::Kernel,
        ring_bytes: record.ring_bytes,
        method: record.method,
        returns_by: None,
        load_bias,
        guard: record.guard,
        dead_man: record.guard.is_some(),
        target,
    };
    // First, so that whoever sees the session line finds a recording.
    let mut sinks = vec![One {
        sink: Box::new(recording),
        calls_from_ns: Some(0),
    }];
    let from = record.slower_than.map(session::nanos);
    sinks.extend(record.otlp.sink(from, None, Complaints::Told));
    sinks.push(One {
        sink: shown,
        calls_from_ns: None,
    });
    let of_recording =
        |error: &io::Error| Failure::writing(format_args!("the recording {path}"), error);
    match session::run(config, &mut Many(sinks)) {
        Err(SessionError::Output(error)) if failed.get() => Err(of_recording(&error)),
        end => {
            // What is not all there is no recording.
            let written = delivery.map_or(Ok(()), |delivery| delivery.finish(true));
            let failed = end.is_err();
            let shown = record.output.delivered(out_delivery.as_ref(), end);
            match written {
                Err(error) if !failed => Err(of_recording(&error)),
                _ => shown,
            }
        }
    }
}

/// Remembers that an error was the recording's and not that of what is shown.
struct Watched {
    to: Destination,
    failed: Rc<Cell<bool>>,
}

impl Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes);
        self.failed.set(self.failed.get() || written.is_err());
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// What is printed beside.
fn shown(record: &Record, out: Destination) -> Box<dyn Sink> {
    match record.output.format {
        Format::Json => Box::new(JsonSink::new(out, false)),
        Format::Table => {
            let options = TableOptions {
                sort: Sort::Total,
                limit: Some(100),
                color: record.output.color(),
                live: None,
            };
            Box::new(TableSink::new(out, options))
        }
    }
}
