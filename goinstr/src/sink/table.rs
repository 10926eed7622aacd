//! The table of functions: redrawn in place on a terminal, and once at the end everywhere.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::columns::{self, Column, Rated, Reading};
use super::human::{count, duration, end_within, rate, start_within, things, width};
use super::screen::Screen;
use super::stack_lines::stack_lines;
use super::tree::{states_in_short, time_of_day};
use super::visible::visible;
use super::{Sink, Size, Sort, ledger, names, values};
use crate::aggregate::{
    CallEvent, CallerReport, FunctionReport, Ledger, Mode, Outcome, Report, SessionInfo, ShedEvent,
};
use crate::plan::{ProbePlan, Skipped};

/// Columns that a name keeps before figures are left out for it.
const NAME_COLUMNS: usize = 20;
/// Blanks between columns.
const GAP: usize = 2;
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const WARN: Style = AnsiColor::Yellow.on_default();

/// How the table is to look.
#[derive(Clone, Copy, Debug)]
pub struct TableOptions {
    /// Largest first by this.
    pub sort: Sort,
    /// At most so many rows; `None` for all.
    pub limit: Option<usize>,
    /// Whether to use colours.
    pub color: bool,
    /// Tells the terminal's size where the output is one: the table is then redrawn at each interval.
    pub live: Option<fn() -> Option<Size>>,
}

/// Writes the table to `W`.
#[derive(Debug)]
pub struct TableSink<W: Write> {
    out: W,
    options: TableOptions,
    heading: String,
    mode: Mode,
    names: Vec<String>,
    /// Measured functions that also have inlined copies.
    inlined: Vec<String>,
    /// Durations of single calls below this are not known, where that is known.
    floor_ns: Option<u64>,
    skipped: Vec<Skipped>,
    screen: Screen,
}

/// A line as it is measured and as it is printed.
type Drawn = (String, String);

impl<W: Write> TableSink<W> {
    /// A table on `out`, which need not buffer.
    pub fn new(out: W, options: TableOptions) -> Self {
        Self {
            out,
            options,
            heading: String::new(),
            mode: Mode::default(),
            names: Vec::new(),
            inlined: Vec::new(),
            floor_ns: None,
            skipped: Vec::new(),
            screen: Screen::default(),
        }
    }

    fn size(&self) -> Option<Size> {
        self.options.live.and_then(|size| size())
    }

    fn style(&self, text: String, style: Style) -> Drawn {
        let styled = if self.options.color {
            format!("{style}{text}{style:#}")
        } else {
            text.clone()
        };
        (text, styled)
    }

    fn name(&self, function: u32) -> &str {
        names::of(&self.names, function)
    }

