//! A snapshot → metric families: names and units by Prometheus' conventions
//! (<https://prometheus.io/docs/practices/naming/>), all of it documented in docs/metrics.md.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NativeHistogram,
        NativeHistogramBuckets, NoLabelSet,
    },
    metrics::MetricType,
    registry::{Registry, Unit},
};

use super::{Session, Snapshot};
use crate::aggregate::{Distribution, FunctionReport, Outcome};
use crate::sink::exponential::Exponential;

/// Before all names.
const PREFIX: &str = "goinstr";
/// The edges of the classic buckets are powers of two of a nanosecond, from 1 µs to 69 s, less one
/// (an upper edge belongs to its bucket): those are edges of slots too, so that each count is exact.
const EDGES: std::ops::RangeInclusive<u32> = 10..=36;
/// Durations up to this count as none: what Prometheus' own libraries have, 2^-128.
const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

/// The registry that a scrape reads a snapshot from.
pub(super) fn registry(snapshot: Snapshot) -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(snapshot));
    registry
}

/// Label names and values.
type Labels<'a> = Vec<(&'static str, &'a str)>;

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        session(&mut encoder, &self.session)?;
        functions(&mut encoder, self)?;
        books(&mut encoder, self)?;
        own(&mut encoder)
    }
}

fn session(encoder: &mut DescriptorEncoder<'_>, session: &Session) -> fmt::Result {
    let info = &session.info;
    let pid = info.pid.map(|pid| pid.to_string());
    let mut labels: Labels<'_> = vec![
        ("version", env!("CARGO_PKG_VERSION")),
        ("exe", &info.exe),
        ("arch", info.arch),
        ("attach", info.attach),
    ];
    labels.extend(pid.as_deref().map(|pid| ("pid", pid)));
    let go = info.go_version.as_deref();
    labels.extend(go.map(|version| ("go_version", version)));
    let help = "What is measured, and by which goinstr.";
    let mut family = encoder.encode_descriptor("session", help, None, MetricType::Info)?;
    family.encode_info(&labels)?;

    let help = "Functions that are measured.";
    gauge(
        encoder,
        "measured_functions",
        help,
        None,
        [(vec![], info.functions as u64)],
    )?;
    let skipped = session.skipped.iter();
    let help = "Functions that were chosen and can't be measured, by reason.";
    let samples = skipped.map(|&(reason, functions)| (vec![("reason", reason)], functions));
    gauge(encoder, "skipped_functions", help, None, samples)
}

fn functions(encoder: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    let each = || {
        snapshot
            .report
            .functions
            .iter()
            .zip(&snapshot.session.names)
    };
    if !snapshot.session.info.mode.watches_ends() {
        let help = "Calls that began.";
        let samples =
            each().map(|(figures, name)| (vec![("function", name.as_str())], figures.calls));
        return counter(encoder, "function_calls_begun", help, None, samples);
    }
    let outcomes = each().flat_map(|(figures, name)| {
        let sample = |outcome: Outcome, calls| {
            let labels = vec![("function", name.as_str()), ("outcome", outcome.name())];
            (labels, calls)
        };
        [
            sample(Outcome::Returned, figures.calls - figures.unwound),
            sample(Outcome::Unwound, figures.unwound),
        ]
    });
    let help =
        "Finished calls, by how they ended: by their own return, or by a panic or runtime.Goexit.";
    counter(encoder, "function_calls", help, None, outcomes)?;

    let labelled = |figure: fn(&FunctionReport) -> u64| {
        each().map(move |(figures, name)| (vec![("function", name.as_str())], figure(figures)))
    };
    let help = "Calls that are open.";
    gauge(
        encoder,
        "function_in_flight",
        help,
        None,
        labelled(|figures| figures.in_flight),
    )?;

    let help = "Time in finished calls less that in the measured calls inside them.";
    let samples = labelled(|figures| figures.self_ns).map(|(labels, ns)| (labels, seconds(ns)));
    counter(
        encoder,
        "function_self",
        help,
        Some(&Unit::Seconds),
        samples,
    )?;

    let help = "Durations of finished calls, corrected for what the probes add to them.";
    let mut family = encoder.encode_descriptor(
        "function_duration",
        help,
        Some(&Unit::Seconds),
        MetricType::Histogram,
    )?;
    for (figures, name) in each() {
        let labels: Labels<'_> = vec![("function", name)];
        histogram(family.encode_family(&labels)?, figures)?;
    }
    Ok(())
}

