//! What can be typed. Validated in [`super::config`], never used beyond it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

use crate::session;

pub(super) const PATTERN_HELP: &str = "Which functions: names as pprof prints them, globs ('main.*'), \
/REGEX/, !PATTERN to take away; none: those of the binary's main module";

/// Longer times are typing errors, and sums of them could overflow.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Measures the functions of a running, unmodified Go program
#[derive(Debug, Parser)]
#[command(name = "goinstr", version, max_term_width = 100)]
pub(super) struct Args {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
}

/// Flags of every subcommand.
#[derive(Debug, clap::Args)]
pub(super) struct Global {
    /// Say more on stderr; twice for the kernel program's own log
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub verbose: u8,
    /// When to use colours
    #[arg(long, value_enum, default_value_t, global = true, value_name = "WHEN")]
    pub color: Color,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Measures the durations of the chosen functions: a live table, and the final one at the end
    Attach(Attach),
    /// Shows each call as it returns, as a call tree per goroutine
    Trace(super::trace::Typed),
    /// Tells what of a process has run: functions, and with --lines the lines of them
    Cover(super::cover::Cover),
    /// Measures as attach does and writes a recording, for reports and comparisons
    Record(super::record::Typed),
    /// Shows a recording: as a table, a page for a browser, a flame graph, a trace, a profile
    Report(super::report::Typed),
    /// Tells which functions got slower between two recordings, and what is noise
    Diff(super::diff::Typed),
    /// Shows what is open right now: which goroutines wait where, and what for
    Inflight(super::inflight::Typed),
    /// Shows the functions of a binary or process and whether they can be measured
    List(List),
    /// Shows what a binary is: Go version, module, build settings, linking, symbol sources
    Inspect(Inspect),
    /// Checks whether this user on this kernel can measure, a process where one is given
    Doctor(super::doctor::Doctor),
    /// Prints what a shell needs to complete goinstr's command lines
    Completions(super::completions::Completions),
    /// Prints the manual page
    Man(super::completions::Man),
}

/// Exactly one of these.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// The process with this pid
    #[arg(long)]
    pub pid: Option<u32>,
    /// The only process of this name: its comm or its executable's base name
    #[arg(long)]
    pub name: Option<String>,
    /// Every present and future process that runs this file
    #[arg(long, value_name = "PATH")]
    pub exe: Option<PathBuf>,
}

/// The same where a path may be given instead.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(super) struct MaybeWhich {
    /// The executable of the process with this pid
    #[arg(long)]
    pub pid: Option<u32>,
    /// The executable of the only process of this name
    #[arg(long)]
    pub name: Option<String>,
    /// This file
    #[arg(long, value_name = "PATH")]
    pub exe: Option<PathBuf>,
}

/// What the probes may cost: the same for all that measures calls.
#[derive(Debug, clap::Args)]
pub(super) struct Overhead {
    /// What the probes may cost: percent of the CPU time that the target uses, and of one CPU where it
    /// uses less. Functions that would break it are left out, the costliest first, and named
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0)]
    pub max_overhead: f64,
    /// Leave out no function, however much it costs; and let goinstr stop answering, as in a debugger,
    /// with its probes in place
    #[arg(long)]
    pub no_guard: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Output {
    /// For people or for scripts (one JSON object a line)
    #[arg(long, value_enum, default_value_t)]
    pub output: Format,
    /// Write there instead of to stdout
    #[arg(long, value_name = "PATH")]
    pub output_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    #[default]
    Table,
    Json,
}

