//! `--otlp`: spans are the calls, in the trees in which they were made; metrics are the figures of
//! the report; and a collector that is not there, or says nothing, costs nothing but counted drops.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use opentelemetry_proto::tonic::{metrics::v1::metric::Data, trace::v1::Span};
use serde_json::Value;

use crate::{
    Test,
    support::{
        address,
        build::Build,
        collector::{Collector, Manner, RealCollector, attribute, built},
        measurement::Measurement,
        process::Target,
        prometheus::{Prometheus, median_of},
        report::{Exported, Report},
        truth::Truth,
    },
    test,
};

pub fn tests() -> Vec<Test> {
    vec![
        test("otlp::every_call_is_a_span_in_its_tree", spans),
        test("otlp::metrics_are_the_figures_of_the_report", metrics),
        test("otlp::a_dead_collector_costs_counted_drops", dead),
        test("otlp::a_silent_collector_costs_counted_drops", || {
            without(Manner::Silent)
        }),
        test("otlp::a_busy_collector_costs_counted_drops", || {
            without(Manner::Refuses)
        }),
        test("otlp::rejected_spans_are_counted", rejected),
        test("otlp::more_spans_than_wanted_are_counted", thinned),
        test("otlp::slow_calls_alone_are_spans_of_attach", slow),
        test("otlp::an_opentelemetry_collector_takes_all", collector)
            .unless(built("collector").err()),
        test(
            "otlp::a_prometheus_has_the_figures_of_the_report",
            prometheus,
        )
        .unless(built("prometheus").err()),
    ]
}

/// A whole measurement that pushes to `endpoint`, its counts compared with the target's own.
fn measured(target: &str, command: &str, options: &[&str]) -> Result<(Report, Truth)> {
    let exe = Build::of(target).executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let mut args = options.to_vec();
    args.push("main.*");
    let measurement = match command {
        "attach" => Measurement::start(target.pid, &args)?,
        command => Measurement::start_command(command, target.pid, &args)?,
    };
    target.go()?;
    let truth = target.truth()?;
    let report = measurement.interrupt()?;
    target.release()?;
    ensure!(report.ledger.lost_in_all() == 0, "{:?}", report.ledger);
    for (name, counts) in &truth.functions {
        let found = report.functions.iter().find(|one| one.function == *name);
        let calls = found.map_or(0, |found| found.calls);
        ensure!(calls == counts.calls, "{name}: {calls} of {counts:?}");
    }
    Ok((report, truth))
}

fn exported(report: &Report) -> Result<Exported> {
    report.ledger.otlp.context("the ledger says nothing of it")
}

fn function(span: &Span) -> String {
    attribute(&span.attributes, "code.function.name").unwrap_or_default()
}