fn histogram(mut metric: MetricEncoder<'_>, figures: &FunctionReport) -> fmt::Result {
    let found = Exponential::of(&figures.distribution);
    // Prometheus numbers a bucket by its upper edge, and wants differences.
    let length = u32::try_from(found.counts.len()).map_err(|_| fmt::Error)?;
    let spans: &[_] = &[(found.offset + 1, length)];
    let mut last = 0;
    let deltas: Vec<i64> = found
        .counts
        .iter()
        .map(|&count| {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            count - std::mem::replace(&mut last, count)
        })
        .collect();
    let none = NativeHistogramBuckets {
        spans: &[],
        deltas: &[],
    };
    let native = NativeHistogram {
        schema: found.scale,
        zero_threshold: ZERO_THRESHOLD,
        zero_count: found.zero,
        negative: none,
        positive: NativeHistogramBuckets {
            spans: if length == 0 { &[] } else { spans },
            deltas: &deltas,
        },
        created: None,
    };
    // Of the buckets and not of the totals, which were read a moment before them.
    let count = figures.distribution.calls();
    let buckets = classic(&figures.distribution);
    metric.encode_histogram_with_native::<NoLabelSet>(
        seconds(figures.total_ns),
        count,
        &buckets,
        None,
        native,
    )
}

/// Upper edge in seconds and calls of each classic bucket, those of the buckets below not counted.
fn classic(distribution: &Distribution) -> Vec<(f64, u64)> {
    let mut slots = distribution.slots().peekable();
    let mut below = |edge: u64| {
        let mut calls = 0;
        while let Some(slot) = slots.next_if(|slot| slot.low < edge) {
            calls += slot.calls;
        }
        calls
    };
    let mut buckets: Vec<_> = EDGES
        .map(|power| (seconds((1 << power) - 1), below(1 << power)))
        .collect();
    buckets.push((f64::INFINITY, below(u64::MAX)));
    buckets
}

fn books(encoder: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    let books = &snapshot.report.books;
    let once = |n: u64| [(vec![], n)];
    let help = "Calls that began.";
    counter(encoder, "calls_begun", help, None, once(books.entries))?;
    let lost = books.lost.iter();
    let help = "Calls that began and could not be followed, by reason.";
    let samples = lost.map(|(&reason, &calls)| (vec![("reason", reason)], calls));
    counter(encoder, "lost_calls", help, None, samples)?;
    let help = "Returns of calls that were already open when recording began.";
    counter(
        encoder,
        "orphan_returns",
        help,
        None,
        once(books.orphan_returns),
    )?;
    let help = "Records of single calls that found no room; the calls are counted all the same.";
    let dropped = snapshot.report.dropped_records;
    counter(encoder, "dropped_records", help, None, once(dropped))?;
    let help = "Hits of probes in the measured program.";
    counter(encoder, "probe_hits", help, None, once(books.probe_hits))?;
    if let Some(ns) = books.probe_cost_ns {
        let help = "What the probes cost the measured program, by what a hit was measured to cost at the start.";
        let samples = [(vec![], seconds(ns))];
        counter(encoder, "probe_cost", help, Some(&Unit::Seconds), samples)?;
    }
    let help = "For how long it had been measured when these figures were taken.";
    let samples = [(vec![], seconds(snapshot.report.elapsed_ns))];
    gauge(encoder, "elapsed", help, Some(&Unit::Seconds), samples)
}

/// What goinstr itself takes.
fn own(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "seconds of CPU time")]
    let cpu = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
    let help = "CPU time that goinstr itself has taken.";
    counter(
        encoder,
        "own_cpu",
        help,
        Some(&Unit::Seconds),
        [(vec![], cpu)],
    )
}

fn counter<'a, V: EncodeCounterValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    samples: impl IntoIterator<Item = (Labels<'a>, V)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
    for (labels, value) in samples {
        let mut metric = family.encode_family(&labels)?;
        metric.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
    }
    Ok(())
}

fn gauge<'a, V: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    samples: impl IntoIterator<Item = (Labels<'a>, V)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, value) in samples {
        family.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating-point numbers"
)]
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::{PrometheusSink, Sink as _, sample};

    fn snapshot() -> Snapshot {
        let plan = sample::plan();
        let mut sink =
            PrometheusSink::listen("127.0.0.1:0".parse().expect("an address")).expect("listens");
        sink.session(&sample::info(), &plan).expect("session");
        sink.interval(0, &sample::report(2)).expect("interval");
        let last = sink.shared.lock().expect("no panic").clone();
        last.expect("published")
    }

    #[test]
    fn the_text_of_a_measurement() {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry(snapshot()))
            .expect("encoded");
        // goinstr's own CPU time is another each time.
        let stable: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with("goinstr_own_cpu_seconds_total"))
            .collect();
        insta::assert_snapshot!(stable.join("\n"));
    }

    #[test]
    fn counts_of_classic_buckets_are_exact() {
        let mut distribution = Distribution::default();
        for ns in [
            0,
            1023,
            1024,
            2047,
            2048,
            (1 << 36) - 1,
            1 << 36,
            u64::MAX / 2,
        ] {
            distribution.add(ns, 1);
        }
        let buckets = classic(&distribution);
        let filled: Vec<_> = buckets.iter().filter(|(_, calls)| *calls > 0).collect();
        assert_eq!(
            filled,
            [
                &(0.000_001_023, 2),
                &(0.000_002_047, 2),
                &(0.000_004_095, 1),
                &(68.719_476_735, 1),
                &(f64::INFINITY, 2)
            ]
        );
    }
}
