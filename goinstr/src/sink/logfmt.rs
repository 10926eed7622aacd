//! logfmt: single calls as `key=value` pairs, one call a line, for what reads logs.
//!
//! Format: <https://brandur.org/logfmt>; a value with a blank, a quote or `=` in it is quoted.

use std::borrow::Cow;
use std::io::{self, Write};

use super::forest::Entry;
use super::ledger::is_over_budget;
use super::trace::Format;
use super::tree::timestamp;
use super::visible::visible;
use super::{names, values};
use crate::aggregate::{BegunCall, Exported, Ledger, Report, SessionInfo, ShedEvent};
use crate::plan::ProbePlan;

/// Writes calls as logfmt to `W`.
#[derive(Debug)]
pub struct Logfmt<W: Write> {
    out: io::BufWriter<W>,
    names: Vec<String>,
}

impl<W: Write> Logfmt<W> {
    /// Lines on `out`, which need not buffer.
    pub fn new(out: W) -> Self {
        Self {
            out: io::BufWriter::with_capacity(64 * 1024, out),
            names: Vec::new(),
        }
    }

    /// A function that is not measured, or no longer, because it costs too much.
    fn skipped(
        &mut self,
        at_unix_ns: u64,
        function: &str,
        calls_per_second: Option<u64>,
        detail: &str,
    ) -> io::Result<()> {
        write!(
            self.out,
            "time={} skipped={} reason=over_budget",
            timestamp(at_unix_ns),
            quoted(function)
        )?;
        if let Some(calls) = calls_per_second {
            write!(self.out, " calls_per_second={calls}")?;
        }
        writeln!(self.out, " detail={}", quoted(detail))
    }
}

fn name(names: &[String], function: u32) -> Cow<'_, str> {
    quoted(names::of(names, function))
}

/// The value as it may stand behind the `=`.
fn quoted(value: &str) -> Cow<'_, str> {
    let value = visible(value);
    if !value.is_empty() && !value.contains([' ', '"', '=']) {
        return value;
    }
    Cow::Owned(format!(
        "\"{}\"",
        value.replace('\\', "\\\\").replace('"', "\\\"")
    ))
}

impl<W: Write> Format for Logfmt<W> {
    fn begin(&mut self, info: &SessionInfo, plan: &ProbePlan) -> io::Result<()> {
        let names = plan.functions.iter();
        self.names = names.map(|function| function.name.clone()).collect();
        for one in plan.skipped.iter().filter(|one| is_over_budget(one)) {
            self.skipped(info.start_unix_ns, &one.function, None, &one.detail)?;
        }
        self.out.flush()
    }

    fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        // What has not returned comes when it has.
        let Entry::Call { call, .. } = entry else {
            return Ok(());
        };
        write!(
            self.out,
            "time={} function={} goid={} duration_ns={} self_ns={} outcome={} depth={}",
            timestamp(call.start_unix_ns),
            name(&self.names, call.function),
            call.goid,
            call.duration_ns,
            call.self_ns,
            call.outcome.name(),
            call.depth,
        )?;
        if let Some(parent) = call.parent {
            write!(self.out, " parent={}", name(&self.names, parent))?;
        }
        if let Some(goid) = call.parent_goid {
            write!(self.out, " parent_goid={goid}")?;
        }
        if let Some(args) = call.args() {
            write!(self.out, " args={}", quoted(&values::arguments(args)))?;
        }
        if let Some(returns) = call.returns() {
            let returns = values::results(returns);
            write!(
                self.out,
                " returns={}",
                quoted(returns.trim_start_matches(" = "))
            )?;
        }
        if let Some(states) = &call.states {
            write!(
                self.out,
                " running_ns={} runnable_ns={} waiting_ns={} syscall_ns={}",
                states.running_ns, states.runnable_ns, states.waiting_ns, states.syscall_ns,
            )?;
            if let Some((reason, _)) = states.top_reason() {
                write!(self.out, " waiting_most_for={}", quoted(reason))?;
            }
        }
        writeln!(self.out)
    }

    fn begun(&mut self, call: &BegunCall) -> io::Result<()> {
        write!(
            self.out,
            "time={} function={} goid={}",
            timestamp(call.start_unix_ns),
            name(&self.names, call.function),
            call.goid,
        )?;
        if let Some(goid) = call.parent_goid {
            write!(self.out, " parent_goid={goid}")?;
        }
        if let Some(args) = &call.args {
            write!(self.out, " args={}", quoted(&values::arguments(args)))?;
        }
        writeln!(self.out)
    }

    fn shed(&mut self, event: &ShedEvent) -> io::Result<()> {
        let calls = Some(event.calls_per_second);
        self.skipped(event.at_unix_ns, &event.name, calls, &event.detail)
    }

    fn missing(&mut self, calls: u64) -> io::Result<()> {
        writeln!(self.out, "missing_calls={calls} reason=ring_full")
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn end(&mut self, _report: &Report, ledger: &Ledger) -> io::Result<()> {
        if let Some(exported) = ledger.exported.filter(Exported::is_incomplete) {
            writeln!(
                self.out,
                "otlp_spans={} otlp_dropped_spans={} otlp_thinned_spans={}",
                exported.spans, exported.dropped_spans, exported.thinned_spans
            )?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::{sample, trace::TraceSink};

    /// What costs too much is told at once, not with the next calls.
    #[test]
    fn what_is_over_the_budget_is_told() {
        let mut bytes = Vec::new();
        let mut sink = TraceSink::new(Logfmt::new(&mut bytes), None);
        sample::play_budget(&mut sink);
        std::mem::forget(sink);
        insta::assert_snapshot!(String::from_utf8(bytes).expect("UTF-8"));
    }

    #[test]
    fn values_are_quoted_where_they_would_be_read_as_several() {
        for (value, text) in [
            ("main.(*Cache[...]).Get", "main.(*Cache[...]).Get"),
            (
                "main.f[go.shape.struct { a int }]",
                "\"main.f[go.shape.struct { a int }]\"",
            ),
            ("a=\"b\\\"", "\"a=\\\"b\\\\\\\"\""),
            ("", "\"\""),
            ("a\nb", "a\\u{a}b"),
        ] {
            assert_eq!(quoted(value), text);
        }
    }
}
