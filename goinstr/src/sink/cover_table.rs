//! Coverage for people: a share by package and function, what did not run, what it took.

use std::io::{self, Write};

use super::cover::{CoverSink, Share, by_package, lines_by_function};
use super::human::{count, duration, percent, things};
use super::visible::visible;
use crate::aggregate::{CoverLedger, CoverReport, Coverage, End, SessionInfo};
use crate::plan::{CoverFunction, CoverPlan, Location};

/// Reasons why functions can't be seen that are told.
const REASONS: usize = 3;

/// How the table is to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoverTableOptions {
    /// Tells of each function when it first runs.
    pub watch: bool,
    /// Only what did not run, and all of it.
    pub uncovered: bool,
    /// At most so many functions are named; `None`: all.
    pub limit: Option<usize>,
    /// How far it is stands in a line that is written over.
    pub live: bool,
}

/// Writes a coverage for people.
#[derive(Debug)]
pub struct CoverTable<W: Write> {
    out: io::BufWriter<W>,
    options: CoverTableOptions,
    plan: Option<CoverPlan>,
    start_unix_ns: u64,
    live: bool,
}

impl<W: Write> CoverTable<W> {
    /// A sink that writes to `out`, which need not buffer.
    pub fn new(out: W, options: CoverTableOptions) -> Self {
        Self {
            out: io::BufWriter::with_capacity(64 * 1024, out),
            options,
            plan: None,
            start_unix_ns: 0,
            live: false,
        }
    }

    /// Takes away the line that tells how far it is.
    fn clear(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.live) {
            self.out.write_all(b"\r\x1b[K")?;
        }
        Ok(())
    }

    fn report(&mut self, report: &CoverReport) -> io::Result<()> {
        self.clear()?;
        let Self {
            out, plan, options, ..
        } = self;
        let Some(plan) = plan else { return Ok(()) };
        let coverage = &report.coverage;
        if let Some(phase) = report.phase {
            writeln!(out, "phase {phase}, {}:", duration(report.elapsed_ns))?;
        }
        if !options.uncovered {
            packages(out, plan, coverage)?;
            writeln!(out)?;
            if coverage.lines_run() > 0 {
                functions(out, plan, coverage, options.limit)?;
                writeln!(out)?;
            }
        }
        let limit = options.limit.filter(|_| !options.uncovered);
        not_run(out, plan, coverage, limit)?;
        if options.uncovered && !plan.lines.is_empty() {
            lines_not_run(out, plan, coverage)?;
        }
        Ok(())
    }
}

impl<W: Write> CoverSink for CoverTable<W> {
    fn session(&mut self, info: &SessionInfo, plan: &CoverPlan) -> io::Result<()> {
        self.start_unix_ns = info.start_unix_ns;
        self.plan = Some(plan.clone());
        Ok(())
    }