#[derive(Debug, clap::Args)]
pub(super) struct Attach {
    #[command(flatten)]
    pub which: Which,
    #[arg(value_name = "PATTERN", help = PATTERN_HELP)]
    pub patterns: Vec<String>,
    #[command(flatten)]
    pub output: Output,
    /// End after this time (10s, 1m30s); else on Ctrl-C or when the target exits
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub duration: Option<Duration>,
    /// Refresh the table at this interval [default: 1s]; with JSON, also report at each
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub interval: Option<Duration>,
    /// Also report each single call that took at least this long, without what the probes add (--raw: with it)
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub slower_than: Option<Duration>,
    /// Only count calls: nothing is armed but entries, so a call costs far less
    #[arg(long, conflicts_with_all = ["slower_than", "aggregate", "ring_size"])]
    pub count: bool,
    /// Count calls by caller too (implies --count)
    #[arg(long, conflicts_with_all = ["slower_than", "aggregate", "ring_size"])]
    pub callers: bool,
    /// Also tell what calls do: run, wait for a CPU, wait for what, make system calls (costs more)
    #[arg(long, conflicts_with_all = ["count", "callers"])]
    pub states: bool,
    /// With --slower-than: the Go stack of each such call, at its return or, with --states, where it waited
    /// longest
    #[arg(long, requires = "slower_than", conflicts_with_all = ["count", "callers", "aggregate"])]
    pub stack: bool,
    /// Measure durations for this part of the time, as 10%, in windows: calls are counted exactly all the
    /// time, and cost a fraction. Calls longer than a window (10%: 200ms) are counted and never timed; no
    /// function is left out as over budget
    #[arg(long, value_name = "PERCENT", value_parser = duty,
          conflicts_with_all = ["count", "callers", "states", "stack", "args", "returns", "condition", "prometheus", "otlp"])]
    pub duty: Option<u32>,
    /// Time from one window of --duty to the next
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "2s", requires = "duty")]
    pub duty_period: Duration,
    /// Sort the table by this, largest first [default: total; of a count: calls]
    #[arg(long, value_enum)]
    pub sort: Option<SortBy>,
    /// Show at most so many functions in the table (0: all)
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
    /// Leave in the durations what the probes add to them
    #[arg(long)]
    pub raw: bool,
    /// Who makes the statistics: the kernel, or goinstr of each call through the ring buffer
    #[arg(long, value_enum, value_name = "WHO", default_value_t)]
    pub aggregate: AggregateBy,
    /// Size of the ring buffer, in KiB: a power of two
    #[arg(long, value_name = "KIB", default_value_t = session::RING_BYTES / 1024)]
    pub ring_size: u32,
    /// Arm in this way, and not in the best that the kernel has
    #[arg(long, value_enum, value_name = "WAY")]
    pub attach_by: Option<AttachBy>,
    /// Who executes the returns: the kernel by a single step, or the kernel program, which is cheaper
    /// [default: kernel]
    #[arg(long, value_enum, value_name = "WHO")]
    pub ret_by: Option<RetBy>,
    #[command(flatten)]
    pub overhead: Overhead,
    #[command(flatten)]
    pub capture: super::capture::Values,
    #[command(flatten)]
    pub views: super::views::Views,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum AggregateBy {
    #[default]
    Kernel,
    Ring,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum AttachBy {
    UprobeMulti,
    PerfEvent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RetBy {
    Kernel,
    Program,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SortBy {
    Total,
    Calls,
    P50,
    P99,
    Max,
    #[value(name = "self")]
    SelfTime,
}

/// `10s`, `1m30s`, `250ms`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it like 10s, 1m30s or 250ms"))?;
    if time > LONGEST {
        return Err("more than a year: leave the flag out to measure until Ctrl-C".to_owned());
    }
    Ok(time)
}

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "goinstr list [OPTIONS] <BINARY|--pid PID|--name NAME|--exe PATH> [PATTERN]..."
)]
pub(super) struct List {
    #[command(flatten)]
    pub which: MaybeWhich,
    /// The binary, if none of the flags says which; then patterns
    #[arg(value_name = "BINARY|PATTERN", long_help = format!("The binary, if none of the flags says which; then patterns.\n{PATTERN_HELP}"))]
    pub words: Vec<String>,
    /// Only functions that can't be measured, with the reason
    #[arg(long)]
    pub unmeasurable: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "goinstr inspect [OPTIONS] <BINARY|--pid PID|--name NAME|--exe PATH>")]
pub(super) struct Inspect {
    #[command(flatten)]
    pub which: MaybeWhich,
    /// The binary, if none of the flags says which
    pub binary: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}
/// `10%`, `10`: from 1 to 99.
fn duty(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    match number.parse() {
        Ok(percent @ 1..=99) => Ok(percent),
        _ => Err("not a part of the time: from 1% to 99%".to_owned()),
    }
}
