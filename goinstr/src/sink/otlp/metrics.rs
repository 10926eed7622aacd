//! A report → OpenTelemetry metrics, cumulative from the beginning.

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::KeyValue,
    metrics::v1::{
        AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Metric,
        NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
        exponential_histogram_data_point::Buckets, metric::Data, number_data_point::Value,
    },
};

use super::{
    Session,
    resource::{SCHEMA, scope, text},
};
use crate::aggregate::{FunctionReport, Mode, Outcome, Report};
use crate::sink::exponential::Exponential;

const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// From when to when figures count, ns since the Unix epoch.
#[derive(Clone, Copy)]
struct Times {
    start: u64,
    now: u64,
}

/// What is pushed of a report.
pub(super) fn request(session: &Session, report: &Report) -> ExportMetricsServiceRequest {
    let start = session.info.start_unix_ns;
    let times = Times {
        start,
        now: start.saturating_add(report.elapsed_ns),
    };
    let mut metrics = match session.info.mode {
        Mode::Durations => functions(session, report, times),
        Mode::Count | Mode::Entries => begun(session, report, times),
    };
    metrics.extend(books(report, times));
    metrics.push(own(times));
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(session.resource.clone()),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope()),
                metrics,
                schema_url: SCHEMA.to_owned(),
            }],
            schema_url: SCHEMA.to_owned(),
        }],
    }
}

fn functions(session: &Session, report: &Report, times: Times) -> Vec<Metric> {
    // Those that were never called say nothing yet, and may be many.
    let seen = || {
        let each = report.functions.iter().zip(&session.names);
        each.filter(|(figures, _)| figures.calls > 0 || figures.in_flight > 0)
    };
    let named = |name: &String| vec![text("code.function.name", name)];
    let durations = seen().map(|(figures, name)| histogram(figures, named(name), times));
    let calls = seen().flat_map(|(figures, name)| {
        let point = |outcome: Outcome, calls| {
            let mut attributes = named(name);
            attributes.push(text("goinstr.outcome", outcome.name()));
            count(calls, attributes, times)
        };
        [
            point(Outcome::Returned, figures.calls - figures.unwound),
            point(Outcome::Unwound, figures.unwound),
        ]
    });
    let open = seen().map(|(figures, name)| count(figures.in_flight, named(name), times));
    let own = seen().map(|(figures, name)| time(figures.self_ns, named(name), times));
    vec![
        metric(
            "goinstr.function.duration",
            "Durations of finished calls, corrected for what the probes add to them.",
            "s",
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: durations.collect(),
                aggregation_temporality: CUMULATIVE,
            }),
        ),
        metric(
            "goinstr.function.calls",
            "Finished calls, by how they ended.",
            "{call}",
            sum(calls.collect()),
        ),
        metric(
            "goinstr.function.self",
            "Time in finished calls less that in the measured calls inside them.",
            "s",
            sum(own.collect()),
        ),
        metric(
            "goinstr.function.in_flight",
            "Calls that are open.",
            "{call}",
            Data::Gauge(Gauge {
                data_points: open.collect(),
            }),
        ),
    ]
}

/// All that a count has.
fn begun(session: &Session, report: &Report, times: Times) -> Vec<Metric> {
    let seen = report.functions.iter().zip(&session.names);
    let points = seen
        .filter(|(figures, _)| figures.calls > 0)
        .map(|(figures, name)| {
            let attributes = vec![text("code.function.name", name)];
            count(figures.calls, attributes, times)
        });
    vec![metric(
        "goinstr.function.calls.begun",
        "Calls that began.",
        "{call}",
        sum(points.collect()),
    )]
}

fn histogram(
    figures: &FunctionReport,
    attributes: Vec<KeyValue>,
    times: Times,
) -> ExponentialHistogramDataPoint {
    let found = Exponential::of(&figures.distribution);
    ExponentialHistogramDataPoint {
        attributes,
        start_time_unix_nano: times.start,
        time_unix_nano: times.now,
        // Of the buckets and not of the totals, which were read a moment before them.
        count: figures.distribution.calls(),
        sum: Some(seconds(figures.total_ns)),
        scale: found.scale,
        zero_count: found.zero,
        positive: Some(Buckets {
            offset: found.offset,
            bucket_counts: found.counts,
        }),
        min: figures.min_ns.map(seconds),
        max: figures.max_ns.map(seconds),
        ..ExponentialHistogramDataPoint::default()
    }
}

fn books(report: &Report, times: Times) -> Vec<Metric> {
    let books = &report.books;
    let once = |n: u64| sum(vec![count(n, Vec::new(), times)]);
    let lost = books.lost.iter();
    let lost = lost.map(|(&reason, &n)| count(n, vec![text("goinstr.reason", reason)], times));
    let mut metrics = vec![
        metric(
            "goinstr.calls.begun",
            "Calls that began.",
            "{call}",
            once(books.entries),
        ),
        metric(
            "goinstr.lost.calls",
            "Calls that began and could not be followed, by reason.",
            "{call}",
            sum(lost.collect()),
        ),
        metric(
            "goinstr.orphan.returns",
            "Returns of calls that were already open when recording began.",
            "{call}",
            once(books.orphan_returns),
        ),
        metric(
            "goinstr.dropped.records",
            "Records of single calls that found no room; the calls are counted all the same.",
            "{record}",
            once(report.dropped_records),
        ),
        metric(
            "goinstr.probe.hits",
            "Hits of probes in the measured program.",
            "{hit}",
            once(books.probe_hits),
        ),
    ];
    metrics.extend(books.probe_cost_ns.map(|ns| {
        metric(
            "goinstr.probe.cost",
            "What the probes cost the measured program.",
            "s",
            sum(vec![time(ns, Vec::new(), times)]),
        )
    }));
    metrics
}

/// What goinstr itself takes.
fn own(times: Times) -> Metric {
    let time_used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let ns = u64::try_from(time_used.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time_used.tv_nsec).unwrap_or(0);
    metric(
        "goinstr.own.cpu",
        "CPU time that goinstr itself has taken.",
        "s",
        sum(vec![time(ns, Vec::new(), times)]),
    )
}

fn metric(name: &str, description: &str, unit: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        description: description.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn sum(data_points: Vec<NumberDataPoint>) -> Data {
    Data::Sum(Sum {
        data_points,
        aggregation_temporality: CUMULATIVE,
        is_monotonic: true,
    })
}

fn count(n: u64, attributes: Vec<KeyValue>, times: Times) -> NumberDataPoint {
    NumberDataPoint {
        attributes,
        start_time_unix_nano: times.start,
        time_unix_nano: times.now,
        value: Some(Value::AsInt(i64::try_from(n).unwrap_or(i64::MAX))),
        ..NumberDataPoint::default()
    }
}

fn time(ns: u64, attributes: Vec<KeyValue>, times: Times) -> NumberDataPoint {
    NumberDataPoint {
        value: Some(Value::AsDouble(seconds(ns))),
        ..count(0, attributes, times)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating-point numbers"
)]
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
