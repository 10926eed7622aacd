//! `goinstr trace`: each call as it returns, as a call tree per goroutine; or each as it begins.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use clap::error::ErrorKind;

use super::args::{self, PATTERN_HELP, Which, time};
use super::attach::{explain, states};
use super::capture::Capture;
use super::config::{guard, patterns, ring_bytes, selection, usage};
use super::failure::Failure;
use super::otlp::Otlp;
use super::output::{Destination, Output};
use super::rotation::Rotation;
use super::{subject, verified};
use crate::attach::Aggregation;
use crate::plan::{self, Pattern, ProbePlan};
use crate::session::{self, Budget};
use crate::sink::{JsonSink, Logfmt, Sink, TraceFormat, TraceSink, TreeOptions, TreeText};
use crate::target::{Selection, Target};

/// Often enough for people to see calls as they come; each time the totals are read.
const INTERVAL: Duration = Duration::from_millis(250);
/// Each call takes a record.
const RING_KIB: u32 = 16 << 10;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(super) struct Typed {
    #[command(flatten)]
    which: Which,
    #[arg(value_name = "PATTERN", help = PATTERN_HELP)]
    patterns: Vec<String>,
    /// Each call as it begins, and nothing of its end: returns are not armed, which costs a fraction
    #[arg(long, conflicts_with_all = ["root", "depth", "slower_than", "states", "stack", "raw", "returns", "otlp"])]
    entries: bool,
    /// Only the calls of these functions and what they call (patterns as above)
    #[arg(long, value_name = "PATTERN")]
    root: Vec<String>,
    /// At most so many levels of calls
    #[arg(long, value_name = "N")]
    depth: Option<u32>,
    /// Only calls that took at least this long
    #[arg(long, value_name = "TIME", value_parser = time)]
    slower_than: Option<Duration>,
    /// Also tell what calls do: run, wait for a CPU, wait for what, make system calls (costs more)
    #[arg(long)]
    states: bool,
    /// Also show the Go stack of each call, at its return or, with --states, where it waited longest
    #[arg(long)]
    stack: bool,
    /// For people, for scripts (one JSON object a line), or for what reads logs (key=value)
    #[arg(long, value_enum, default_value_t)]
    output: Form,
    /// Write there instead of to stdout
    #[arg(long, value_name = "PATH")]
    output_file: Option<PathBuf>,
    #[command(flatten)]
    rotation: Rotation,
    /// End after this time (10s, 1m30s); else on Ctrl-C or when the target exits
    #[arg(long, value_name = "TIME", value_parser = time)]
    duration: Option<Duration>,
    /// Leave in the durations what the probes add to them
    #[arg(long)]
    raw: bool,
    /// Size of the ring buffer, in KiB: a power of two
    #[arg(long, value_name = "KIB", default_value_t = RING_KIB)]
    ring_size: u32,
    #[command(flatten)]
    overhead: args::Overhead,
    #[command(flatten)]
    otlp: Otlp,
    #[command(flatten)]
    capture: super::capture::Values,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    #[default]
    Table,
    Json,
    Logfmt,
}

/// What is meant.
#[derive(Debug)]
pub(super) struct Trace {
    selection: Selection,
    patterns: Vec<Pattern>,
    entries: bool,
    roots: Vec<Pattern>,
    levels: Option<u32>,
    slower_than: Duration,
    states: bool,
    stack: bool,
    form: Form,
    output: Output,
    duration: Option<Duration>,
    raw: bool,
    ring_bytes: u32,
    guard: Option<Budget>,
    otlp: Otlp,
    capture: Capture,
}