fn spans() -> Result<()> {
    let collector = Collector::start(Manner::Takes)?;
    let options = ["--otlp", &collector.endpoint, "--otlp-spans", "0"];
    let (report, truth) = measured("links", "trace", &options)?;
    let taken = collector.taken()?;
    let spans = &taken.spans;

    // Each call once, as its line has it.
    let lines: BTreeSet<(String, String, u64)> = report
        .calls
        .iter()
        .map(|call| {
            (
                call.function.clone(),
                call.goid.to_string(),
                call.start_unix_ns,
            )
        })
        .collect();
    let id = |span: &Span| {
        let goid = attribute(&span.attributes, "goinstr.goroutine.id").unwrap_or_default();
        (function(span), goid, span.start_time_unix_nano)
    };
    let found: BTreeSet<_> = spans.iter().map(id).collect();
    ensure!(
        spans.len() == report.calls.len() && found == lines,
        "{} spans of {} calls",
        spans.len(),
        report.calls.len()
    );
    let exported = exported(&report)?;
    ensure!(
        exported.spans == spans.len() as u64 && exported.dropped_spans == 0,
        "{exported:?}"
    );

    let by_id: BTreeMap<(&[u8], &[u8]), &Span> = spans
        .iter()
        .map(|span| ((&span.trace_id[..], &span.span_id[..]), span))
        .collect();
    ensure!(by_id.len() == spans.len(), "ids that are not unique");
    let parent = |span: &Span| {
        let key = (&span.trace_id[..], &span.parent_span_id[..]);
        by_id.get(&key).copied()
    };
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut goids = BTreeSet::new();
    for span in spans {
        ensure!(
            span.trace_id.len() == 16 && span.span_id.len() == 8,
            "{span:?}"
        );
        let name = function(span);
        ensure!(name == span.name, "{span:?}");
        *seen.entry(name.clone()).or_default() += 1;
        let file = attribute(&span.attributes, "code.file.path").unwrap_or_default();
        ensure!(file.ends_with("links/main.go"), "{span:?}");
        ensure!(
            attribute(&span.attributes, "code.line.number").is_some(),
            "{span:?}"
        );
        let above = parent(span);
        let expected = match name.as_str() {
            "main.parent" => {
                goids.extend(attribute(&span.attributes, "goinstr.goroutine.id"));
                Some("main.main.func1")
            }
            "main.main.func1" => None,
            // The outermost of a goroutine that was started in a call of it.
            "main.parent.func1" => Some("main.parent"),
            "main.child" => Some("main.parent.func1"),
            "main.nested" => Some("main.child"),
            "main.goid" => Some("main.parent"),
            _ => continue,
        };
        ensure!(
            above.map(|above| above.name.as_str()) == expected,
            "{span:?} is a child of {above:?}"
        );
        if let Some(above) = above {
            // Whom it started may outlast a call.
            let within = above.start_time_unix_nano <= span.start_time_unix_nano
                && (name == "main.parent.func1"
                    || span.end_time_unix_nano <= above.end_time_unix_nano);
            ensure!(within, "{span:?} is not within {above:?}");
        }
    }
    for (name, counts) in &truth.functions {
        ensure!(seen.get(name) == Some(&counts.calls), "{name}: {seen:?}");
    }
    let told = truth
        .lines
        .iter()
        .find(|line| line["type"] == "goids")
        .and_then(|line| line["goids"].as_array())
        .context("the target told no goroutines")?;
    let told: BTreeSet<String> = told.iter().map(ToString::to_string).collect();
    ensure!(goids == told, "ran on {told:?}, seen on {goids:?}");
    Ok(())
}

#[expect(clippy::float_cmp, reason = "both are made of the same integer")]
fn metrics() -> Result<()> {
    let collector = Collector::start(Manner::Takes)?;
    let options = ["--otlp", &collector.endpoint, "--interval", "100ms"];
    let (report, _) = measured("panics", "attach", &options)?;
    let taken = collector.taken()?;
    let resource = taken.resource.as_ref().context("no resource")?;
    let own = |key: &str| attribute(&resource.attributes, key);
    ensure!(
        own("service.name").is_some_and(|name| name.starts_with("panics-")),
        "{resource:?}"
    );
    let pid = report.session["pid"].to_string();
    ensure!(own("process.pid") == Some(pid), "{resource:?}");
    ensure!(
        own("process.runtime.version").as_deref() == report.session["go_version"].as_str(),
        "{resource:?}"
    );

    let calls = taken.figures("goinstr.function.calls")?;
    let own_time = taken.figures("goinstr.function.self")?;
    let histograms = match taken.metric("goinstr.function.duration")?.data.as_ref() {
        Some(Data::ExponentialHistogram(histogram)) => &histogram.data_points,
        other => anyhow::bail!("durations are {other:?}"),
    };
    let mut compared = 0;
    for function in report
        .functions
        .iter()
        .filter(|function| function.calls > 0)
    {
        let name = &function.function;
        let of = |outcome: &str| calls.get(&vec![name.clone(), outcome.to_owned()]).copied();
        let returned = (function.calls - function.unwound) as f64;
        ensure!(
            of("returned") == Some(returned) && of("unwound") == Some(function.unwound as f64),
            "{name}: {calls:?}"
        );
        ensure!(
            own_time.get(&vec![name.clone()]) == Some(&(function.self_ns as f64 / 1e9)),
            "{name}: {own_time:?}"
        );
        let point = histograms
            .iter()
            .find(|point| attribute(&point.attributes, "code.function.name").as_ref() == Some(name))
            .with_context(|| format!("no durations of {name}"))?;
        let buckets = point.positive.as_ref().context("no buckets")?;
        let sum: u64 = buckets.bucket_counts.iter().sum::<u64>() + point.zero_count;
        ensure!(
            point.count == function.calls && sum == point.count,
            "{point:?}"
        );
        ensure!(
            point.sum == Some(function.total_ns as f64 / 1e9),
            "{point:?}"
        );
        ensure!(
            point.min == function.min_ns.map(|ns| ns as f64 / 1e9)
                && point.max == function.max_ns.map(|ns| ns as f64 / 1e9),
            "{point:?}"
        );
        if point.zero_count > 0 {
            continue;
        }
        // The median is in the bucket that the counts say, or one beside it (2 %).
        let base = f64::from(-point.scale).exp2().exp2();
        let edge = |index: usize| base.powf(f64::from(buckets.offset) + index as f64);
        let mut below = 0;
        let middle = buckets.bucket_counts.iter().position(|&calls| {
            below += calls;
            below * 2 >= point.count
        });
        let (Some(at), Some(p50)) = (middle, function.p50_ns) else {
            anyhow::bail!("no median of {function:?}, {point:?}");
        };
        let p50 = p50 as f64 / 1e9;
        ensure!(
            edge(at) / base / 1.02 <= p50 && p50 <= edge(at + 1) * base * 1.02,
            "{name}: {p50} is not in {}..{}",
            edge(at),
            edge(at + 1)
        );
        compared += 1;
    }
    ensure!(compared > 3, "only {compared} medians were compared");
    let once = |name| -> Result<f64> { Ok(taken.figures(name)?.values().sum()) };
    ensure!(once("goinstr.calls.begun")? == report.ledger.entries as f64);
    ensure!(once("goinstr.probe.hits")? == report.ledger.probe_hits as f64);
    ensure!(once("goinstr.own.cpu")? > 0.0);
    let lost = taken.figures("goinstr.lost.calls")?;
    ensure!(lost.len() == report.ledger.lost.len(), "{lost:?}");
    ensure!(report.ledger.unwound > 0, "nothing was unwound");
    let exported = exported(&report)?;
    ensure!(
        exported.reports > 0 && exported.dropped_reports == 0 && exported.spans == 0,
        "{exported:?}"
    );
    Ok(())
}

