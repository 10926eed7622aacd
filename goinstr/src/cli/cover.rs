//! `goinstr cover`: what of a process has run.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use clap::error::ErrorKind;

use super::args::{self, AttachBy, Color, Format, PATTERN_HELP, time};
use super::config::{DEFAULT_INTERVAL, SHORTEST_INTERVAL, method, patterns, selection, usage};
use super::failure::Failure;
use super::output::Output;
use super::subject;
use crate::plan::{self, Level, Pattern};
use crate::session::{self, CoverConfig, SessionError};
use crate::sink::{CoverJson, CoverSink, CoverTable, CoverTableOptions};
use crate::target::{Selection, Target};

/// Functions that the table names unless told otherwise.
const LIMIT: usize = 30;

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "goinstr cover [OPTIONS] <--pid PID|--name NAME|--exe PATH> [PATTERN]..."
)]
pub(super) struct Cover {
    #[command(flatten)]
    pub which: args::Which,
    #[arg(value_name = "PATTERN", help = PATTERN_HELP)]
    pub patterns: Vec<String>,
    /// Also which lines ran: a probe for each basic block, where that tells more
    #[arg(long)]
    pub lines: bool,
    /// Tell of each function when it first runs
    #[arg(long)]
    pub watch: bool,
    /// Show only what did not run, and all of it
    #[arg(long)]
    pub uncovered: bool,
    /// Report and begin anew on SIGUSR1 or the Enter key: between the phases of a test
    #[arg(long)]
    pub reset: bool,
    /// With --reset, let the last report be of all phases
    #[arg(long, requires = "reset")]
    pub since_start: bool,
    /// For people or for scripts (one JSON object a line)
    #[arg(long, value_enum, default_value_t)]
    pub output: CoverFormat,
    /// Write there instead of to stdout
    #[arg(long, value_name = "PATH")]
    pub output_file: Option<PathBuf>,
    /// End after this time (10s, 1m30s); else on Ctrl-C or when the target exits
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub duration: Option<Duration>,
    /// Tell how far it is at this interval [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub interval: Option<Duration>,
    /// Name at most so many functions in the table (0: all)
    #[arg(long, default_value_t = LIMIT)]
    pub limit: usize,
    /// Arm in this way, and not in the best that the kernel has
    #[arg(long, value_enum, value_name = "WAY")]
    pub attach_by: Option<AttachBy>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum CoverFormat {
    #[default]
    Table,
    Json,
}

/// What is meant.
struct Meant {
    selection: Selection,
    patterns: Vec<Pattern>,
    output: Output,
}

/// Waits for what runs until the end that the user or the target brings about.
pub(super) fn run(typed: Cover, color: Color) -> Result<(), Failure> {
    let meant = meant(&typed, color)?;
    let mut target = Target::find(&meant.selection).map_err(Failure::failed)?;
    let binary = subject::read(&mut target)?;
    let level = if typed.lines {
        Level::Lines
    } else {
        Level::Functions
    };
    let plan = plan::cover(&binary, &meant.patterns, level)?;
    log::info!(
        "{} functions and {} lines, shown by {} sites; {} functions can't be seen, {} are the compiler's own",
        plan.functions.len(),
        plan.lines.len(),
        plan.sites.len(),
        plan.skipped.len(),
        plan.made_up
    );
    // Before anything is armed: a path that can't be written must not cost the target a hit.
    let mut sink = sink(&typed, &meant, meant.output.open()?);
    let config = CoverConfig {
        plan,
        go_version: binary.go_version().map(str::to_owned),
        arch: binary.arch().name(),
        duration: typed.duration,
        interval: typed.interval.unwrap_or(DEFAULT_INTERVAL),
        phases: typed.reset,
        since_start: typed.since_start,
        method: typed.attach_by.map(method),
        target,
    };
    // The tables of a large binary are not needed any more.
    drop(binary);
    match session::cover(&config, sink.as_mut()) {
        Ok(_) => Ok(()),
        Err(SessionError::Output(error)) => Err(Failure::writing(meant.output.name(), &error)),
        Err(error) => Err(Failure::failed(error)),
    }
}

fn meant(typed: &Cover, color: Color) -> Result<Meant, Failure> {
    let which = &typed.which;
    let selection = selection("cover", which.pid, which.name.clone(), which.exe.clone())?;
    let wrong = |message: &str| Err(usage("cover", ErrorKind::ValueValidation, message));
    if typed.duration == Some(Duration::ZERO) {
        return wrong("--duration 0s sees nothing: leave it out to wait until Ctrl-C");
    }
    if typed
        .interval
        .is_some_and(|interval| interval < SHORTEST_INTERVAL)
    {
        return wrong("--interval must be at least 50ms");
    }
    let output = args::Output {
        output: match typed.output {
            CoverFormat::Table => Format::Table,
            CoverFormat::Json => Format::Json,
        },
        output_file: typed.output_file.clone(),
    };
    Ok(Meant {
        selection,
        patterns: patterns("cover", typed.patterns.iter().cloned())?,
        output: Output::new(output, color),
    })
}

fn sink(typed: &Cover, meant: &Meant, out: impl Write + 'static) -> Box<dyn CoverSink> {
    match typed.output {
        CoverFormat::Json => Box::new(CoverJson::new(out, typed.watch)),
        CoverFormat::Table => {
            let options = CoverTableOptions {
                watch: typed.watch,
                uncovered: typed.uncovered,
                limit: (typed.limit > 0).then_some(typed.limit),
                live: meant.output.is_terminal(),
            };
            Box::new(CoverTable::new(out, options))
        }
    }
}
