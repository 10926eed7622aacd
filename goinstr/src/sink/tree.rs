//! A trace for people: one line a call, indented under the call it was made in.
//!
//! Each line has all that belongs to it, so that `grep` finds whole facts.

use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use anstyle::{AnsiColor, Style};

use super::forest::Entry;
use super::human::{count, duration, things};
use super::ledger;
use super::stack_lines::stack_lines;
use super::trace::Format;
use super::visible::visible;
use super::{names, values};
use crate::aggregate::{
    BegunCall, CallEvent, Ledger, Outcome, Report, SessionInfo, ShedEvent, States,
};
use crate::plan::ProbePlan;

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const HOT: Style = AnsiColor::Yellow.on_default().bold();
const WARN: Style = AnsiColor::Red.on_default();
/// A call that spends this part of its root's duration on its own is what makes it slow.
const HOT_SHARE: u64 = 3;
/// Deeper calls are indented no further: the line would be blanks.
const DEEPEST_INDENT: u32 = 40;

/// Where the names of outermost calls stand.
const NAMES_AT: usize = 44;

/// How the tree is to look.
#[derive(Clone, Copy, Debug, Default)]
pub struct TreeOptions {
    /// Whether to use colours.
    pub color: bool,
}

/// Writes trees as text to `W`.
#[derive(Debug)]
pub struct TreeText<W: Write> {
    out: io::BufWriter<W>,
    options: TreeOptions,
    names: Vec<String>,
}

impl<W: Write> TreeText<W> {
    /// A trace on `out`, which need not buffer.
    pub fn new(out: W, options: TreeOptions) -> Self {
        Self {
            out: io::BufWriter::with_capacity(64 * 1024, out),
            options,
            names: Vec::new(),
        }
    }

    fn style(&self, text: String, style: Style) -> String {
        if self.options.color {
            format!("{style}{text}{style:#}")
        } else {
            text
        }
    }

    fn name(&self, function: u32) -> &str {
        names::of(&self.names, function)
    }

    fn call(&self, call: &CallEvent, level: u32, root_ns: u64, linked: bool) -> String {
        let (from, length) = (
            columns(call.start_unix_ns, call.goid),
            format!(
                "{:>7} {:>7}",
                duration(call.duration_ns),
                duration(call.self_ns)
            ),
        );
        let hot = level > 0 && call.self_ns >= root_ns.div_ceil(HOT_SHARE).max(1);
        let length = match (hot, level) {
            (true, _) => self.style(length, HOT),
            (false, 0) => self.style(length, BOLD),
            _ => length,
        };
        let name = self.name(call.function);
        let args = call.args().map_or(String::new(), values::arguments);
        let returns = call.returns().map_or(String::new(), values::results);
        let go = if linked { "go " } else { "" };
        let unwound = match call.outcome {
            Outcome::Returned => String::new(),
            Outcome::Unwound => self.style(" (unwound)".to_owned(), WARN),
        };
        let states = call.states.as_ref().map_or(String::new(), |states| {
            self.style(format!("  [{}]", states_in_short(states)), DIM)
        });
        format!(
            "{}  {length}  {}{go}{name}{args}{returns}{unwound}{states}",
            self.style(from, DIM),
            indent(level)
        )
    }
}

/// The states that make up a call, largest first: `91% sync.Mutex.Lock, 8% cpu`.
pub(super) fn states_in_short(states: &States) -> String {
    let mut parts: Vec<(&str, u64)> = vec![
        ("cpu", states.running_ns),
        ("runnable", states.runnable_ns),
        ("syscall", states.syscall_ns),
    ];
    parts.extend(states.waiting.iter().map(|(name, &ns)| (name.as_str(), ns)));
    parts.sort_by_key(|&(_, ns)| std::cmp::Reverse(ns));
    let whole = u128::from(states.total_ns()).max(1);
    let shares = parts
        .into_iter()
        .map(|(name, ns)| (name, u128::from(ns) * 100 / whole))
        .filter(|&(_, percent)| percent > 0)
        .map(|(name, percent)| format!("{percent}% {}", visible(name)));
    shares.collect::<Vec<_>>().join(", ")
}

fn indent(level: u32) -> String {
    "  ".repeat(level.min(DEEPEST_INDENT) as usize)
}

/// The time of day in UTC, and the goroutine.
fn columns(unix_ns: u64, goid: u64) -> String {
    format!("{}  g{goid:<6}", time_of_day(unix_ns))
}

/// `12:34:56.789012Z`.
pub(super) fn time_of_day(unix_ns: u64) -> String {
    let stamp = timestamp(unix_ns);
    match stamp.split_once('T') {
        Some((_, time)) => time.to_owned(),
        None => stamp,
    }
}

/// RFC 3339, in UTC, with microseconds.
pub(super) fn timestamp(unix_ns: u64) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_nanos(unix_ns));
    humantime::format_rfc3339_micros(time.unwrap_or(UNIX_EPOCH)).to_string()
}

