//! `--prometheus`: a real Prometheus has the very figures of the report, by text and by protobuf.

use std::{
    collections::BTreeMap,
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Test,
    support::{
        build::Build,
        http,
        measurement::Measurement,
        process::Target,
        prometheus::{Prometheus, Samples, median_of},
        report::{Function, Report},
    },
    test,
};

pub fn tests() -> Vec<Test> {
    vec![
        test("metrics::prometheus_has_the_figures_of_the_report", classic).needing(&["prometheus"]),
        test("metrics::native_histograms_have_all_calls", native).needing(&["prometheus"]),
        test("metrics::promtool_finds_no_fault", promtool).needing(&["promtool"]),
    ]
}

/// A measured load that is over, scraped by a Prometheus that has seen all of it.
fn scraped(native: bool, queries: &[&str]) -> Result<(BTreeMap<String, Samples>, Report)> {
    let exe = Build::of("panics").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let args = ["--prometheus", ":0", "--interval", "100ms", "main.*"];
    let mut measurement = Measurement::start(target.pid, &args)?;
    let prometheus = Prometheus::start(&measurement.metrics_address()?, native)?;
    prometheus.wait_for("goinstr_calls_begun_total", 0.0)?;
    target.go()?;
    let truth = target.truth()?;
    let calls: u64 = truth.functions.values().map(|counts| counts.calls).sum();
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let calls = calls as f64;
    prometheus.wait_for("goinstr_calls_begun_total", calls)?;
    prometheus.wait_for("sum(goinstr_function_calls_total)", calls)?;
    let answers = queries
        .iter()
        .map(|&query| Ok((query.to_owned(), prometheus.query(query)?)))
        .collect::<Result<_>>()?;
    let report = measurement.interrupt()?;
    target.release()?;
    ensure!(report.ledger.entries as f64 == calls, "{:?}", report.ledger);
    Ok((answers, report))
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    pairs.iter().map(own).collect()
}

/// What the report says of each function, as samples.
fn each(report: &Report, figure: impl Fn(&Function) -> f64) -> Samples {
    let functions = report.functions.iter();
    functions
        .map(|function| {
            (
                labels(&[("function", &function.function)]),
                figure(function),
            )
        })
        .collect()
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn classic() -> Result<()> {
    let queries = [
        "goinstr_function_calls_total",
        "goinstr_function_duration_seconds_count",
        "goinstr_function_duration_seconds_sum",
        "goinstr_function_duration_seconds_bucket{le=\"+Inf\"}",
        "goinstr_function_self_seconds_total",
        "goinstr_function_in_flight",
        "goinstr_lost_calls_total",
        "goinstr_probe_hits_total",
        "goinstr_orphan_returns_total",
    ];
    let (answers, report) = scraped(false, &queries)?;
    let mut expected: BTreeMap<&str, Samples> = BTreeMap::new();
    for function in &report.functions {
        let calls = expected.entry("goinstr_function_calls_total").or_default();
        for (outcome, n) in [
            ("returned", function.calls - function.unwound),
            ("unwound", function.unwound),
        ] {
            calls.insert(
                labels(&[("function", &function.function), ("outcome", outcome)]),
                n as f64,
            );
        }
    }
    let all = |figure: fn(&Function) -> f64| each(&report, figure);
    expected.insert(queries[1], all(|function| function.calls as f64));
    expected.insert(queries[2], all(|function| seconds(function.total_ns)));
    expected.insert(
        queries[3],
        all(|function| function.calls as f64)
            .into_iter()
            .map(|(mut labels, calls)| {
                labels.insert("le".to_owned(), "+Inf".to_owned());
                (labels, calls)
            })
            .collect(),
    );
    expected.insert(queries[4], all(|function| seconds(function.self_ns)));
    expected.insert(queries[5], all(|function| function.in_flight as f64));
    let lost = report.ledger.lost.iter();
    expected.insert(
        queries[6],
        lost.map(|(reason, &n)| (labels(&[("reason", reason)]), n as f64))
            .collect(),
    );
    let once = |n: u64| Samples::from([(BTreeMap::new(), n as f64)]);
    expected.insert(queries[7], once(report.ledger.probe_hits));
    expected.insert(queries[8], once(report.ledger.orphan_returns));
    for (query, expected) in expected {
        let found = &answers[query];
        ensure!(
            *found == expected,
            "{query}: Prometheus has {found:?}, the report {expected:?}"
        );
    }
    ensure!(report.ledger.unwound > 0, "nothing was unwound");
    Ok(())
}

fn native() -> Result<()> {
    let queries = [
        "histogram_count(goinstr_function_duration_seconds)",
        "histogram_sum(goinstr_function_duration_seconds)",
        &median_of("goinstr_function_duration_seconds"),
    ];
    let (answers, report) = scraped(true, &queries)?;
    let counts = each(&report, |function| function.calls as f64);
    ensure!(
        answers[queries[0]] == counts,
        "{:?} {counts:?}",
        answers[queries[0]]
    );
    let sums = each(&report, |function| seconds(function.total_ns));
    ensure!(
        answers[queries[1]] == sums,
        "{:?} {sums:?}",
        answers[queries[1]]
    );
    let mut compared = 0;
    for function in report
        .functions
        .iter()
        .filter(|function| function.calls >= 100)
    {
        let (Some(p50), Some(found)) = (
            function.p50_ns,
            answers[queries[2]].get(&labels(&[("function", &function.function)])),
        ) else {
            anyhow::bail!("no median of {function:?}");
        };
        if p50 == 0 {
            continue;
        }
        // A bucket is 2.2 % wide or, where durations span a lot, 4.4 or 9.1 %; the median is 2 %.
        let off = (found / seconds(p50) - 1.0).abs();
        ensure!(
            off < 0.12,
            "{}: {found} s, the report has {p50} ns",
            function.function
        );
        compared += 1;
    }
    ensure!(compared > 3, "only {compared} medians were compared");
    Ok(())
}

/// Prometheus' own linter, on the text as it is served. It reads the older of the two text formats:
/// what differs are names of counters in comments and the last line, which are put right for it.
fn promtool() -> Result<()> {
    let exe = Build::of("panics").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let args = ["--prometheus", ":0", "--interval", "100ms", "main.*"];
    let mut measurement = Measurement::start(target.pid, &args)?;
    let address = measurement.metrics_address()?;
    target.go()?;
    target.truth()?;
    let text = http::get(&address, "/metrics")?;
    measurement.interrupt()?;
    target.release()?;
    ensure!(text.ends_with("# EOF\n"), "no end: {text}");
    let counters: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut older = String::new();
    for line in text.lines().filter(|line| !line.starts_with("# UNIT ")) {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("#"), Some(what @ ("HELP" | "TYPE")), Some(name)) => {
                let total = if counters.contains(&name) {
                    "_total"
                } else {
                    ""
                };
                let info = if line.ends_with(" info") || name == "goinstr_session" {
                    "_info"
                } else {
                    ""
                };
                let rest = words.next().unwrap_or_default().replace("info", "gauge");
                older.push_str(&format!("# {what} {name}{total}{info} {rest}\n"));
            }
            _ => older.push_str(&format!("{line}\n")),
        }
    }
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    promtool
        .stdin
        .take()
        .context("no stdin")?
        .write_all(older.as_bytes())?;
    let output = promtool.wait_with_output()?;
    ensure!(
        output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
        "promtool: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
