//! `goinstr inflight`: what is open right now.

use std::collections::HashSet;
use std::io::BufWriter;
use std::time::Duration;

use clap::error::ErrorKind;

use super::args::{self, Format, PATTERN_HELP, Which, time};
use super::config::{patterns, selection, usage};
use super::failure::Failure;
use super::output::Output;
use super::{subject, verified};
use crate::binary::GoBinary;
use crate::plan::{self, Pattern};
use crate::session::{InflightConfig, SessionError, inflight};
use crate::sink::{InflightScreen, Size, inflight_json, inflight_text};
use crate::target::{Selection, Target};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(super) struct Typed {
    #[command(flatten)]
    which: Which,
    #[arg(value_name = "PATTERN", help = PATTERN_HELP)]
    patterns: Vec<String>,
    /// Every goroutine, whatever functions it is in
    #[arg(long, conflicts_with = "patterns")]
    all: bool,
    #[command(flatten)]
    output: args::Output,
    /// Look again at this interval; else once
    #[arg(long, value_name = "TIME", value_parser = time)]
    interval: Option<Duration>,
    /// On a terminal, write one look below the other, and do not draw over the last
    #[arg(long)]
    plain: bool,
    /// Look again for this time (at each second, unless --interval says otherwise)
    #[arg(long, value_name = "TIME", value_parser = time)]
    duration: Option<Duration>,
}

/// What is meant.
#[derive(Debug)]
pub(super) struct InflightArgs {
    selection: Selection,
    patterns: Vec<Pattern>,
    all: bool,
    output: Output,
    interval: Option<Duration>,
    plain: bool,
    duration: Option<Duration>,
}

impl InflightArgs {
    pub fn new(typed: Typed, color: args::Color) -> Result<Self, Failure> {
        let short = Duration::from_millis(50);
        if typed.interval.is_some_and(|interval| interval < short) {
            let message = "--interval must be at least 50ms";
            return Err(usage("inflight", ErrorKind::ValueValidation, message));
        }
        let which = typed.which;
        let again = typed.duration.map(|_| Duration::from_secs(1));
        Ok(Self {
            selection: selection("inflight", which.pid, which.name, which.exe)?,
            patterns: patterns("inflight", typed.patterns.into_iter())?,
            all: typed.all,
            output: Output::new(typed.output, color),
            interval: typed.interval.or(again),
            plain: typed.plain,
            duration: typed.duration,
        })
    }
}

/// Looks once, or until the end.
pub(super) fn run(args: &InflightArgs) -> Result<(), Failure> {
    let mut target = Target::find(&args.selection).map_err(Failure::failed)?;
    let binary = subject::read(&mut target)?;
    let layout = binary.runtime_layout().map_err(Failure::failed)?;
    verified::verify(&target, &binary, &layout)?;
    let functions = match args.all {
        true => None,
        false => Some(chosen(&binary, &args.patterns)?),
    };
    let mut out = BufWriter::new(args.output.open()?);
    let color = args.output.color();
    let config = InflightConfig {
        target,
        binary,
        layout,
        functions,
        interval: args.interval,
        duration: args.duration,
    };
    // Several processes don't go into one picture.
    let one = matches!(config.target, Target::Process(_));
    let over = !args.plain && one && config.interval.is_some() && args.output.is_terminal();
    let mut screen = InflightScreen::default();
    let shown = inflight(&config, |seen| {
        let size = over.then(|| Size::of(std::io::stdout())).flatten();
        match (args.output.format, size) {
            (Format::Json, _) => inflight_json(&mut out, seen),
            (Format::Table, Some(size)) => screen.draw(&mut out, seen, color, size),
            (Format::Table, None) => inflight_text(&mut out, seen, color),
        }
    });
    match shown {
        Ok(()) => Ok(()),
        Err(SessionError::Output(error)) => Err(Failure::writing(args.output.name(), &error)),
        Err(error) => Err(Failure::failed(error)),
    }
}

/// The functions that the patterns choose, as stack traces name them: inlined ones too.
fn chosen(binary: &GoBinary, patterns: &[Pattern]) -> Result<HashSet<String>, Failure> {
    let functions = binary.functions();
    let mut names: Vec<&str> = functions.iter().map(|f| binary.name(f)).collect();
    let inlined = binary.inlined_only();
    names.extend(inlined.iter().map(|&(name, _)| name));
    let prefixes = binary.main_package_prefixes();
    let in_main = |index: usize| match functions.get(index) {
        Some(function) => binary.in_main_module(function),
        None => names.get(index).is_some_and(|name| {
            let package = crate::binary::names::package(name);
            prefixes.iter().any(|prefix| {
                package
                    .strip_prefix(prefix.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        }),
    };
    let chosen = plan::choose(patterns, &names, in_main)?;
    let named = names.iter().zip(chosen).filter(|(_, chosen)| *chosen);
    Ok(named
        .map(|(name, _)| crate::binary::names::printed(name).into_owned())
        .collect())
}
