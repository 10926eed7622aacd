//! A single call → a span.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::KeyValue,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span,
        span::{Link, SpanKind},
    },
};

use super::{
    Session,
    lineage::Ids,
    resource::{SCHEMA, number, scope, text},
};
use crate::aggregate::{CallEvent, OpenCall};

/// The span of a call that has ended.
///
/// It lasts from the clock's time at the call's entry to that at its end, so that spans nest as
/// calls do; what the call took without the probes is an attribute.
pub(super) fn finished(session: &Session, ids: Ids, call: &CallEvent) -> Span {
    let mut attributes = place(session, call.function);
    attributes.extend([
        number("goinstr.goroutine.id", call.goid),
        number("goinstr.duration_ns", call.duration_ns),
        number("goinstr.self_ns", call.self_ns),
        text("goinstr.outcome", call.outcome.name()),
    ]);
    if let Some(parent) = call.parent_goid {
        attributes.push(number("goinstr.goroutine.parent_id", parent));
    }
    if let Some(states) = &call.states {
        attributes.extend([
            number("goinstr.state.running_ns", states.running_ns),
            number("goinstr.state.runnable_ns", states.runnable_ns),
            number("goinstr.state.waiting_ns", states.waiting_ns),
            number("goinstr.state.syscall_ns", states.syscall_ns),
        ]);
        let waiting = states.waiting.iter();
        attributes.extend(
            waiting.map(|(reason, &ns)| number(&format!("goinstr.waiting_ns.{reason}"), ns)),
        );
    }
    span(
        session,
        ids,
        call.function,
        (call.start_unix_ns, call.end_unix_ns()),
        attributes,
    )
}

/// The span of a call that had not returned at the end of the measurement, `end_ns`.
pub(super) fn open(session: &Session, ids: Ids, call: &OpenCall, end_ns: u64) -> Span {
    let mut attributes = place(session, call.function);
    attributes.extend([
        number("goinstr.goroutine.id", call.goid),
        text("goinstr.outcome", "in_flight"),
    ]);
    let times = (call.start_unix_ns, end_ns.max(call.start_unix_ns));
    span(session, ids, call.function, times, attributes)
}

fn span(
    session: &Session,
    ids: Ids,
    function: u32,
    (start, end): (u64, u64),
    attributes: Vec<KeyValue>,
) -> Span {
    Span {
        trace_id: ids.trace.to_be_bytes().to_vec(),
        span_id: ids.span.to_be_bytes().to_vec(),
        parent_span_id: ids
            .parent
            .map_or_else(Vec::new, |parent| parent.to_be_bytes().to_vec()),
        name: name(session, function).to_owned(),
        kind: SpanKind::Internal as i32,
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        attributes,
        links: ids
            .link
            .map(|(trace, span)| Link {
                trace_id: trace.to_be_bytes().to_vec(),
                span_id: span.to_be_bytes().to_vec(),
                ..Link::default()
            })
            .into_iter()
            .collect(),
        ..Span::default()
    }
}

fn name(session: &Session, function: u32) -> &str {
    crate::sink::names::of(&session.names, function)
}

/// Where the function stands in the source.
fn place(session: &Session, function: u32) -> Vec<KeyValue> {
    let mut attributes = vec![text("code.function.name", name(session, function))];
    let location = session.locations.get(function as usize);
    if let Some(at) = location.and_then(Option::as_ref) {
        attributes.push(text("code.file.path", &at.file));
        attributes.push(number("code.line.number", at.line.into()));
    }
    attributes
}

/// What is pushed of spans.
pub(super) fn request(session: &Session, spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(session.resource.clone()),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope()),
                spans,
                schema_url: SCHEMA.to_owned(),
            }],
            schema_url: SCHEMA.to_owned(),
        }],
    }
}
