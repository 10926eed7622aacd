//! `goinstr cover`: what of a process has run.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use clap::error::ErrorKind;

use super::args::{self, AttachBy, Color, Format, PATTERN_HELP, time};
use super::config::{DEFAULT_INTERVAL, SHORTEST_INTERVAL, method, patterns, selection, usage};
use super::failure::Failure;
use super::output::{Destination, Output};
use super::{saved, subject};
use crate::plan::{self, Level, Pattern};
use crate::session::{self, CoverConfig};
use crate::sink::{
    CoverJson, CoverProfile, CoverSink, CoverTable, CoverTableOptions, ProfileFormat,
};
use crate::target::{Selection, Target};

/// Functions that the table names unless told otherwise.
const LIMIT: usize = 30;

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "goinstr cover [OPTIONS] <--pid PID|--name NAME|--exe PATH> [PATTERN]...\n       \
        goinstr cover [OPTIONS] --diff A B\n       goinstr cover [OPTIONS] --merge FILE..."
)]
pub(super) struct Cover {
    #[command(flatten)]
    pub which: args::MaybeWhich,
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
    /// Show what A ran that B didn't: two files that this command or `go test` has written
    #[arg(long, value_names = ["A", "B"], num_args = 2, conflicts_with_all = COVERING)]
    pub diff: Option<Vec<PathBuf>>,
    /// Put together what this command, `go test` or `go tool covdata textfmt` has written
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = COVERING, conflicts_with = "diff")]
    pub merge: Option<Vec<PathBuf>>,
    /// For people, for scripts (one JSON object a line), as a Go cover profile or an LCOV tracefile
    /// [default: what the name of the output file says: .json, .out, .info; else table]
    #[arg(long, value_enum)]
    pub output: Option<CoverFormat>,
    /// Write there instead of to stdout; with a profile, a summary still goes to stdout
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

/// What only makes sense for a process.
const COVERING: [&str; 12] = [
    "pid",
    "name",
    "exe",
    "patterns",
    "lines",
    "watch",
    "uncovered",
    "reset",
    "since_start",
    "duration",
    "interval",
    "attach_by",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum CoverFormat {
    Table,
    Json,
    /// A Go cover profile, for `go tool cover`; with lines
    Go,
    /// A tracefile of LCOV; with lines
    Lcov,
}

impl CoverFormat {
    /// What was typed, or what the name of the output file says.
    fn of(typed: &Cover) -> Self {
        let extension = typed.output_file.as_ref().and_then(|path| path.extension());
        typed.output.unwrap_or_else(
            || match extension.and_then(|extension| extension.to_str()) {
                Some("out" | "cov" | "cover" | "coverprofile") => Self::Go,
                Some("info" | "lcov") => Self::Lcov,
                Some("json" | "ndjson" | "jsonl") => Self::Json,
                _ => Self::Table,
            },
        )
    }

    fn profile(self) -> Option<ProfileFormat> {
        match self {
            Self::Table | Self::Json => None,
            Self::Go => Some(ProfileFormat::Go),
            Self::Lcov => Some(ProfileFormat::Lcov),
        }
    }
}

/// What is meant.
struct Meant {
    selection: Selection,
    patterns: Vec<Pattern>,
    format: CoverFormat,
    output: Output,
}

/// Covers a process, or reads what was saved.
pub(super) fn run(typed: Cover, color: Color) -> Result<(), Failure> {
    let output = output(&typed, color);
    let format = CoverFormat::of(&typed);
    match (&typed.diff, &typed.merge) {
        (Some(files), _) => saved::difference(files, format, &output),
        (None, Some(files)) => saved::merge(files, format, &output),
        (None, None) => cover(&typed, color),
    }
}

/// Waits for what runs until the end that the user or the target brings about.
fn cover(typed: &Cover, color: Color) -> Result<(), Failure> {
    let meant = meant(typed, color)?;
    let mut target = Target::find(&meant.selection).map_err(Failure::failed)?;
    let binary = subject::read(&mut target)?;
    subject::leave_plugins_out(&mut target, &binary)?;
    let level = if typed.lines || meant.format.profile().is_some() {
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
    let out = meant.output.open_unwaiting()?;
    let delivery = out.delivery();
    let mut sink = sink(typed, &meant, out);
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
    meant
        .output
        .delivered(delivery.as_ref(), session::cover(&config, sink.as_mut()))
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
    let format = CoverFormat::of(typed);
    if typed.reset && format.profile().is_some() && typed.output_file.is_none() {
        return wrong("--reset writes one profile a phase: give it an --output-file");
    }
    Ok(Meant {
        selection,
        patterns: patterns("cover", typed.patterns.iter().cloned())?,
        format,
        output: output(typed, color),
    })
}

fn output(typed: &Cover, color: Color) -> Output {
    let output = args::Output {
        output: match CoverFormat::of(typed) {
            CoverFormat::Json => Format::Json,
            CoverFormat::Table | CoverFormat::Go | CoverFormat::Lcov => Format::Table,
        },
        output_file: typed.output_file.clone(),
    };
    Output::new(output, color)
}

fn sink(typed: &Cover, meant: &Meant, out: Destination) -> Box<dyn CoverSink> {
    let options = CoverTableOptions {
        watch: typed.watch,
        uncovered: typed.uncovered,
        limit: (typed.limit > 0).then_some(typed.limit),
        live: meant.output.is_terminal(),
    };
    match (meant.format, meant.format.profile()) {
        (CoverFormat::Json, _) => Box::new(CoverJson::new(out, typed.watch)),
        (_, None) => Box::new(CoverTable::new(out, options)),
        (_, Some(format)) => {
            let summary = typed.output_file.is_some().then(|| {
                let live = io::stdout().is_terminal();
                let options = CoverTableOptions { live, ..options };
                Box::new(CoverTable::new(io::stdout(), options)) as Box<dyn CoverSink>
            });
            let path = typed.output_file.clone().unwrap_or_default();
            let open = move |phase| {
                let file: Box<dyn Write> = Box::new(File::create(of_phase(&path, phase))?);
                Ok(file)
            };
            Box::new(CoverProfile::new(
                format,
                Box::new(out),
                Box::new(open),
                summary,
            ))
        }
    }
}

/// `cover.out` is `cover.1.out` for the first phase.
fn of_phase(path: &Path, phase: u32) -> PathBuf {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some(extension) => path.with_extension(format!("{phase}.{extension}")),
        None => path.with_extension(phase.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_has_a_file_of_its_own() {
        assert_eq!(
            of_phase(Path::new("a.b/cover.out"), 2),
            Path::new("a.b/cover.2.out")
        );
        assert_eq!(
            of_phase(Path::new("a.b/cover"), 1),
            Path::new("a.b/cover.1")
        );
    }
}
