//! `goinstr doctor`: what stands in the way of measuring, and the command that mends it.

use std::io::{self, BufWriter, Write};

use anstyle::{AnsiColor, Style};

use super::args::{Color, Format, MaybeWhich, Output};
use super::config::maybe_selection;
use super::failure::Failure;
use super::{output, subject};
use crate::attach::features::{Check, Verdict};
use crate::session::doctor;
use crate::sink::line::{self, Line};
use crate::sink::visible;
use crate::target::{Selection, Target};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    which: MaybeWhich,
    #[command(flatten)]
    output: Output,
}

/// Checks the machine, and the target where one is given. Fails, with the contract's code 3, where
/// nothing can be measured.
pub(super) fn run(typed: Doctor, color: Color) -> Result<(), Failure> {
    let which = typed.which;
    let format = typed.output.output;
    let output = output::Output::new(typed.output, color);
    let out = BufWriter::new(output.open()?);
    let mut checks = doctor::of_machine();
    if let Some(selection) = maybe_selection(which.pid, which.name, which.exe) {
        checks.extend(of_target(&selection));
    }
    let written = match format {
        Format::Json => json(out, &checks),
        Format::Table => table(out, &checks, output.color()),
    };
    written.map_err(|error| Failure::writing(output.name(), &error))?;
    if doctor::can_measure(&checks) {
        return Ok(());
    }
    let names: Vec<_> = checks
        .iter()
        .filter(|check| check.verdict() == Verdict::Fatal)
        .map(Check::name)
        .collect();
    Err(Failure::NothingMeasurable(format!(
        "nothing can be measured: {}; see what each check says to do",
        names.join(", ")
    )))
}

fn of_target(selection: &Selection) -> Vec<Check> {
    let mut target = match Target::find(selection) {
        Ok(target) => target,
        Err(error) => return vec![doctor::of_failure("process", error.what(), error.remedy())],
    };
    let binary = subject::read(&mut target);
    let mut checks = doctor::of_target(&target);
    match binary {
        Ok(binary) => checks.extend(doctor::of_binary(&target, &binary)),
        Err(unread) => checks.push(doctor::of_failure("binary", unread.what, unread.remedy)),
    }
    checks
}

fn json(mut out: impl Write, checks: &[Check]) -> io::Result<()> {
    for check in checks {
        let line = line::Check {
            name: check.name(),
            ok: check.verdict() == Verdict::Good,
            detail: check.detail(),
            consequence: check.consequence(),
            remedy: check.remedy(),
        };
        Line::Check(line).write(&mut out)?;
    }
    out.flush()
}

fn table(mut out: impl Write, checks: &[Check], color: bool) -> io::Result<()> {
    let wide = checks
        .iter()
        .map(|check| check.name().len())
        .max()
        .unwrap_or(0);
    for check in checks {
        let (word, style) = match check.verdict() {
            Verdict::Good => ("ok", AnsiColor::Green.on_default()),
            Verdict::Limited => ("less", AnsiColor::Yellow.on_default()),
            Verdict::Fatal => ("FAIL", AnsiColor::Red.on_default()),
        };
        let style = if color { style } else { Style::new() };
        writeln!(
            out,
            "{style}{word:<4}{style:#}  {:wide$}  {}",
            check.name(),
            visible(check.detail())
        )?;
        for (what, text) in [("so", check.consequence()), ("do", check.remedy())] {
            if let Some(text) = text {
                writeln!(out, "{:6}{:wide$}  {what}: {}", "", "", visible(text))?;
            }
        }
    }
    let end = if doctor::can_measure(checks) {
        "this user can measure here"
    } else {
        "this user can't measure here"
    };
    writeln!(out, "\n{end}")?;
    out.flush()
}