/// Nobody listens there.
fn dead() -> Result<()> {
    let endpoint = format!("http://{}", address::free()?);
    let options = ["--otlp", &endpoint, "--otlp-spans", "0"];
    let (report, _) = measured("links", "trace", &options)?;
    nothing_taken(&report)
}

fn without(manner: Manner) -> Result<()> {
    let collector = Collector::start(manner)?;
    let options = ["--otlp", &collector.endpoint, "--otlp-spans", "0"];
    let (report, _) = measured("links", "trace", &options)?;
    ensure!(collector.taken()?.requests > 0, "it was not asked");
    nothing_taken(&report)
}

fn nothing_taken(report: &Report) -> Result<()> {
    let exported = exported(report)?;
    let calls = report.calls.len() as u64;
    ensure!(calls > 0 && exported.reports == 0 && exported.dropped_reports > 0);
    ensure!(
        exported.spans == 0 && exported.dropped_spans == calls && exported.thinned_spans == 0,
        "{exported:?} of {calls} calls"
    );
    Ok(())
}

fn rejected() -> Result<()> {
    let collector = Collector::start(Manner::Rejects(3))?;
    let options = ["--otlp", &collector.endpoint, "--otlp-spans", "0"];
    let (report, _) = measured("links", "trace", &options)?;
    let exported = exported(&report)?;
    let taken = collector.taken()?;
    let (spans, rejected) = (taken.spans.len() as u64, taken.rejected as u64);
    ensure!(spans > 0 && rejected >= 3, "{spans} taken, {rejected} not");
    ensure!(
        (exported.spans, exported.dropped_spans) == (spans, rejected)
            && exported.thinned_spans == 0
            && spans + rejected == report.calls.len() as u64,
        "{spans} taken, {rejected} rejected: {exported:?}"
    );
    Ok(())
}

