//! What is sent of the made-up measurement, decoded again.

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{metric::Data, number_data_point},
    trace::v1::Span,
};
use prost::Message as _;

use super::{Session, lineage::Lineage, metrics, spans};
use crate::aggregate::{CallEvent, OpenCall, Report};
use crate::sink::{
    Entry,
    forest::{Cut, Forest},
    hostile, sample,
};

fn session() -> Session {
    Session::of(&sample::info(), &sample::plan())
}

/// Spans of calls, which are put together as they are when the measurement is over.
fn spans_of(calls: impl IntoIterator<Item = CallEvent>, open: &[OpenCall]) -> Vec<Span> {
    let session = session();
    let mut forest = Forest::new(Cut::default());
    let mut lineage = Lineage::new();
    for call in calls {
        forest.add(call);
    }
    lineage.settle(Some(open));
    let mut found = Vec::new();
    for entry in forest.ready(Some(open), u64::MAX) {
        if let Some(ids) = lineage.ids(&entry)
            && let Entry::Call { call, .. } = entry
        {
            found.push(spans::finished(&session, ids, &call));
        }
    }
    for call in open {
        let ids = lineage.at_end(call);
        found.push(spans::open(&session, ids, call, u64::MAX));
    }
    found
}

fn attributes(attributes: &[KeyValue]) -> String {
    let mut shown: Vec<String> = attributes
        .iter()
        .map(|one| {
            let value = one.value.as_ref().and_then(|value| value.value.as_ref());
            match value {
                Some(Value::StringValue(text)) => format!("{}={text}", one.key),
                Some(Value::IntValue(number)) => format!("{}={number}", one.key),
                other => format!("{}={other:?}", one.key),
            }
        })
        .collect();
    shown.sort();
    shown.join(" ")
}

