//! Comma-separated values (RFC 4180): a function a row, for spreadsheets and data frames.

use std::io::{self, Write};

use super::Sink;
use super::visible::visible;
use crate::aggregate::{CallEvent, Ledger, Report, SessionInfo};
use crate::plan::{Location, ProbePlan};

const HEADER: &str = "function,symbol,file,line,calls,unwound,in_flight,total_ns,self_ns,min_ns,\
mean_ns,p50_ns,p90_ns,p99_ns,p999_ns,max_ns";

/// Writes a row for each function at the end. A figure that is not known is empty.
#[derive(Debug)]
pub struct CsvSink<W: Write> {
    out: W,
    functions: Vec<(String, Option<String>, Option<Location>)>,
}

impl<W: Write> CsvSink<W> {
    /// Writes to `out`, which need not buffer.
    pub fn new(out: W) -> Self {
        Self {
            out,
            functions: Vec::new(),
        }
    }
}

/// Spelt out as people read it, and quoted where it must be.
fn field(text: &str) -> String {
    let text = visible(text);
    // A spreadsheet would take a first = + - @ for a formula: names come from anyone's binary.
    let formula = text.starts_with(['=', '+', '-', '@']);
    if formula || text.contains([',', '"']) {
        let tame = if formula { "'" } else { "" };
        return format!("\"{tame}{}\"", text.replace('"', "\"\""));
    }
    text.into_owned()
}

impl<W: Write> Sink for CsvSink<W> {
    fn session(&mut self, _info: &SessionInfo, plan: &ProbePlan) -> io::Result<()> {
        let function = |function: &crate::plan::PlannedFunction| {
            (
                function.name.clone(),
                function.symbol.clone(),
                function.location.clone(),
            )
        };
        self.functions = plan.functions.iter().map(function).collect();
        Ok(())
    }

    fn call(&mut self, _call: &CallEvent) -> io::Result<()> {
        Ok(())
    }

    fn interval(&mut self, _number: u64, _report: &Report) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, report: &Report, _ledger: &Ledger) -> io::Result<()> {
        let mut text = format!("{HEADER}\r\n");
        for figures in &report.functions {
            let index = usize::try_from(figures.function).unwrap_or(usize::MAX);
            let Some((name, symbol, location)) = self.functions.get(index) else {
                continue;
            };
            let known = |figure: Option<u64>| figure.map_or(String::new(), |ns| ns.to_string());
            let row = [
                field(name),
                symbol.as_deref().map_or(String::new(), field),
                location
                    .as_ref()
                    .map_or(String::new(), |at| field(&at.file)),
                known(location.as_ref().map(|at| at.line.into())),
                figures.calls.to_string(),
                figures.unwound.to_string(),
                figures.in_flight.to_string(),
                figures.total_ns.to_string(),
                figures.self_ns.to_string(),
                known(figures.min_ns),
                known(figures.mean_ns),
                known(figures.p50_ns),
                known(figures.p90_ns),
                known(figures.p99_ns),
                known(figures.p999_ns),
                known(figures.max_ns),
            ];
            text += &row.join(",");
            text += "\r\n";
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sample;

    #[test]
    fn a_row_for_each_function() {
        let mut bytes = Vec::new();
        sample::play(&mut CsvSink::new(&mut bytes));
        let text = String::from_utf8(bytes).expect("UTF-8");
        let columns = HEADER.split(',').count();
        for row in text.lines() {
            assert_eq!(row.split(',').count(), columns, "{row}");
        }
        insta::assert_snapshot!(text.replace("\r\n", "\n"));
    }

    #[test]
    fn names_that_would_break_a_row_or_be_a_formula_do_not() {
        assert_eq!(field("main.work"), "main.work");
        assert_eq!(field("main.F[int,string]"), "\"main.F[int,string]\"");
        assert_eq!(field("a\"b"), "\"a\"\"b\"");
        assert_eq!(field("=cmd()"), "\"'=cmd()\"");
        assert_eq!(field("\t=a\r\n"), "\\u{9}=a\\u{d}\\u{a}");
    }
}