    fn ran(&mut self, function: u32, unix_ns: u64) -> io::Result<()> {
        if !self.options.watch {
            return Ok(());
        }
        self.clear()?;
        let known = self
            .plan
            .as_ref()
            .and_then(|plan| plan.functions.get(function as usize));
        if let Some(known) = known {
            let after = duration(unix_ns.saturating_sub(self.start_unix_ns));
            writeln!(self.out, "{after:>8}  {}", named(known))?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.options.watch {
            self.out.flush()?;
        }
        Ok(())
    }

    fn interval(&mut self, report: &CoverReport) -> io::Result<()> {
        if self.options.live {
            let coverage = &report.coverage;
            let functions = coverage.functions.len();
            write!(
                self.out,
                "\r\x1b[K{}: {} of {} ran",
                duration(report.elapsed_ns),
                count(coverage.functions_run() as u64),
                things(functions, "function")
            )?;
            if !coverage.lines.is_empty() {
                write!(
                    self.out,
                    ", {} of {}",
                    count(coverage.lines_run() as u64),
                    things(coverage.lines.len(), "line")
                )?;
            }
            self.live = true;
        }
        self.out.flush()
    }

    fn phase(&mut self, report: &CoverReport) -> io::Result<()> {
        self.report(report)?;
        writeln!(self.out)?;
        self.start_unix_ns += report.elapsed_ns;
        self.out.flush()
    }

    fn phase_began(&mut self, phase: u32) -> io::Result<()> {
        writeln!(self.out, "phase {phase} has begun")?;
        self.out.flush()
    }

    fn finish(&mut self, report: &CoverReport, ledger: &CoverLedger) -> io::Result<()> {
        self.report(report)?;
        let Some(plan) = &self.plan else {
            return Ok(());
        };
        unseen(&mut self.out, plan)?;
        let ended = match ledger.end {
            End::Duration => "the duration is over",
            End::Signal => "ended by a signal",
            End::TargetExit => "the target has exited",
            End::CutOff => "cut off",
        };
        writeln!(
            self.out,
            "{ended} after {}: {} of {} hit, {} left in place; {} in all{}, sites taken out {} in {}",
            duration(report.elapsed_ns),
            count(ledger.sites_hit as u64),
            things(ledger.sites, "site"),
            count(ledger.sites_left as u64),
            things(
                usize::try_from(ledger.probe_hits).unwrap_or(usize::MAX),
                "hit"
            ),
            ledger
                .probe_cost_ns
                .map(|cost| format!(" (about {} of the target's time)", duration(cost)))
                .unwrap_or_default(),
            times(ledger.retirements),
            duration(ledger.retirement_ns),
        )?;
        self.out.flush()
    }
}

fn times(n: u32) -> String {
    match n {
        1 => "once".to_owned(),
        n => format!("{} times", count(u64::from(n))),
    }
}

fn share(share: Share) -> String {
    let percent = percent(share.ran as u64, share.all as u64);
    percent.unwrap_or_else(|| "-".to_owned())
}

fn of(share: Share) -> String {
    format!("{} of {}", count(share.ran as u64), count(share.all as u64))
}

/// One line a package, the least covered last, and a total.
fn packages(out: &mut impl Write, plan: &CoverPlan, coverage: &Coverage) -> io::Result<()> {
    let packages = by_package(plan, coverage);
    let mut total = super::cover::PackageShare::default();
    let mut rows: Vec<_> = packages.into_iter().collect();
    for (_, package) in &rows {
        for (sum, part) in [
            (&mut total.functions, package.functions),
            (&mut total.lines, package.lines),
        ] {
            sum.ran += part.ran;
            sum.all += part.all;
        }
    }
    // By the exact share: a × d against c × b.
    rows.sort_by(|(_, a), (_, b)| {
        let (a, b) = (a.functions, b.functions);
        (b.ran * a.all).cmp(&(a.ran * b.all))
    });
    if rows.len() > 1 {
        rows.push(("all packages", total));
    }
    let with_lines = !plan.lines.is_empty();
    let width = |cell: fn(&super::cover::PackageShare) -> String, title: &str| {
        let cells = rows.iter().map(|(_, package)| cell(package).len());
        cells.max().unwrap_or(0).max(title.len())
    };
    let functions = width(|package| of(package.functions), "functions");
    let lines = width(|package| of(package.lines), "lines");
    write!(out, "  covered  {:>functions$}", "functions")?;
    if with_lines {
        write!(out, "    covered  {:>lines$}", "lines")?;
    }
    writeln!(out, "  package")?;
    for (name, package) in rows {
        let cell = of(package.functions);
        write!(out, "{:>9}  {cell:>functions$}", share(package.functions))?;
        if with_lines {
            let cell = of(package.lines);
            write!(out, "  {:>9}  {cell:>lines$}", share(package.lines))?;
        }
        writeln!(out, "  {}", visible(name))?;
    }
    Ok(())
}

/// The lines of each function that ran, the least covered last.
fn functions(
    out: &mut impl Write,
    plan: &CoverPlan,
    coverage: &Coverage,
    limit: Option<usize>,
) -> io::Result<()> {
    let shares = lines_by_function(plan, coverage);
    let mut rows: Vec<(Share, &CoverFunction)> = shares
        .into_iter()
        .zip(&plan.functions)
        .zip(&coverage.functions)
        .filter(|(_, ran)| ran.is_some())
        .map(|(row, _)| row)
        .filter(|(share, _)| share.all > 0)
        .collect();
    rows.sort_by(|(a, _), (b, _)| (b.ran * a.all).cmp(&(a.ran * b.all)));
    let shown = limit.unwrap_or(usize::MAX);
    let hidden = rows.len().saturating_sub(shown);
    // Those that miss most are what is looked for: what goes is complete.
    let rows = &rows[hidden..];
    let width = rows.iter().map(|(share, _)| of(*share).len());
    let width = width.max().unwrap_or(0).max("lines".len());
    writeln!(out, "  covered  {:>width$}  function", "lines")?;
    if hidden > 0 {
        writeln!(out, "{:>9}  {:>width$}  {hidden} more", "…", "…")?;
    }
    for (lines, function) in rows {
        let cell = of(*lines);
        writeln!(
            out,
            "{:>9}  {cell:>width$}  {}",
            share(*lines),
            named(function)
        )?;
    }
    Ok(())
}

/// The functions that did not run.
fn not_run(
    out: &mut impl Write,
    plan: &CoverPlan,
    coverage: &Coverage,
    limit: Option<usize>,
) -> io::Result<()> {
    let missing: Vec<&CoverFunction> = plan
        .functions
        .iter()
        .zip(&coverage.functions)
        .filter(|(_, ran)| ran.is_none())
        .map(|(function, _)| function)
        .collect();
    if missing.is_empty() {
        return writeln!(out, "every function ran");
    }
    writeln!(
        out,
        "not run: {} of {}",
        count(missing.len() as u64),
        things(plan.functions.len(), "function")
    )?;
    let shown = limit.unwrap_or(usize::MAX);
    for function in missing.iter().take(shown) {
        write!(out, "  {}", named(function))?;
        if function.unseen > 0 {
            let copies = if function.unseen == 1 {
                "copy"
            } else {
                "copies"
            };
            write!(out, "  ({} {copies} can't be seen)", function.unseen)?;
        }
        writeln!(out)?;
    }
    if missing.len() > shown {
        writeln!(
            out,
            "  and {} more: --uncovered names them all",
            count((missing.len() - shown) as u64)
        )?;
    }
    Ok(())
}

/// The lines that did not run, by file, as ranges.
fn lines_not_run(out: &mut impl Write, plan: &CoverPlan, coverage: &Coverage) -> io::Result<()> {
    let missing = coverage.lines.iter().filter(|&&ran| !ran).count();
    writeln!(
        out,
        "not run: {} of {}",
        count(missing as u64),
        things(plan.lines.len(), "line")
    )?;
    let mut rest = plan.lines.iter().zip(&coverage.lines).peekable();
    for (file, id) in plan.files.iter().zip(0..) {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        let mut open = false;
        while let Some((line, ran)) = rest.next_if(|(line, _)| line.file == id) {
            match ranges.last_mut() {
                _ if *ran => {}
                // No line that ran lies between: one range, over lines without code too.
                Some(last) if open => last.1 = line.line,
                _ => ranges.push((line.line, line.line)),
            }
            open = !ran;
        }
        if !ranges.is_empty() {
            let ranges: Vec<String> = ranges
                .iter()
                .map(|&(from, to)| match from == to {
                    true => from.to_string(),
                    false => format!("{from}-{to}"),
                })
                .collect();
            writeln!(out, "  {}: {}", visible(&file.path), ranges.join(", "))?;
        }
    }
    Ok(())
}

/// What can't be seen at all.
fn unseen(out: &mut impl Write, plan: &CoverPlan) -> io::Result<()> {
    let mut reasons: std::collections::BTreeMap<&str, Vec<&str>> = Default::default();
    for skipped in &plan.skipped {
        let names = reasons.entry(skipped.reason).or_default();
        names.push(&skipped.function);
    }
    for (reason, names) in reasons {
        let named: Vec<_> = names
            .iter()
            .take(REASONS)
            .map(|name| visible(name))
            .collect();
        write!(out, "can't be seen, {reason}: {}", named.join(", "))?;
        if names.len() > REASONS {
            write!(out, " and {} more", count((names.len() - REASONS) as u64))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn named(function: &CoverFunction) -> String {
    let name = visible(&function.name);
    match &function.location {
        Some(Location { file, line }) => format!("{name}  ({}:{line})", visible(file)),
        None => name.into_owned(),
    }
}