impl Trace {
    pub fn new(typed: Typed, color: args::Color) -> Result<Self, Failure> {
        let wrong = |message: &str| Err(usage("trace", ErrorKind::ValueValidation, message));
        if typed.duration == Some(Duration::ZERO) {
            return wrong("--duration 0s traces nothing: leave it out to trace until Ctrl-C");
        }
        if typed.depth == Some(0) {
            return wrong("--depth 0 shows nothing: 1 shows the outermost calls alone");
        }
        if typed.rotation.rotate.is_some() && typed.output == Form::Table {
            return wrong("--rotate is for logs: give --output json or logfmt");
        }
        let which = typed.which;
        Ok(Self {
            selection: selection("trace", which.pid, which.name, which.exe)?,
            patterns: patterns("trace", typed.patterns.into_iter())?,
            entries: typed.entries,
            roots: patterns("trace", typed.root.into_iter())?,
            levels: typed.depth,
            states: typed.states,
            stack: typed.stack,
            slower_than: typed.slower_than.unwrap_or_default(),
            form: typed.output,
            output: Output::new(
                args::Output {
                    output: args::Format::default(),
                    output_file: typed.output_file,
                },
                color,
            )
            .rotated(&typed.rotation),
            duration: typed.duration,
            raw: typed.raw,
            ring_bytes: ring_bytes("trace", typed.ring_size)?,
            guard: guard("trace", &typed.overhead)?,
            otlp: typed.otlp,
            capture: Capture::new("trace", &typed.capture)?,
        })
    }
}

/// Traces until the end that `trace` says, the user or the target brings about.
pub(super) fn run(trace: &Trace) -> Result<(), Failure> {
    let mut target = Target::find(&trace.selection).map_err(Failure::failed)?;
    let (binary, mut plan) = subject::planned(&mut target, &trace.patterns)?;
    if trace.states {
        plan.states = Some(states(&binary)?);
    }
    if trace.entries {
        plan.leave_out_loops("--entries")?;
    }
    plan.captures = trace.capture.plan(&binary, &plan)?;
    plan.roots = roots(&trace.roots, &plan)?;
    explain(&target, &plan);
    verified::verify(&target, &binary, &plan.layout)?;
    let out = trace.output.open_unwaiting()?;
    let delivery = out.delivery();
    let main = sink(trace, out);
    let from = session::nanos(trace.slower_than);
    let mut sink = trace.otlp.around(main, Some(from), trace.levels);
    let load_bias = subject::load_bias(&target, &binary);
    let config = session::Config {
        duty: None,
        condition: trace.capture.condition.clone(),
        guard: trace.guard,
        dead_man: trace.guard.is_some(),
        plan,
        go_version: binary.go_version().map(str::to_owned),
        arch: binary.arch().name(),
        count: trace.entries.then_some(session::Count {
            callers: None,
            told: true,
        }),
        duration: trace.duration,
        interval: INTERVAL,
        slower_than: (!trace.entries).then_some(trace.slower_than),
        // Trees show them.
        chains: false,
        stacks: trace.stack.then_some(binary),
        raw: trace.raw,
        aggregation: Aggregation::Kernel,
        ring_bytes: trace.ring_bytes,
        method: None,
        returns_by: None,
        load_bias,
        target,
    };
    trace
        .output
        .delivered(delivery.as_ref(), session::run(config, sink.as_mut()))
}

/// Which functions of the plan may be a tree's root; `None`: none was asked for.
fn roots(patterns: &[Pattern], plan: &ProbePlan) -> Result<Option<Vec<bool>>, Failure> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let names: Vec<&str> = plan
        .functions
        .iter()
        .map(|function| function.symbol.as_deref().unwrap_or(&function.name))
        .collect();
    match plan::choose(patterns, &names, |_| true) {
        Ok(roots) => Ok(Some(roots)),
        Err(error) => Err(Failure::failed(format_args!(
            "--root: {error} (among the functions that are traced)"
        ))),
    }
}

fn sink(trace: &Trace, out: Destination) -> Box<dyn Sink> {
    let streams = trace.roots.is_empty() && trace.levels.is_none();
    match trace.form {
        // Scripts put trees together themselves: each call at once.
        Form::Json if streams => Box::new(JsonSink::new(out, false)),
        Form::Json => traced(trace, JsonSink::new(out, false)),
        Form::Logfmt => traced(trace, Logfmt::new(out)),
        Form::Table => {
            let options = TreeOptions {
                color: trace.output.color(),
            };
            traced(trace, TreeText::new(out, options))
        }
    }
}

fn traced(trace: &Trace, format: impl TraceFormat + 'static) -> Box<dyn Sink> {
    Box::new(TraceSink::new(format, trace.levels))
}