#[test]
fn the_spans_of_a_tree() {
    let mut found = spans_of(sample::tree(), &[]);
    found.sort_by_key(|span| span.start_time_unix_nano);
    let start = found[0].start_time_unix_nano;
    let parent = |span: &Span| {
        found
            .iter()
            .position(|other| other.span_id == span.parent_span_id)
    };
    let shown: Vec<String> = found
        .iter()
        .map(|span| {
            assert_eq!(span.trace_id, found[0].trace_id);
            format!(
                "{} in {:?}, {}..{} ns: {}",
                span.name,
                parent(span),
                span.start_time_unix_nano - start,
                span.end_time_unix_nano - start,
                attributes(&span.attributes)
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

fn call(function: u32, goid: u64, depth: u32, (start, end): (u64, u64), parent: u32) -> CallEvent {
    CallEvent {
        function,
        goid,
        depth,
        start_unix_ns: start,
        duration_ns: end - start,
        self_ns: end - start,
        corrected_ns: 0,
        parent: (depth > 0).then_some(parent),
        parent_goid: None,
        ..sample::call()
    }
}

/// 0 never returns and calls 1, the second time the measurement ends before it returns:
/// each inner call is a child of the call that it was made in.
#[test]
fn calls_in_open_calls_are_their_children() {
    let open = |function, depth, start_unix_ns| OpenCall {
        function,
        goid: 7,
        depth,
        start_unix_ns,
    };
    let found = spans_of(
        [
            call(2, 7, 2, (21, 22), 1),
            call(1, 7, 1, (20, 30), 0),
            call(2, 7, 2, (41, 42), 1),
        ],
        &[open(0, 0, 10), open(1, 1, 40)],
    );
    let at = |start: u64| {
        let mut all = found
            .iter()
            .filter(|span| span.start_time_unix_nano == start);
        let span = all.next().expect("a span");
        assert!(all.next().is_none(), "two spans of one call");
        span
    };
    assert_eq!(found.len(), 5);
    assert_eq!(at(21).parent_span_id, at(20).span_id);
    assert_eq!(at(20).parent_span_id, at(10).span_id);
    assert_eq!(at(41).parent_span_id, at(40).span_id);
    assert_eq!(at(40).parent_span_id, at(10).span_id);
    assert!(at(10).parent_span_id.is_empty());
    assert!(found.iter().all(|span| span.trace_id == at(10).trace_id));
    assert!(attributes(&at(40).attributes).contains("goinstr.outcome=in_flight"));
}

/// 1 was shed and will not become a span: what is in it is its caller's child.
#[test]
fn calls_in_one_that_was_shed_are_children_of_the_call_around_it() {
    let open = |function, depth, start_unix_ns| OpenCall {
        function,
        goid: 7,
        depth,
        start_unix_ns,
    };
    let found = spans_of(
        [call(2, 7, 2, (21, 22), 1), call(3, 7, 3, (31, 32), 2)],
        &[open(0, 0, 10), open(2, 2, 30)],
    );
    let at = |start: u64| {
        let mut all = found.iter();
        all.find(|span| span.start_time_unix_nano == start)
            .expect("a span")
    };
    assert_eq!(found.len(), 4);
    assert_eq!(at(21).parent_span_id, at(10).span_id);
    assert_eq!(at(30).parent_span_id, at(10).span_id);
    assert_eq!(at(31).parent_span_id, at(30).span_id);
    assert!(found.iter().all(|span| span.trace_id == at(10).trace_id));
}

/// What was told of a goroutine as a trace of its own stays one when it turns out who started it.
#[test]
fn a_trace_that_was_told_of_keeps_its_id() {
    let mut lineage = Lineage::new();
    let root = OpenCall {
        function: 0,
        goid: 8,
        depth: 0,
        start_unix_ns: 20,
    };
    lineage.settle(Some(std::slice::from_ref(&root)));
    let finished = |lineage: &mut Lineage, call, level, linked| {
        let entry = Entry::Call {
            call,
            level,
            root_ns: 0,
            linked,
        };
        lineage.ids(&entry).expect("a span")
    };
    let begun = Entry::Open {
        call: root,
        level: 0,
    };
    assert_eq!(lineage.ids(&begun), None);
    let inner = finished(&mut lineage, call(1, 8, 1, (21, 22), 0), 1, false);
    lineage.settle(None);
    let starter = finished(&mut lineage, call(3, 7, 0, (10, 90), 0), 0, false);
    let outer = finished(&mut lineage, call(0, 8, 0, (20, 60), 0), 1, true);
    assert_eq!(inner.parent, Some(outer.span));
    assert_eq!(inner.trace, outer.trace);
    assert_eq!(outer.link, Some((starter.trace, starter.span)));
    assert_eq!(outer.parent, None);
}

#[test]
fn a_lost_record_makes_nobody_the_child_of_a_stranger() {
    // The call of 1 around the second 2 was lost.
    let found = spans_of(
        [
            call(2, 7, 2, (21, 22), 1),
            call(1, 7, 1, (20, 30), 0),
            call(2, 7, 2, (41, 42), 1),
            call(0, 7, 0, (10, 50), 0),
        ],
        &[],
    );
    let at = |start: u64| {
        let mut all = found.iter();
        all.find(|span| span.start_time_unix_nano == start)
            .expect("a span")
    };
    assert_eq!(at(41).parent_span_id, at(10).span_id);
    assert_eq!(at(21).parent_span_id, at(20).span_id);
}

fn shown(report: &Report) -> String {
    let sent = metrics::request(&session(), report).encode_to_vec();
    let request = ExportMetricsServiceRequest::decode(&sent[..]).expect("decoded");
    let mut lines = Vec::new();
    let resource = &request.resource_metrics[0];
    let scope = &resource.scope_metrics[0];
    lines.push(format!(
        "{:?}",
        scope.scope.as_ref().map(|scope| &scope.name)
    ));
    for metric in &scope.metrics {
        // Another each time.
        if metric.name == "goinstr.own.cpu" {
            continue;
        }
        lines.push(format!(
            "{} ({}): {}",
            metric.name, metric.unit, metric.description
        ));
        let (points, what) = match metric.data.as_ref().expect("data") {
            Data::Sum(sum) => (&sum.data_points, format!("sum {}", sum.is_monotonic)),
            Data::Gauge(gauge) => (&gauge.data_points, "gauge".to_owned()),
            Data::ExponentialHistogram(histogram) => {
                for point in &histogram.data_points {
                    let buckets = point.positive.as_ref().expect("buckets");
                    let filled: Vec<_> = buckets
                        .bucket_counts
                        .iter()
                        .enumerate()
                        .filter(|(_, calls)| **calls > 0)
                        .collect();
                    lines.push(format!(
                        "  {}: {} calls, sum {:?}, {:?}..{:?}, scale {} from {}: {filled:?}, zero {}",
                        attributes(&point.attributes),
                        point.count,
                        point.sum,
                        point.min,
                        point.max,
                        point.scale,
                        buckets.offset,
                        point.zero_count,
                    ));
                }
                continue;
            }
            other => panic!("{other:?}"),
        };
        for point in points {
            let value = match point.value.expect("value") {
                number_data_point::Value::AsInt(value) => value.to_string(),
                number_data_point::Value::AsDouble(value) => format!("{value:?}"),
            };
            lines.push(format!(
                "  {what} {}: {value}",
                attributes(&point.attributes)
            ));
        }
    }
    lines.join("\n")
}

#[test]
fn the_metrics_of_a_report() {
    insta::assert_snapshot!(shown(&sample::report(2)));
}

/// Names, places and reasons that steer a terminal: what shows them at the other end may be one.
#[test]
fn nothing_that_is_sent_steers_a_terminal() {
    let session = Session::of(&hostile::info(), &hostile::plan());
    let call = hostile::call();
    let mut lineage = Lineage::new();
    let entry = Entry::Call {
        call: call.clone(),
        level: 0,
        root_ns: 0,
        linked: false,
    };
    let ids = lineage.ids(&entry).expect("a span");
    let span = spans::finished(&session, ids, &call);
    let shown = attributes(&span.attributes);
    for part in [
        "goinstr.waiting_ns.",
        "code.file.path=",
        "code.function.name=",
    ] {
        assert!(
            shown.contains(&format!("{part}=e\\u{{1b}}[31m")),
            "{part}: {shown}"
        );
    }
    let metrics = metrics::request(&session, &sample::report(2)).encode_to_vec();
    hostile::spelt_out("metrics", &metrics);
    let spans = spans::request(&session, vec![span]).encode_to_vec();
    hostile::spelt_out("spans", &spans);
}
