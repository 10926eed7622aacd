//! The differences of two measurements, for people and for scripts.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::human::{count, duration};
use super::json_text;
use super::samples::Gathered;
use super::visible::visible;
use crate::aggregate::{Difference, Moved, Verdict, compare, judge};

/// A function in both measurements.
#[derive(Clone, Debug)]
pub struct Compared {
    /// What it is called.
    pub name: String,
    /// Before and after.
    pub sides: [Gathered; 2],
    /// How they differ; `None`: too few calls.
    pub difference: Option<Difference>,
    /// Whether that is more than chance.
    pub verdict: Verdict,
}

/// A comparison of two measurements.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Functions called in both: slower ones first, by the time that they lose.
    pub functions: Vec<Compared>,
    /// Functions called only before, and only after.
    pub only: [Vec<String>; 2],
}

/// A figure of a function that a limit can be set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    P50,
    P90,
    P99,
    P999,
    Mean,
    Max,
}

impl Compared {
    /// A figure before and after, in ns.
    #[must_use]
    pub fn figure(&self, figure: Figure) -> Option<[u64; 2]> {
        let of = |side: &Gathered| match figure {
            Figure::P50 => side.figures.p50_ns,
            Figure::P90 => side.figures.p90_ns,
            Figure::P99 => side.figures.p99_ns,
            Figure::P999 => side.figures.p999_ns,
            Figure::Mean => side.figures.mean_ns,
            Figure::Max => side.figures.max_ns,
        };
        let [before, after] = &self.sides;
        Some([of(before)?, of(after)?])
    }

    /// What the calls after take more than as many before would have, in ns.
    fn lost_ns(&self) -> i128 {
        let [before, after] = self.figure(Figure::Mean).unwrap_or_default();
        (i128::from(after) - i128::from(before)) * i128::from(self.sides[1].figures.calls)
    }
}

impl Comparison {
    /// Compares what was called on both sides. `rate`: how many of the differences that are told
    /// may be chance.
    #[must_use]
    pub fn of(
        before: BTreeMap<String, Gathered>,
        mut after: BTreeMap<String, Gathered>,
        rate: f64,
    ) -> Self {
        let mut comparison = Self::default();
        let [mut only_before, mut only_after] = [Vec::new(), Vec::new()];
        let mut pairs = Vec::new();
        for (name, before) in before {
            let after = after.remove(&name).filter(|side| side.figures.calls > 0);
            match (before.figures.calls > 0, after) {
                (true, Some(after)) => pairs.push((name, [before, after])),
                (true, None) => only_before.push(name),
                (false, Some(_)) => only_after.push(name),
                (false, None) => {}
            }
        }
        let new = after.into_iter().filter(|(_, side)| side.figures.calls > 0);
        only_after.extend(new.map(|(name, _)| name));
        comparison.only = [only_before, only_after];
        let differences: Vec<_> = pairs
            .iter()
            .map(|(_, [before, after])| compare(&before.sample, &after.sample))
            .collect();
        let moved: Vec<_> = pairs
            .iter()
            .map(|(_, [before, after])| Moved::between(&before.sample, &after.sample))
            .collect();
        let verdicts = judge(&differences, &moved, rate);
        let all = pairs.into_iter().zip(differences).zip(verdicts);
        comparison.functions = all
            .map(|(((name, sides), difference), verdict)| Compared {
                name,
                sides,
                difference,
                verdict,
            })
            .collect();
        comparison.functions.sort_by_key(|function| {
            let group = match function.verdict {
                verdict if verdict.is_slower() => 0,
                verdict if verdict.is_faster() => 1,
                Verdict::Noise => 2,
                _ => 3,
            };
            (group, -function.lost_ns().abs(), function.name.clone())
        });
        comparison
    }
}

