//! `goinstr list`: the functions of a binary, and whether each can be measured.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};

use super::args::Format;
use super::config::List;
use super::failure::Failure;
use super::pager::Pager;
use crate::binary::{GoBinary, names};
use crate::plan::{self, Surveyed};
use crate::sink::line::{self, Line};
use crate::sink::visible;

/// Lists what `list` chooses, in address order.
pub(super) fn run(list: &List) -> Result<(), Failure> {
    let opened = list.subject.open()?;
    let mut functions = plan::survey(&opened.binary, &list.patterns)?;
    if list.unmeasurable {
        functions.retain(|function| function.verdict.is_err());
    }
    let name = list.output.name();
    let written = match list.output.format {
        Format::Json => list
            .output
            .open()
            .map(|out| json(out, &opened.binary, &functions))?,
        Format::Table if list.output.is_terminal() => match Pager::start() {
            Some(pager) => table(pager, &opened.binary, &functions),
            None => table(io::stdout(), &opened.binary, &functions),
        },
        Format::Table => list
            .output
            .open()
            .map(|out| table(out, &opened.binary, &functions))?,
    };
    written.map_err(|error| Failure::writing(name, &error))
}

fn json(out: impl Write, binary: &GoBinary, functions: &[Surveyed<'_>]) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, out);
    for function in functions {
        let location = function.location(binary);
        let obstacle = function.verdict.as_ref().err();
        let printed = function.printed();
        let package = names::import_path(names::package(function.name));
        let detail = obstacle.map(plan::Obstacle::detail);
        let listed = line::Listed {
            function: &printed,
            symbol: (printed != function.name).then_some(function.name),
            package: &package,
            file: location.as_ref().map(|at| at.file),
            line: location.as_ref().map(|at| at.line),
            address: function.address().map(|address| address.0),
            size: function.size(),
            measurable: obstacle.is_none(),
            reason: obstacle.map(plan::Obstacle::reason),
            detail: detail.as_deref(),
            inlined_into: (function.inlined_into > 0).then_some(function.inlined_into),
        };
        Line::Listed(listed).write(&mut out)?;
    }
    out.flush()
}

/// Size and verdict first, in columns; the names and places, of any length, after them.
fn table(out: impl Write, binary: &GoBinary, functions: &[Surveyed<'_>]) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, out);
    let verdict = |function: &Surveyed<'_>| {
        function
            .verdict
            .as_ref()
            .err()
            .map_or("yes", plan::Obstacle::reason)
    };
    let reasons = functions.iter().map(|function| verdict(function).len());
    let wide = reasons.chain(["measurable".len()]).max().unwrap_or(0);
    writeln!(
        out,
        "{:>9}  {:wide$}  function  (where)",
        "size", "measurable"
    )?;
    let mut text = String::new();
    for function in functions {
        text.clear();
        match function.size() {
            Some(size) => write!(text, "{size:>9}"),
            None => write!(text, "{:>9}", "-"),
        }
        .and_then(|()| {
            write!(
                text,
                "  {:wide$}  {}",
                verdict(function),
                visible(function.name)
            )
        })
        .map_err(io::Error::other)?;
        if let Some(at) = function.location(binary) {
            write!(text, "  ({}:{})", visible(at.file), at.line).map_err(io::Error::other)?;
        }
        match &function.verdict {
            Ok(_) if function.inlined_into > 0 => {
                write!(text, "  also inlined into {}", function.inlined_into)
                    .map_err(io::Error::other)?;
            }
            Ok(_) => {}
            Err(obstacle) => {
                write!(text, "  {}", visible(&obstacle.detail())).map_err(io::Error::other)?
            }
        }
        text.push('\n');
        out.write_all(text.as_bytes())?;
    }
    out.flush()
}
