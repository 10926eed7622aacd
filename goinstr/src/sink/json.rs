//! NDJSON: the measurement as one object a line, for scripts.

use std::io::{self, Write};

use super::Sink;
use super::forest::Entry;
use super::json_text;
use super::line::{self, Line};
use super::trace::Format;
use crate::aggregate::{
    BegunCall, CallEvent, CallStack, End, FunctionReport, Ledger, Mode, Report, SessionInfo,
    ShedEvent,
};
use crate::plan::{Location, ProbePlan};

/// Writes the lines of a measurement to `W`, which need not buffer.
#[derive(Debug)]
pub struct JsonSink<W: Write> {
    out: io::BufWriter<W>,
    intervals: bool,
    mode: Mode,
    ids: bool,
    functions: Vec<Known>,
}

/// What the lines say about a function beside its figures.
#[derive(Debug)]
struct Known {
    name: String,
    symbol: Option<String>,
    library: Option<String>,
    location: Option<Location>,
    inlined_into: u32,
    /// When it was shed.
    shed_at_unix_ns: Option<u64>,
}

impl<W: Write> JsonSink<W> {
    /// A sink that reports the functions at the end and, with `intervals`, at each interval.
    pub fn new(out: W, intervals: bool) -> Self {
        Self {
            out: io::BufWriter::with_capacity(64 * 1024, out),
            intervals,
            mode: Mode::default(),
            ids: false,
            functions: Vec::new(),
        }
    }

    /// With the functions' indices beside their names, which several may share, and all that is
    /// known of a call: for recordings.
    pub(crate) fn with_ids(self) -> Self {
        Self { ids: true, ..self }
    }

    /// Writes another line.
    pub(crate) fn line(&mut self, line: &impl serde::Serialize) -> io::Result<()> {
        json_text::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
    }

    /// Writes through all lines so far.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Writes the figures of functions.
    pub(crate) fn functions(&mut self, report: &Report, interval: Option<u64>) -> io::Result<()> {
        for figures in &report.functions {
            let index = usize::try_from(figures.function).unwrap_or(usize::MAX);
            if let Some(known) = self.functions.get(index) {
                let function = line::Function {
                    id: self.ids.then_some(figures.function),
                    ..function(self.mode, known, figures, interval)
                };
                Line::Function(function).write(&mut self.out)?;
            }
        }
        Ok(())
    }
}

impl<W: Write> Sink for JsonSink<W> {
    fn session(&mut self, info: &SessionInfo, plan: &ProbePlan) -> io::Result<()> {
        self.mode = info.mode;
        self.functions = plan
            .functions
            .iter()
            .map(|function| Known {
                name: function.name.clone(),
                symbol: function.symbol.clone(),
                library: plan
                    .library_of(function)
                    .map(|library| library.path.to_string_lossy().into_owned()),
                location: function.location.clone(),
                inlined_into: function.inlined_into,
                shed_at_unix_ns: None,
            })
            .collect();
        let session = line::Session {
            schema: line::SCHEMA,
            goinstr: env!("CARGO_PKG_VERSION"),
            pid: info.pid,
            exe: &info.exe,
            go_version: info.go_version.as_deref(),
            arch: info.arch,
            mode: info.mode.name(),
            kernel: &info.kernel,
            attach: info.attach,
            returns: info.mode.watches_ends().then_some(info.returns),
            functions: info.functions,
            sites: info.sites,
            start_unix_ns: info.start_unix_ns,
            duty_percent: info.duty_percent,
            coverage: None,
            states: info.states.as_ref(),
            probe_costs: info.probe_costs.as_ref(),
        };
        Line::Session(session).write(&mut self.out)?;
        for skipped in &plan.skipped {
            let skipped = line::Skipped {
                function: &skipped.function,
                reason: skipped.reason,
                detail: &skipped.detail,
                calls_per_second: None,
                shed_at_unix_ns: None,
            };
            Line::Skipped(skipped).write(&mut self.out)?;
        }
        self.out.flush()
    }

