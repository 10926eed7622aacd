//! `goinstr diff`: which functions got slower between two measurements: two recordings, two
//! processes at once, or a process before and after something.

use std::io::{BufReader, BufWriter, Read};
use std::path::PathBuf;
use std::str::FromStr;
use std::{collections::BTreeMap, fs::File};

use super::args::{self, Format};
use super::both::{Live, Sides};
use super::failure::Failure;
use super::output::Output;
use crate::recording;
use crate::sink::{Compared, Comparison, Figure, Gathered, Samples, duration, write_table};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(super) struct Typed {
    /// The recordings, before and after; of processes, patterns of the functions
    #[arg(value_name = "RECORDING|PATTERN", long_help = format!(
        "The recordings, before and after. With --pid, the recording of before if the first is a file, \
         then patterns.\n{}", args::PATTERN_HELP))]
    words: Vec<String>,
    #[command(flatten)]
    live: Live,
    /// End with exit code 4 if a function differs by more than chance and by more than this:
    /// 'p99>+10%', 'mean>+1ms', 'p50>+5%'; of p50, p90, p99, p999, mean, max
    #[arg(long, value_name = "LIMIT")]
    fail_if: Vec<Limit>,
    /// At most this share of the differences that are told may be chance
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, value_parser = share)]
    false_rate: f64,
    /// Show what is noise too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: args::Output,
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if share > 0.0 && share < 1.0 {
        Ok(share)
    } else {
        Err("more than 0 and less than 1, like 0.01".to_owned())
    }
}

/// `p99>+10%`: what must not be.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Limit {
    figure: Figure,
    more: More,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum More {
    Percent(f64),
    Ns(u64),
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write it like p99>+10% or mean>+1ms".to_owned();
        let (figure, more) = text.split_once('>').ok_or_else(wrong)?;
        let figure = match figure.trim() {
            "p50" => Figure::P50,
            "p90" => Figure::P90,
            "p99" => Figure::P99,
            "p999" => Figure::P999,
            "mean" => Figure::Mean,
            "max" => Figure::Max,
            other => return Err(format!("{other} is none of p50, p90, p99, p999, mean, max")),
        };
        let more = more.trim().strip_prefix('+').ok_or_else(wrong)?;
        let more = match more.strip_suffix('%') {
            Some(percent) => {
                let percent: f64 = percent.trim().parse().map_err(|_| wrong())?;
                if !(percent >= 0.0 && percent.is_finite()) {
                    return Err(wrong());
                }
                More::Percent(percent)
            }
            None => {
                let time = args::time(more)?;
                More::Ns(u64::try_from(time.as_nanos()).map_err(|_| wrong())?)
            }
        };
        Ok(Self { figure, more })
    }
}

impl Limit {
    /// Before and after, where a function that got slower is beyond it.
    fn broken_by(self, function: &Compared) -> Option<[u64; 2]> {
        let [before, after] = function.figure(self.figure)?;
        if !function.verdict.is_slower() {
            return None;
        }
        let beyond = match self.more {
            More::Ns(ns) => after > before.saturating_add(ns),
            More::Percent(percent) => after as f64 > before as f64 * (1.0 + percent / 100.0),
        };
        beyond.then_some([before, after])
    }
}

/// Compares.
pub(super) fn run(typed: Typed, color: args::Color) -> Result<(), Failure> {
    let Sides { before, after } = typed.live.sides(typed.words)?;
    let comparison = Comparison::of(before, after, typed.false_rate);
    let output = Output::new(typed.output, color);
    let mut out = BufWriter::new(output.open()?);
    let written = match output.format {
        Format::Table => write_table(&comparison, typed.all, &mut out),
        Format::Json => crate::sink::write_json(&comparison, &mut out),
    };
    written.map_err(|error| Failure::writing(output.name(), &error))?;
    for function in &comparison.functions {
        for limit in &typed.fail_if {
            if let Some([before, after]) = limit.broken_by(function) {
                return Err(Failure::LimitBroken(format!(
                    "{} is slower than --fail-if allows: {} before, {} after",
                    function.name,
                    duration(before),
                    duration(after)
                )));
            }
        }
    }
    Ok(())
}

/// The calls of a recording, by function; `shown` is what to call it.
pub(super) fn gathered(
    recording: impl Read,
    shown: &str,
) -> Result<BTreeMap<String, Gathered>, Failure> {
    let mut samples = Samples::default();
    let played = recording::play(BufReader::with_capacity(1 << 16, recording), &mut samples)
        .map_err(|error| Failure::failed(format_args!("{shown}: {error}")))?;
    if let Some(damage) = played.damage {
        eprintln!(
            "goinstr: {shown} is not complete ({}): what was recorded until then is compared",
            crate::sink::visible(&damage)
        );
    }
    Ok(samples.finish().0)
}

/// The same of a file.
pub(super) fn gathered_file(path: &PathBuf) -> Result<BTreeMap<String, Gathered>, Failure> {
    let shown = path.display().to_string();
    let file = File::open(path).map_err(|error| {
        Failure::failed(format_args!("can't open the recording {shown}: {error}"))
    })?;
    gathered(file, &shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        let limit = |text: &str| text.parse::<Limit>();
        assert_eq!(
            limit("p99>+10%"),
            Ok(Limit {
                figure: Figure::P99,
                more: More::Percent(10.0)
            })
        );
        assert_eq!(
            limit("mean > +1ms"),
            Ok(Limit {
                figure: Figure::Mean,
                more: More::Ns(1_000_000)
            })
        );
        for wrong in [
            "",
            "p99",
            "p99>10%",
            "p98>+1%",
            "p99>+x%",
            "p99>+-1%",
            "p99>+nan%",
        ] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }
}