/// How much a figure moved: `+12 %`.
fn moved([before, after]: [u64; 2]) -> String {
    if before == 0 {
        return String::new();
    }
    let tenths = (i128::from(after) - i128::from(before)) * 1000 / i128::from(before);
    format!(
        "{}{}.{} %",
        if tenths < 0 { '-' } else { '+' },
        tenths.abs() / 10,
        tenths.abs() % 10
    )
}

/// Writes the comparison for people.
///
/// # Errors
/// Those of `out`.
pub fn write_table(comparison: &Comparison, all: bool, out: &mut impl Write) -> io::Result<()> {
    let shown: Vec<_> = comparison
        .functions
        .iter()
        .filter(|function| all || function.verdict.is_slower() || function.verdict.is_faster())
        .collect();
    let told = |verdict| match verdict {
        Verdict::Slower => "slower",
        Verdict::SlowerTail => "slower at its slowest",
        Verdict::Faster => "faster",
        Verdict::FasterTail => "faster at its slowest",
        Verdict::Noise => "noise",
        Verdict::TooFew => "too few calls",
    };
    let mut rows =
        vec![["", "calls", "p50", "", "p99", "", "delta", "function"].map(str::to_owned)];
    for function in &shown {
        let calls = |side: &Gathered| count(side.figures.calls);
        let [before, after] = &function.sides;
        let both = |figure| match function.figure(figure) {
            Some(ns) => (
                format!("{} → {}", duration(ns[0]), duration(ns[1])),
                moved(ns),
            ),
            None => (String::new(), String::new()),
        };
        let ((p50, p50_moved), (p99, p99_moved)) = (both(Figure::P50), both(Figure::P99));
        rows.push([
            told(function.verdict).to_owned(),
            format!("{} → {}", calls(before), calls(after)),
            p50,
            p50_moved,
            p99,
            p99_moved,
            function.difference.map_or(String::new(), |difference| {
                format!("{:+.2}", difference.delta)
            }),
            visible(&function.name).into_owned(),
        ]);
    }
    if shown.is_empty() {
        writeln!(out, "no function differs by more than chance")?;
    } else {
        let widths: Vec<_> = (0..7)
            .map(|column| {
                rows.iter()
                    .map(|row| super::human::width(&row[column]))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        for row in &rows {
            let mut line = String::new();
            for (cell, &wide) in row.iter().zip(&widths) {
                let blanks = " ".repeat(wide - super::human::width(cell));
                // What is said first is text, the rest figures.
                if line.is_empty() && widths.first() == Some(&wide) {
                    line += &format!("{cell}{blanks}  ");
                } else {
                    line += &format!("{blanks}{cell}  ");
                }
            }
            writeln!(out, "{line}{}", row[7])?;
        }
    }
    writeln!(out)?;
    let of = |verdict| {
        comparison
            .functions
            .iter()
            .filter(move |f| f.verdict == verdict)
            .count()
    };
    if !all {
        writeln!(
            out,
            "noise: {} functions, too few calls to tell: {} (--all shows them)",
            of(Verdict::Noise),
            of(Verdict::TooFew)
        )?;
    }
    for (when, names) in ["before", "after"].iter().zip(&comparison.only) {
        if !names.is_empty() {
            let some = super::ledger::some(names.iter().map(String::as_str));
            writeln!(out, "called only {when}: {some}")?;
        }
    }
    out.flush()
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Difference(DifferenceLine<'a>),
}

#[derive(Serialize)]
struct DifferenceLine<'a> {
    function: &'a str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    p_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p_value_tail: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cliffs_delta: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Side>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Side>,
}

#[derive(Default, Serialize)]
struct Side {
    calls: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p50_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p90_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p999_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_ns: Option<u64>,
}

fn side(gathered: &Gathered) -> Side {
    let figures = &gathered.figures;
    Side {
        calls: figures.calls,
        mean_ns: figures.mean_ns,
        p50_ns: figures.p50_ns,
        p90_ns: figures.p90_ns,
        p99_ns: figures.p99_ns,
        p999_ns: figures.p999_ns,
        max_ns: figures.max_ns,
    }
}

/// Writes the comparison for scripts, a line for each function called on either side.
///
/// # Errors
/// Those of `out`.
pub fn write_json(comparison: &Comparison, out: &mut impl Write) -> io::Result<()> {
    let mut write = |line: DifferenceLine<'_>| {
        json_text::to_writer(&mut *out, &Line::Difference(line))?;
        out.write_all(b"\n")
    };
    for function in &comparison.functions {
        let [before, after] = &function.sides;
        write(DifferenceLine {
            function: &function.name,
            verdict: function.verdict.name(),
            p_value: function.difference.map(|difference| difference.p_whole),
            p_value_tail: function.difference.map(|difference| difference.p_tail),
            cliffs_delta: function.difference.map(|difference| difference.delta),
            before: Some(side(before)),
            after: Some(side(after)),
        })?;
    }
    for (verdict, names) in ["only_before", "only_after"]
        .into_iter()
        .zip(&comparison.only)
    {
        for name in names {
            write(DifferenceLine {
                function: name,
                verdict,
                p_value: None,
                p_value_tail: None,
                cliffs_delta: None,
                before: None,
                after: None,
            })?;
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{Distribution, FunctionReport, Sample};

    /// `factor` makes its calls longer, by the thousand.
    fn gathered(function: u64, calls: u64, factor: u64) -> Gathered {
        let mut sample = Sample::default();
        for block in 0..20 {
            let mut distribution = Distribution::default();
            for call in 0..calls {
                let spread = (call * 7919 + block * 104_729 + function * 31) % 1000;
                distribution.add((10_000 + spread * 10) * factor / 1000, 1);
            }
            sample.add(distribution);
        }
        let all = sample.all();
        Gathered {
            figures: FunctionReport {
                calls: calls * 20,
                mean_ns: all.quantile(0.5),
                p50_ns: all.quantile(0.5),
                p90_ns: all.quantile(0.9),
                p99_ns: all.quantile(0.99),
                p999_ns: all.quantile(0.999),
                max_ns: all.quantile(1.0),
                ..FunctionReport::default()
            },
            sample,
        }
    }

    fn comparison() -> Comparison {
        let side = |functions: &[(&str, u64, u64)]| {
            let named = functions.iter().zip(0..);
            named
                .map(|(&(name, calls, factor), function)| {
                    (name.to_owned(), gathered(function, calls, factor))
                })
                .collect()
        };
        Comparison::of(
            side(&[
                ("main.work", 100, 1000),
                ("main.same", 100, 1000),
                ("main.better", 50, 1000),
                ("main.gone", 10, 1000),
            ]),
            side(&[
                ("main.work", 90, 1400),
                ("main.same", 110, 1000),
                ("main.better", 50, 500),
                ("main.new", 10, 1000),
            ]),
            0.01,
        )
    }

    #[test]
    fn the_table_of_a_comparison() {
        let mut bytes = Vec::new();
        write_table(&comparison(), true, &mut bytes).expect("written");
        write_table(&comparison(), false, &mut bytes).expect("written");
        insta::assert_snapshot!(String::from_utf8(bytes).expect("UTF-8"));
    }

    #[test]
    fn each_function_has_a_line_and_a_verdict() {
        let mut bytes = Vec::new();
        write_json(&comparison(), &mut bytes).expect("written");
        let text = String::from_utf8(bytes).expect("UTF-8");
        let verdicts: Vec<_> = text
            .lines()
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
                assert_eq!(line["type"], "difference");
                format!(
                    "{} {}",
                    line["function"].as_str().expect("name"),
                    line["verdict"].as_str().expect("verdict")
                )
            })
            .collect();
        assert_eq!(
            verdicts,
            [
                "main.work slower",
                "main.better faster",
                "main.same noise",
                "main.gone only_before",
                "main.new only_after",
            ]
        );
    }
}