/// One span a second: the first tree, and another as soon as it is paid for by its spans, one a second.
fn thinned() -> Result<()> {
    let collector = Collector::start(Manner::Takes)?;
    let options = ["--otlp", &collector.endpoint, "--otlp-spans", "1"];
    let began = Instant::now();
    let (report, truth) = measured("links", "trace", &options)?;
    let seconds = began.elapsed().as_secs_f64();
    let exported = exported(&report)?;
    let taken = collector.taken()?;
    ensure!(
        exported.dropped_spans == 0
            && exported.spans == taken.spans.len() as u64
            && exported.spans + exported.thinned_spans == report.calls.len() as u64,
        "{exported:?} of {} calls",
        report.calls.len()
    );
    // Whole trees: each is all the calls of one of the target's rounds, which are all alike.
    let rounds = truth.functions["main.parent"].calls;
    let mut round: BTreeMap<&str, u64> = BTreeMap::new();
    for call in &report.calls {
        *round.entry(&call.function).or_default() += 1;
    }
    for calls in round.values_mut() {
        ensure!(*calls % rounds == 0, "{rounds} rounds, {calls} calls");
        *calls /= rounds;
    }
    let mut trees: BTreeMap<&[u8], Vec<&Span>> = BTreeMap::new();
    for span in &taken.spans {
        trees.entry(&span.trace_id).or_default().push(span);
    }
    for tree in trees.values() {
        let mut calls: BTreeMap<&str, u64> = BTreeMap::new();
        for span in tree {
            *calls.entry(&span.name).or_default() += 1;
            let above = |other: &&Span| other.span_id == span.parent_span_id;
            ensure!(
                span.parent_span_id.is_empty() || tree.iter().any(|&other| above(&other)),
                "{span:?} has lost its parent"
            );
        }
        ensure!(calls == round, "a tree of {calls:?}, a round is {round:?}");
    }
    let paid_for = (trees.len().saturating_sub(1) as u64 * round.values().sum::<u64>()) as f64;
    ensure!(
        !trees.is_empty() && paid_for <= seconds + 1.0,
        "{} trees of {round:?} in {seconds} s",
        trees.len()
    );
    Ok(())
}

fn slow() -> Result<()> {
    let collector = Collector::start(Manner::Takes)?;
    let options = ["--otlp", &collector.endpoint, "--slower-than", "60us"];
    let (report, _) = measured("links", "attach", &options)?;
    let taken = collector.taken()?;
    let exported = exported(&report)?;
    let all: u64 = report.functions.iter().map(|function| function.calls).sum();
    let told = report.calls.len() as u64;
    ensure!(0 < told && told < all, "{told} of {all} calls are slow");
    ensure!(
        (exported.spans, exported.thinned_spans) == (told, 0) && taken.spans.len() as u64 == told,
        "{exported:?}, {} taken of {told} calls",
        taken.spans.len()
    );
    let mut spans: BTreeMap<&str, u64> = BTreeMap::new();
    for span in &taken.spans {
        let duration = attribute(&span.attributes, "goinstr.duration_ns").context("no duration")?;
        ensure!(duration.parse::<u64>()? >= 60_000, "{span:?}");
        *spans.entry(&span.name).or_default() += 1;
    }
    // Each of these takes at least 100 µs, as its source says.
    for name in ["main.parent", "main.parent.func1", "main.child"] {
        let calls = report.function(name)?.calls;
        ensure!(
            calls > 0 && spans.get(name) == Some(&calls),
            "{name}: {calls} calls, spans {spans:?}"
        );
    }
    Ok(())
}