    fn call(&mut self, call: &CallEvent) -> io::Result<()> {
        let name = |function| name(&self.functions, function);
        let Some(function) = name(call.function) else {
            return Ok(());
        };
        let call = Line::Call(line::Call {
            function,
            goid: call.goid,
            parent_goid: call.parent_goid,
            start_unix_ns: call.start_unix_ns,
            duration_ns: call.duration_ns,
            self_ns: call.self_ns,
            outcome: call.outcome.name(),
            depth: call.depth,
            parent: call.parent.and_then(name),
            states: call.states.as_ref(),
            callers: call.callers.iter().filter_map(|&f| name(f)).collect(),
            stack: call
                .stack
                .as_ref()
                .map(|stack| stack.frames().map(line::Frame::of).collect()),
            stack_waited_ns: call.stack.as_deref().and_then(|stack| stack.waited_ns),
            stack_cut: call.stack.as_deref().is_some_and(CallStack::is_cut),
            args: call.args(),
            returns: call.returns(),
            id: self.ids.then_some(call.function),
            parent_id: call.parent.filter(|_| self.ids),
            corrected_ns: self.ids.then_some(call.corrected_ns),
        });
        call.write(&mut self.out)
    }

    fn begun(&mut self, call: &BegunCall) -> io::Result<()> {
        let Some(function) = name(&self.functions, call.function) else {
            return Ok(());
        };
        let entry = Line::Entry(line::Entry {
            function,
            goid: call.goid,
            parent_goid: call.parent_goid,
            start_unix_ns: call.start_unix_ns,
            args: call.args.as_deref(),
        });
        entry.write(&mut self.out)
    }

    fn shed(&mut self, event: &ShedEvent) -> io::Result<()> {
        let index = usize::try_from(event.function).unwrap_or(usize::MAX);
        if let Some(known) = self.functions.get_mut(index) {
            known.shed_at_unix_ns = Some(event.at_unix_ns);
        }
        let skipped = line::Skipped {
            function: &event.name,
            reason: "over_budget",
            detail: &event.detail,
            calls_per_second: Some(event.calls_per_second),
            shed_at_unix_ns: Some(event.at_unix_ns),
        };
        Line::Skipped(skipped).write(&mut self.out)?;
        // Whoever reads has to know at once.
        self.out.flush()
    }

    fn interval(&mut self, number: u64, report: &Report) -> io::Result<()> {
        if self.intervals {
            self.functions(report, Some(number))?;
        }
        self.out.flush()
    }

    fn finish(&mut self, report: &Report, ledger: &Ledger) -> io::Result<()> {
        self.functions(report, None)?;
        for caller in &report.callers {
            if let Some(function) = name(&self.functions, caller.function) {
                let caller = line::Caller {
                    function,
                    caller: caller.caller.as_deref(),
                    calls: caller.calls,
                };
                Line::Caller(caller).write(&mut self.out)?;
            }
        }
        // A count knows nothing of a call but its beginning.
        let known = |figure| ledger.mode.watches_ends().then_some(figure);
        // Nor does it tell of any, unless that was asked for.
        let tells = ledger.mode != Mode::Count;
        let ledger = line::Ledger {
            entries: ledger.entries,
            returned: known(ledger.returned),
            unwound: known(ledger.unwound),
            in_flight: known(ledger.in_flight),
            orphan_returns: known(ledger.orphan_returns),
            lost: &ledger.lost,
            dropped_records: tells.then_some(ledger.dropped_records),
            without_states: (ledger.without_states > 0).then_some(ledger.without_states),
            probe_hits: ledger.probe_hits,
            probe_cost_ns: ledger.probe_cost_ns,
            otlp: ledger.exported,
            end: match ledger.end {
                End::Duration => "duration",
                End::Signal => "signal",
                End::TargetExit => "target_exit",
                End::CutOff => "cut_off",
            },
        };
        Line::Ledger(ledger).write(&mut self.out)?;
        self.out.flush()
    }
}

