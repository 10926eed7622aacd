//! `goinstr list`: the functions of a binary, and whether each can be measured.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::iter;

use super::args::Format;
use super::config::List;
use super::failure::Failure;
use super::pager::Pager;
use super::progress::Progress;
use super::subject::Opened;
use crate::binary::{GoBinary, names};
use crate::plan::{self, Pattern, PlanError, Surveyed};
use crate::sink::line::{self, Line};
use crate::sink::visible;

/// Lists what `list` chooses, in address order.
pub(super) fn run(list: &List) -> Result<(), Failure> {
    let opened = list.subject.open()?;
    let mut listing = Progress::of_unknown("decoding the functions")
        .during(|| survey(&opened, &list.patterns))?;
    if list.unmeasurable {
        for part in &mut listing {
            let functions = &mut part.functions;
            functions.retain(|function| function.verdict.is_err());
        }
    }
    let name = list.output.name();
    let written = match list.output.format {
        Format::Json => list.output.open().map(|out| json(out, &listing))?,
        Format::Table if list.output.is_terminal() => match Pager::start() {
            Some(pager) => table(pager, &listing),
            None => table(io::stdout(), &listing),
        },
        Format::Table => list.output.open().map(|out| table(out, &listing))?,
    };
    written.map_err(|error| Failure::writing(name, &error))
}

/// What is listed of one file.
struct Part<'b> {
    binary: &'b GoBinary,
    /// `None`: it is the program itself.
    library: Option<String>,
    functions: Vec<Surveyed<'b>>,
}

/// The functions of the program, then those of the process' plugins.
fn survey<'b>(opened: &'b Opened, patterns: &[Pattern]) -> Result<Vec<Part<'b>>, PlanError> {
    let program = Part {
        binary: &opened.binary,
        library: None,
        functions: Vec::new(),
    };
    if opened.plugins.is_empty() {
        return Ok(vec![Part {
            functions: plan::survey(&opened.binary, patterns)?,
            ..program
        }]);
    }
    let plugins = opened.plugins.iter().map(|module| Part {
        binary: &module.binary,
        library: Some(module.path.display().to_string()),
        functions: Vec::new(),
    });
    let mut parts: Vec<Part<'b>> = iter::once(program).chain(plugins).collect();
    let binaries = parts.iter().map(|part| part.binary);
    let patterns = plan::applicable(binaries, patterns)?;
    let mut nothing = None;
    for (part, patterns) in parts.iter_mut().zip(patterns) {
        let Some(patterns) = patterns else { continue };
        match plan::survey(part.binary, &patterns) {
            Ok(functions) => part.functions = functions,
            Err(error @ (PlanError::NoDefault | PlanError::AllTakenAway)) => nothing = Some(error),
            Err(error) => return Err(error),
        }
    }
    match nothing {
        Some(error) if parts.iter().all(|part| part.functions.is_empty()) => Err(error),
        _ => Ok(parts),
    }
}

fn json(out: impl Write, listing: &[Part<'_>]) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, out);
    for (part, function) in each(listing) {
        let location = function.location(part.binary);
        let obstacle = function.verdict.as_ref().err();
        let printed = function.printed();
        let package = names::import_path(names::package(function.name));
        let detail = obstacle.map(plan::Obstacle::detail);
        let listed = line::Listed {
            function: &printed,
            symbol: (printed != function.name).then_some(function.name),
            library: part.library.as_deref(),
            package: &package,
            receiver: names::receiver(function.name),
            generic: names::is_generic(function.name),
            closure: names::is_closure(function.name),
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

fn each<'l, 'b>(listing: &'l [Part<'b>]) -> impl Iterator<Item = (&'l Part<'b>, &'l Surveyed<'b>)> {
    listing
        .iter()
        .flat_map(|part| part.functions.iter().map(move |function| (part, function)))
}

/// Size and verdict first, in columns; the names and places, of any length, after them.
fn table(out: impl Write, listing: &[Part<'_>]) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, out);
    let verdict = |function: &Surveyed<'_>| {
        function
            .verdict
            .as_ref()
            .err()
            .map_or("yes", plan::Obstacle::reason)
    };
    let reasons = each(listing).map(|(_, function)| verdict(function).len());
    let wide = reasons.chain(["measurable".len()]).max().unwrap_or(0);
    writeln!(
        out,
        "{:>9}  {:wide$}  function  (where)",
        "size", "measurable"
    )?;
    let mut text = String::new();
    for (part, function) in each(listing) {
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
        if let Some(at) = function.location(part.binary) {
            write!(text, "  ({}:{})", visible(at.file), at.line).map_err(io::Error::other)?;
        }
        if let Some(library) = &part.library {
            write!(text, "  in {}", visible(library)).map_err(io::Error::other)?;
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