/// The calls and the figures of the report are in what a real Collector writes down.
fn collector() -> Result<()> {
    let collector = RealCollector::start()?;
    let options = ["--otlp", &collector.endpoint, "--otlp-spans", "0"];
    let (report, truth) = measured("links", "trace", &options)?;
    let exported = exported(&report)?;
    let lines = collector.taken()?;
    let all = |outer: &str, scopes: &str, what: &str| -> Vec<Value> {
        let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        lines
            .iter()
            .flat_map(|line| list(line, outer))
            .flat_map(|resource| list(&resource, scopes))
            .flat_map(|scope| list(&scope, what))
            .collect()
    };
    let spans = all("resourceSpans", "scopeSpans", "spans");
    ensure!(
        spans.len() == report.calls.len()
            && exported.spans == spans.len() as u64
            && exported.dropped_spans + exported.dropped_reports == 0,
        "{} spans of {} calls; {exported:?}",
        spans.len(),
        report.calls.len()
    );
    let name_of: BTreeMap<&str, &str> = spans
        .iter()
        .filter_map(|span| Some((span["spanId"].as_str()?, span["name"].as_str()?)))
        .collect();
    let mut under: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for span in &spans {
        let above = span["parentSpanId"].as_str().and_then(|id| name_of.get(id));
        let name = span["name"].as_str().unwrap_or_default();
        *under
            .entry((name, above.copied().unwrap_or_default()))
            .or_default() += 1;
    }
    for (name, above) in [
        ("main.parent", "main.main.func1"),
        ("main.child", "main.parent.func1"),
        ("main.nested", "main.child"),
    ] {
        let calls = truth.functions.get(name).context("not told")?.calls;
        ensure!(
            calls > 0 && under.get(&(name, above)) == Some(&calls),
            "{name}: {calls} calls, {under:?}"
        );
    }
    let metrics = all("resourceMetrics", "scopeMetrics", "metrics");
    let durations = metrics
        .iter()
        .rfind(|metric| metric["name"] == "goinstr.function.duration")
        .context("no durations")?;
    let points = durations["exponentialHistogram"]["dataPoints"]
        .as_array()
        .context("no exponential histogram")?;
    let counts: BTreeMap<&str, &str> = points
        .iter()
        .filter_map(|point| {
            let name = point["attributes"][0]["value"]["stringValue"].as_str()?;
            Some((name, point["count"].as_str()?))
        })
        .collect();
    let called = report
        .functions
        .iter()
        .filter(|function| function.calls > 0);
    let expected: Vec<(&str, String)> = called
        .map(|function| (function.function.as_str(), function.calls.to_string()))
        .collect();
    let expected: BTreeMap<&str, &str> = expected
        .iter()
        .map(|(name, calls)| (*name, calls.as_str()))
        .collect();
    ensure!(
        points.len() == counts.len() && counts == expected,
        "{counts:?}, the report has {expected:?}"
    );
    Ok(())
}

/// Prometheus 3 makes native histograms of what is pushed.
fn prometheus() -> Result<()> {
    let prometheus = Prometheus::receiver(&built("prometheus").map_err(anyhow::Error::msg)?)?;
    prometheus.wait_until_ready()?;
    let endpoint = prometheus.otlp();
    let options = ["--otlp", &endpoint, "--interval", "100ms"];
    let (report, _) = measured("panics", "attach", &options)?;
    let exported = exported(&report)?;
    ensure!(
        exported.reports > 0 && exported.dropped_reports == 0,
        "{exported:?}"
    );
    let counts = prometheus.query("histogram_count(goinstr_function_duration_seconds)")?;
    let sums = prometheus.query("histogram_sum(goinstr_function_duration_seconds)")?;
    let medians = prometheus.query(&median_of("goinstr_function_duration_seconds"))?;
    let calls = prometheus.query("goinstr_function_calls_total")?;
    let mut compared = 0;
    for function in report
        .functions
        .iter()
        .filter(|function| function.calls > 0)
    {
        let labels = |more: &[(&str, &str)]| -> BTreeMap<String, String> {
            let name = ("code_function_name", function.function.as_str());
            let all = more.iter().chain([&name]);
            all.map(|&(key, value)| (key.to_owned(), value.to_owned()))
                .collect()
        };
        let own = labels(&[]);
        ensure!(
            counts.get(&own) == Some(&(function.calls as f64))
                && sums.get(&own) == Some(&(function.total_ns as f64 / 1e9)),
            "{function:?}: {counts:?} {sums:?}"
        );
        let unwound = calls.get(&labels(&[("goinstr_outcome", "unwound")]));
        ensure!(unwound == Some(&(function.unwound as f64)), "{calls:?}");
        if let (Some(p50), Some(median)) = (function.p50_ns, medians.get(&own))
            && function.calls >= 100
            && p50 > 0
        {
            // A bucket is 2.2 % wide or, where durations span a lot, 4.4 or 9.1 %; the median is 2 %.
            let off = (median / (p50 as f64 / 1e9) - 1.0).abs();
            ensure!(off < 0.12, "{function:?}: Prometheus has {median} s");
            compared += 1;
        }
    }
    ensure!(compared > 3, "only {compared} medians were compared");
    let begun = prometheus.query("goinstr_calls_begun_total")?;
    ensure!(
        begun.values().eq([&(report.ledger.entries as f64)]),
        "{begun:?} of {:?}",
        report.ledger
    );
    let job = prometheus.query("count by (job, instance) (goinstr_calls_begun_total)")?;
    ensure!(job.len() == 1, "{job:?}");
    Ok(())
}