/// A trace's calls, in the order in which they began.
impl<W: Write> Format for JsonSink<W> {
    fn begin(&mut self, info: &SessionInfo, plan: &ProbePlan) -> io::Result<()> {
        self.session(info, plan)
    }

    fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        match entry {
            Entry::Call { call, .. } => self.call(call),
            // What has not returned comes when it has.
            Entry::Open { .. } => Ok(()),
        }
    }

    fn begun(&mut self, call: &BegunCall) -> io::Result<()> {
        Sink::begun(self, call)
    }

    fn shed(&mut self, event: &ShedEvent) -> io::Result<()> {
        Sink::shed(self, event)
    }

    fn missing(&mut self, _calls: u64) -> io::Result<()> {
        // The ledger has them.
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn end(&mut self, report: &Report, ledger: &Ledger) -> io::Result<()> {
        self.finish(report, ledger)
    }
}

fn name(functions: &[Known], function: u32) -> Option<&str> {
    let known = functions.get(usize::try_from(function).ok()?)?;
    Some(&known.name)
}

fn function<'a>(
    mode: Mode,
    known: &'a Known,
    figures: &'a FunctionReport,
    interval: Option<u64>,
) -> line::Function<'a> {
    let timed = |figure| mode.watches_ends().then_some(figure);
    line::Function {
        function: &known.name,
        id: None,
        symbol: known.symbol.as_deref(),
        library: known.library.as_deref(),
        interval,
        file: known.location.as_ref().map(|at| at.file.as_str()),
        line: known.location.as_ref().map(|at| at.line),
        calls: figures.calls,
        timed: figures.timed,
        unwound: timed(figures.unwound),
        in_flight: timed(figures.in_flight),
        oldest_in_flight_ns: figures.oldest_in_flight_ns,
        shed_at_unix_ns: known.shed_at_unix_ns,
        total_ns: timed(figures.total_ns),
        self_ns: timed(figures.self_ns),
        min_ns: figures.min_ns,
        mean_ns: figures.mean_ns,
        p50_ns: figures.p50_ns,
        p90_ns: figures.p90_ns,
        p99_ns: figures.p99_ns,
        p999_ns: figures.p999_ns,
        max_ns: figures.max_ns,
        states: figures.states.as_ref(),
        inlined_into: (known.inlined_into > 0).then_some(known.inlined_into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sample;

    fn written(intervals: bool) -> String {
        let mut bytes = Vec::new();
        sample::play(&mut JsonSink::new(&mut bytes, intervals));
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn the_lines_of_a_measurement() {
        insta::assert_snapshot!(written(false));
    }

    #[test]
    fn the_lines_of_a_count() {
        let mut bytes = Vec::new();
        sample::play_count(&mut JsonSink::new(&mut bytes, true));
        insta::assert_snapshot!(String::from_utf8(bytes).expect("UTF-8"));
    }

    #[test]
    fn intervals_are_told_only_when_asked_for() {
        let count = |text: &str| {
            text.lines()
                .filter(|line| line.contains(r#""interval":"#))
                .count()
        };
        assert_eq!(count(&written(false)), 0);
        assert_eq!(count(&written(true)), sample::INTERVALS * sample::FUNCTIONS);
    }

    #[test]
    fn every_line_is_an_object_with_its_type_first_and_nothing_null() {
        let text = written(true);
        for line in text.lines() {
            assert!(line.starts_with(r#"{"type":""#), "{line}");
            let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let object = value.as_object().expect("an object");
            assert!(
                object
                    .values()
                    .all(|value| !value.is_null() && !value.is_f64()),
                "{line}"
            );
        }
        assert!(text.lines().next().expect("first").contains("session"));
        assert!(text.lines().last().expect("last").contains("ledger"));
    }

    #[test]
    fn a_full_disk_is_an_error_of_the_end() {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("opens");
        let mut sink = JsonSink::new(full, false);
        let error = sink
            .session(&sample::info(), &sample::plan())
            .expect_err("full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