impl<W: Write> Format for TreeText<W> {
    fn begin(&mut self, info: &SessionInfo, plan: &ProbePlan) -> io::Result<()> {
        self.names = names::distinct(plan);
        let who = info.pid.map_or(String::new(), |pid| format!("pid {pid}, "));
        let heading = format!(
            "{who}{} ({}, {}): {} at {}",
            visible(&info.exe),
            visible(info.go_version.as_deref().unwrap_or("unknown Go")),
            info.arch,
            things(info.functions, "function"),
            things(info.sites, "site"),
        );
        let titles = match info.mode.watches_ends() {
            true => format!(
                "{:<16}  {:<7}  {:>7} {:>7}  call",
                "time", "gorout.", "took", "self"
            ),
            false => format!("{:<16}  {:<7}  call that begins", "time", "gorout."),
        };
        writeln!(self.out, "{}", self.style(heading, DIM))?;
        for line in ledger::over_budget_lines(&plan.skipped) {
            writeln!(self.out, "{}", self.style(line, WARN))?;
        }
        writeln!(self.out, "{}", self.style(titles, BOLD))?;
        self.out.flush()
    }

    fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        let line = match entry {
            Entry::Call {
                call,
                level,
                root_ns,
                linked,
            } => self.call(call, *level, *root_ns, *linked),
            Entry::Open { call, level } => self.style(
                format!(
                    "{}  {:>7} {:>7}  {}{}",
                    columns(call.start_unix_ns, call.goid),
                    "open",
                    "-",
                    indent(*level),
                    self.name(call.function)
                ),
                DIM,
            ),
        };
        writeln!(self.out, "{line}")?;
        if let Entry::Call { call, level, .. } = entry
            && let Some(stack) = &call.stack
        {
            for line in stack_lines(stack) {
                let line = format!("{:NAMES_AT$}{}  {line}", "", indent(*level));
                writeln!(self.out, "{}", self.style(line, DIM))?;
            }
        }
        Ok(())
    }

    fn begun(&mut self, call: &BegunCall) -> io::Result<()> {
        let args = call.args.as_deref();
        let line = format!(
            "{}  {}{}",
            self.style(columns(call.start_unix_ns, call.goid), DIM),
            self.name(call.function),
            args.map_or(String::new(), values::arguments)
        );
        writeln!(self.out, "{line}")
    }

    fn shed(&mut self, event: &ShedEvent) -> io::Result<()> {
        let text = ledger::shed_line(self.name(event.function), event);
        writeln!(self.out, "{}", self.style(text, WARN))
    }

    fn missing(&mut self, calls: u64) -> io::Result<()> {
        let text = format!(
            "{} calls are missing here: too many at once (choose fewer functions, --slower-than or a larger --ring-size)",
            count(calls)
        );
        writeln!(self.out, "{}", self.style(text, WARN))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn end(&mut self, report: &Report, ledger: &Ledger) -> io::Result<()> {
        writeln!(self.out)?;
        let warnings = ledger::warnings(ledger);
        for line in ledger::lines(ledger, report.elapsed_ns) {
            let line = if warnings.contains(&line) {
                self.style(line, WARN)
            } else {
                line
            };
            writeln!(self.out, "{line}")?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::trace::TraceSink;
    use crate::sink::{Sink, sample};

    fn written(color: bool) -> String {
        let mut bytes = Vec::new();
        let mut sink = TraceSink::new(TreeText::new(&mut bytes, TreeOptions { color }), None);
        sink.session(&sample::info(), &sample::plan())
            .expect("session");
        for call in sample::tree() {
            sink.call(&call).expect("call");
        }
        sink.settle(Some(&[]), u64::MAX).expect("settle");
        sink.finish(&sample::report(2), &sample::ledger())
            .expect("finish");
        drop(sink);
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn the_lines_of_a_trace() {
        insta::assert_snapshot!(written(false));
    }

    /// What costs too much is told at once, not with the next calls.
    #[test]
    fn what_is_over_the_budget_is_told() {
        let mut bytes = Vec::new();
        let text = TreeText::new(&mut bytes, TreeOptions::default());
        let mut sink = TraceSink::new(text, None);
        sample::play_budget(&mut sink);
        std::mem::forget(sink);
        insta::assert_snapshot!(String::from_utf8(bytes).expect("UTF-8"));
    }

    #[test]
    fn colour_changes_no_letter_and_nothing_of_the_target_steers_the_terminal() {
        let coloured = written(true);
        let plain = anstream_free(&coloured);
        assert_eq!(plain, written(false));
        assert!(!coloured.contains("\x1b[2J") && coloured.contains('\x1b'));
    }

    /// Without the sequences that set colours.
    fn anstream_free(text: &str) -> String {
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("\x1b[") {
            plain.push_str(before);
            rest = after.split_once('m').map_or("", |(_, rest)| rest);
        }
        plain + rest
    }
}