    /// The functions that were called, sorted; those never called are only counted.
    fn sorted<'r>(&self, report: &'r Report) -> Vec<&'r FunctionReport> {
        let seen = |figures: &&FunctionReport| figures.calls > 0 || figures.in_flight > 0;
        let mut rows: Vec<_> = report.functions.iter().filter(seen).collect();
        let key = |figures: &FunctionReport| self.options.sort.key(figures);
        rows.sort_by(|a, b| {
            let by_name = || self.name(a.function).cmp(self.name(b.function));
            key(b).cmp(&key(a)).then_with(by_name)
        });
        rows
    }

    /// The heading and one line for each of `rows`, no wider than `columns` where that is given.
    fn table(
        &self,
        report: &Report,
        rows: &[&FunctionReport],
        rated: Rated,
        columns: Option<usize>,
    ) -> Vec<Drawn> {
        let mut shown = columns::of(self.mode, report);
        let reading = Reading {
            rated,
            floor_ns: self.floor_ns,
        };
        let mut cells = Cells::of(&shown, rows, reading);
        if let Some(columns) = columns {
            while cells.width() + NAME_COLUMNS > columns
                && let Some(index) = columns::expendable(&shown)
            {
                shown.remove(index);
                cells = Cells::of(&shown, rows, reading);
            }
        }
        let room = columns.map_or(usize::MAX, |columns| columns.saturating_sub(cells.width()));
        let fit = |text: String| match columns {
            Some(columns) => start_within(&text, columns).into_owned(),
            None => text,
        };
        let titles: Vec<_> = shown
            .iter()
            .map(|column| column.title().to_owned())
            .collect();
        let mut lines = vec![self.style(fit(cells.line(&titles) + "function"), BOLD)];
        for (row, figures) in cells.rows.iter().zip(rows) {
            let mark = figures.shed_after_ns.map_or(String::new(), |after| {
                format!(" (only the first {}: over budget)", duration(after))
            });
            let name = end_within(self.name(figures.function), room);
            let text = fit(cells.line(row) + &name + &mark);
            lines.push(if figures.calls == 0 {
                self.style(text, DIM)
            } else {
                (text.clone(), text)
            });
            lines.extend(
                self.callers(report, figures, &cells, rated)
                    .map(fit)
                    .map(|text| self.style(text, DIM)),
            );
        }
        lines
    }

    /// A line for each caller of a function, where callers were asked for.
    fn callers<'r>(
        &'r self,
        report: &'r Report,
        figures: &'r FunctionReport,
        cells: &'r Cells,
        rated: Rated,
    ) -> impl Iterator<Item = String> + 'r {
        let of_it = |caller: &&CallerReport| caller.function == figures.function;
        report.callers.iter().filter(of_it).map(move |caller| {
            let mut texts = vec![count(caller.calls)];
            if let Rated::Whole(ns) = rated {
                texts.push(rate(caller.calls, ns));
            }
            let by = caller
                .caller
                .as_deref()
                .map_or("an unknown caller".into(), visible);
            format!("{}  by {by}", cells.line(&texts))
        })
    }

    fn live(&mut self, report: &Report, size: Size) -> io::Result<()> {
        let rows = self.sorted(report);
        let silent = report.functions.len() - rows.len();
        // Heading, titles, the line below, and the cursor's own.
        let room = size.rows.saturating_sub(4).max(1);
        let limit = self.options.limit.unwrap_or(usize::MAX).min(room);
        let shown = rows.get(..limit.min(rows.len())).unwrap_or_default();
        // One column less than there are: a full line would wrap on some terminals.
        let columns = size.columns.saturating_sub(1).max(1);
        let heading = format!("{}  {}", duration(report.elapsed_ns), self.heading);
        let mut lines = vec![self.style(start_within(&heading, columns).into_owned(), DIM)];
        lines.extend(self.table(
            report,
            shown,
            Rated::Interval(report.interval_ns),
            Some(columns),
        ));
        let mut below = String::new();
        if rows.len() > shown.len() {
            below = format!("{} more called, ", rows.len() - shown.len());
        }
        if silent > 0 {
            below += &format!("{silent} not called yet, ");
        }
        below.push_str("Ctrl-C ends");
        lines.push(self.style(start_within(&below, columns).into_owned(), DIM));
        self.screen.draw(&mut self.out, size, &lines)
    }

    fn print(&mut self, lines: &[Drawn]) -> io::Result<()> {
        let mut text = match self.size() {
            Some(size) => self.screen.erase(size),
            None => String::new(),
        };
        for (_, styled) in lines {
            text.push_str(styled);
            text.push('\n');
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> Sink for TableSink<W> {
    fn session(&mut self, info: &SessionInfo, plan: &ProbePlan) -> io::Result<()> {
        let who = info.pid.map_or(String::new(), |pid| format!("pid {pid}, "));
        let version = info.go_version.as_deref().unwrap_or("unknown Go");
        self.heading = format!(
            "{who}{} ({}, {}): {} at {}",
            visible(&info.exe),
            visible(version),
            info.arch,
            things(info.functions, "function"),
            things(info.sites, "site"),
        );
        self.mode = info.mode;
        self.names = names::distinct(plan);
        let inlined = plan
            .functions
            .iter()
            .filter(|function| function.inlined_into > 0);
        self.inlined = inlined.map(|function| function.name.clone()).collect();
        self.skipped.clone_from(&plan.skipped);
        self.floor_ns = info
            .probe_costs
            .and_then(|costs| costs.floor_ns.map(u64::from));
        Ok(())
    }

    fn call(&mut self, call: &CallEvent) -> io::Result<()> {
        let parent: Vec<u32> = call.parent.into_iter().collect();
        let callers = match call.callers.as_slice() {
            [] => parent.as_slice(),
            callers => callers,
        };
        let callers = callers
            .iter()
            .map(|&caller| format!(" in {}", self.name(caller)));
        let callers: String = callers.collect();
        let outcome = match call.outcome {
            Outcome::Returned => "",
            Outcome::Unwound => " (unwound)",
        };
        let states = call.states.as_ref().map_or(String::new(), |states| {
            format!("  [{}]", states_in_short(states))
        });
        let args = call.args().map_or(String::new(), values::arguments);
        let returns = call.returns().map_or(String::new(), values::results);
        let text = format!(
            "slow: {}  {:>7}{outcome}  {}{args}{returns}{callers}, goroutine {}{states}",
            time_of_day(call.start_unix_ns),
            duration(call.duration_ns),
            self.name(call.function),
            call.goid,
        );
        let stack = call.stack.as_deref().map_or(Vec::new(), stack_lines);
        let stack = stack.into_iter().map(|line| format!("    {line}"));
        let lines = stack.map(|line| self.style(line, DIM));
        let lines: Vec<_> = std::iter::once((text.clone(), text)).chain(lines).collect();
        self.print(&lines)
    }

    fn shed(&mut self, event: &ShedEvent) -> io::Result<()> {
        let text = ledger::shed_line(self.name(event.function), event);
        let line = self.style(text, WARN);
        self.print(&[line])
    }

    fn interval(&mut self, _number: u64, report: &Report) -> io::Result<()> {
        match self.size() {
            Some(size) => self.live(report, size),
            // Nothing to say; but whether anyone is still there shows.
            None => self.out.flush(),
        }
    }

    fn finish(&mut self, report: &Report, ledger: &Ledger) -> io::Result<()> {
        let rows = self.sorted(report);
        let silent = report.functions.len() - rows.len();
        let limit = self.options.limit.unwrap_or(usize::MAX).min(rows.len());
        let shown = rows.get(..limit).unwrap_or_default();
        let mut lines = vec![self.style(self.heading.clone(), DIM), Drawn::default()];
        lines.extend(self.table(report, shown, Rated::Whole(report.elapsed_ns), None));
        lines.push(Drawn::default());
        let plain = |text: String| (text.clone(), text);
        let all = count(report.functions.len() as u64);
        if rows.len() > shown.len() {
            let more = count((rows.len() - shown.len()) as u64);
            lines.push(plain(format!(
                "not shown: {more} of {all} functions (--limit 0 shows all)"
            )));
        }
        if silent > 0 {
            lines.push(plain(format!(
                "not called: {} of {all} functions",
                count(silent as u64)
            )));
        }
        if !self.inlined.is_empty() {
            let names = ledger::some(self.inlined.iter().map(String::as_str));
            lines.push(plain(format!(
                "inlined copies elsewhere, whose calls can't be seen: {names}"
            )));
        }
        if let Some(floor) = self.floor_ns
            && shown
                .iter()
                .any(|figures| figures.p50_ns.is_some_and(|p50| p50 < floor))
        {
            lines.push(plain(format!(
                "durations are corrected for what the probes add to them; below {} they can't be told apart",
                duration(floor)
            )));
        }
        lines.extend(ledger::skipped_lines(&self.skipped).into_iter().map(plain));
        let warnings = ledger::warnings(ledger);
        for line in ledger::lines(ledger, report.elapsed_ns) {
            lines.push(if warnings.contains(&line) {
                self.style(line, WARN)
            } else {
                plain(line)
            });
        }
        self.print(&lines)
    }
}

/// The figures of a table as text, with the width of each column.
struct Cells {
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
}

impl Cells {
    fn of(columns: &[Column], rows: &[&FunctionReport], reading: Reading) -> Self {
        let cells = |figures: &&FunctionReport| {
            columns
                .iter()
                .map(|column| column.cell(figures, reading))
                .collect()
        };
        let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
        let widest = |(index, column): (usize, &Column)| {
            let cells = rows
                .iter()
                .filter_map(|row| row.get(index))
                .map(|cell| width(cell));
            cells.chain([width(column.title())]).max().unwrap_or(0)
        };
        let widths = columns.iter().enumerate().map(widest).collect();
        Self { rows, widths }
    }

    /// Columns that the figures and their gaps take.
    fn width(&self) -> usize {
        self.widths.iter().map(|width| width + GAP).sum()
    }

    fn line(&self, cells: &[String]) -> String {
        let mut line = String::with_capacity(self.width());
        for (cell, &columns) in cells.iter().zip(&self.widths) {
            line.extend(std::iter::repeat_n(
                ' ',
                columns.saturating_sub(width(cell)),
            ));
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', GAP));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Library;
    use crate::sink::sample;

    const PLAIN: TableOptions = TableOptions {
        sort: Sort::Total,
        limit: None,
        color: false,
        live: None,
    };

    fn written(options: TableOptions) -> String {
        let mut bytes = Vec::new();
        sample::play(&mut TableSink::new(&mut bytes, options));
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn the_final_table() {
        insta::assert_snapshot!(written(PLAIN));
    }

    #[test]
    fn the_final_table_of_a_count() {
        let mut bytes = Vec::new();
        let options = TableOptions {
            sort: Sort::Calls,
            ..PLAIN
        };
        sample::play_count(&mut TableSink::new(&mut bytes, options));
        insta::assert_snapshot!(String::from_utf8(bytes).expect("UTF-8"));
    }

    #[test]
    fn the_live_table_of_a_narrow_terminal() {
        let live = TableOptions {
            color: true,
            live: Some(|| {
                Some(Size {
                    columns: 60,
                    rows: 24,
                })
            }),
            ..PLAIN
        };
        insta::assert_snapshot!(written(live).replace('\x1b', "␛"));
    }

    #[test]
    fn no_live_line_is_wider_than_the_terminal() {
        for columns in [1, 10, 20, 40, 79, 80, 200] {
            let mut sink = TableSink::new(Vec::new(), PLAIN);
            sink.session(&sample::info(), &sample::plan())
                .expect("session");
            sink.live(&sample::report(1), Size { columns, rows: 10 })
                .expect("drawn");
            let text = String::from_utf8(sink.out).expect("UTF-8");
            assert!(
                text.lines().all(|line| width(line) <= columns),
                "{columns}: {text}"
            );
            assert!(text.lines().count() < 10, "{columns}: {text}");
        }
    }

    #[test]
    fn functions_that_are_printed_the_same_are_told_apart() {
        let mut plan = sample::plan();
        let mut twin = plan.functions[1].clone();
        twin.symbol = Some("main.(*Cache[go.shape.string]).Get".to_owned());
        plan.functions.push(twin);
        let mut plugged = plan.functions[0].clone();
        plugged.entry.file = 1;
        plan.functions.push(plugged);
        plan.libraries = vec![Library {
            path: "/srv/p.so".into(),
            open_path: "/proc/self/fd/9".into(),
            unwind: plan.unwind.clone(),
        }];
        let names = names::distinct(&plan);
        assert_eq!(names[0], "main.work");
        assert_eq!(names[1], "main.(*Cache[go.shape.int]).Get");
        assert_eq!(names[5], "main.(*Cache[go.shape.string]).Get");
        assert_eq!(names[6], "main.work (/srv/p.so)");
        assert_eq!(
            names::distinct(&sample::plan())[1],
            "main.(*Cache[...]).Get"
        );
    }

    #[test]
    fn rows_are_sorted_and_limited() {
        let calls = written(TableOptions {
            sort: Sort::Calls,
            limit: Some(1),
            ..PLAIN
        });
        let rows: Vec<_> = calls
            .lines()
            .skip_while(|line| !line.ends_with("function"))
            .skip(1)
            .collect();
        assert!(rows[0].ends_with("  main.(*Cache[...]).Get"), "{calls}");
        assert_eq!(rows[1], "", "{calls}");
        assert_eq!(rows[2], "not shown: 3 of 5 functions (--limit 0 shows all)");
    }

    #[test]
    fn nothing_of_the_target_steers_the_terminal() {
        assert!(!written(PLAIN).contains('\x1b'));
        let live = TableOptions {
            color: true,
            live: Some(|| {
                Some(Size {
                    columns: 200,
                    rows: 24,
                })
            }),
            ..PLAIN
        };
        let text = written(live);
        assert!(text.contains("main.evil"), "{text}");
        assert!(
            !text.contains("\x1b[2J") && !text.contains('\u{202e}'),
            "{text}"
        );
    }
}
