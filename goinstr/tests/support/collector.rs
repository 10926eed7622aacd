//! Collectors of OpenTelemetry's data: a real one, and one that does as it is told: takes all, takes nothing, or never
//! answers. What that takes is decoded by the types that are generated from the official protos.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
        trace::v1::{
            ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
        },
    },
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{Metric, metric::Data, number_data_point},
    resource::v1::Resource,
    trace::v1::Span,
};
use prost::Message as _;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{address, process::patience};

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Takes all.
    Takes,
    /// Takes all but so many spans of each request.
    Rejects(usize),
    /// 503 to everything.
    Refuses,
    /// Reads, and never answers.
    Silent,
}

/// What it has been sent.
#[derive(Debug, Default)]
pub struct Taken {
    pub spans: Vec<Span>,
    /// The newest of each name.
    pub metrics: Vec<Metric>,
    pub resource: Option<Resource>,
    pub requests: usize,
    /// Spans that it did not take.
    pub rejected: usize,
    /// What is no OTLP.
    pub faults: Vec<String>,
}

/// A listening collector; its threads end with the test's process.
pub struct Collector {
    pub endpoint: String,
    taken: Arc<Mutex<Taken>>,
}

impl Collector {
    pub fn start(manner: Manner) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let taken = Arc::new(Mutex::new(Taken::default()));
        let shared = Arc::clone(&taken);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    if let Err(fault) = serve(stream, manner, &shared) {
                        lock(&shared).faults.push(format!("{fault:#}"));
                    }
                });
            }
        });
        Ok(Self { endpoint, taken })
    }

    /// What it has been sent so far.
    pub fn taken(&self) -> Result<std::sync::MutexGuard<'_, Taken>> {
        let taken = lock(&self.taken);
        ensure!(taken.faults.is_empty(), "no OTLP: {:?}", taken.faults);
        Ok(taken)
    }
}

fn lock(taken: &Mutex<Taken>) -> std::sync::MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Requests of one connection, one after another.
fn serve(stream: TcpStream, manner: Manner, taken: &Mutex<Taken>) -> Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            head.push(line);
        }
        let first = head.first().context("no request")?.clone();
        let header = |name: &str| {
            head.iter().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        ensure!(
            header("content-type") == Some("application/x-protobuf") && header("host").is_some(),
            "{head:?}"
        );
        let length = header("content-length").context("no length")?.parse()?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        lock(taken).requests += 1;
        let answer = match manner {
            Manner::Silent => {
                // Until goinstr is gone.
                let _ = reader.read(&mut [0]);
                return Ok(());
            }
            Manner::Refuses => {
                writer.write_all(
                    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nbusy\n",
                )?;
                continue;
            }
            Manner::Takes => take(&first, &body, 0, &mut lock(taken))?,
            Manner::Rejects(spans) => take(&first, &body, spans, &mut lock(taken))?,
        };
        write!(
            writer,
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        )?;
        writer.write_all(&answer)?;
    }
}

/// Decodes a request; the answer.
fn take(first: &str, body: &[u8], rejects: usize, taken: &mut Taken) -> Result<Vec<u8>> {
    match first {
        "POST /v1/traces HTTP/1.1" => {
            let request = ExportTraceServiceRequest::decode(body)?;
            let mut spans = Vec::new();
            for resource in request.resource_spans {
                taken.resource = resource.resource;
                spans.extend(
                    resource
                        .scope_spans
                        .into_iter()
                        .flat_map(|scope| scope.spans),
                );
            }
            let rejected = rejects.min(spans.len());
            taken.rejected += rejected;
            taken.spans.extend(spans.drain(rejected..));
            let partial_success = (rejected > 0).then(|| ExportTracePartialSuccess {
                rejected_spans: rejected as i64,
                error_message: "too many".to_owned(),
            });
            Ok(ExportTraceServiceResponse { partial_success }.encode_to_vec())
        }
        "POST /v1/metrics HTTP/1.1" => {
            let request = ExportMetricsServiceRequest::decode(body)?;
            for resource in request.resource_metrics {
                taken.resource = resource.resource;
                for metric in resource
                    .scope_metrics
                    .into_iter()
                    .flat_map(|scope| scope.metrics)
                {
                    taken.metrics.retain(|older| older.name != metric.name);
                    taken.metrics.push(metric);
                }
            }
            Ok(ExportMetricsServiceResponse::default().encode_to_vec())
        }
        other => bail!("{other}"),
    }
}

/// An attribute's value, as text.
pub fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|one| one.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

impl Taken {
    /// The figures of a metric by its attributes' values, in order of their keys.
    pub fn figures(&self, name: &str) -> Result<std::collections::BTreeMap<Vec<String>, f64>> {
        let metric = self.metric(name)?;
        let points = match metric.data.as_ref().context("no data")? {
            Data::Sum(sum) => {
                ensure!(
                    sum.is_monotonic && sum.aggregation_temporality == 2,
                    "{name}"
                );
                &sum.data_points
            }
            Data::Gauge(gauge) => &gauge.data_points,
            other => bail!("{name} is {other:?}"),
        };
        points
            .iter()
            .map(|point| {
                let mut keys: Vec<&str> = point.attributes.iter().map(|a| a.key.as_str()).collect();
                keys.sort_unstable();
                let values = keys
                    .iter()
                    .filter_map(|key| attribute(&point.attributes, key))
                    .collect();
                let value = match point.value.context("no value")? {
                    number_data_point::Value::AsInt(value) => value as f64,
                    number_data_point::Value::AsDouble(value) => value,
                };
                Ok((values, value))
            })
            .collect()
    }

    /// The newest figures of a metric.
    pub fn metric(&self, name: &str) -> Result<&Metric> {
        let mut metrics = self.metrics.iter();
        metrics
            .find(|metric| metric.name == name)
            .with_context(|| format!("no {name}"))
    }
}

/// What `cargo xtask receivers` has built, where it has.
pub fn built(name: &str) -> Result<PathBuf, String> {
    let home = std::env::var_os("HOME").unwrap_or_default();
    let place = Path::new(&home).join(".cache/goinstr/receivers").join(name);
    match place.is_file() {
        true => Ok(place),
        false => Err(format!(
            "no {}: `cargo xtask receivers` builds it",
            place.display()
        )),
    }
}

/// A running OpenTelemetry Collector that writes what it takes to a file; ends when dropped.
pub struct RealCollector {
    pub endpoint: String,
    child: Child,
    folder: TempDir,
}

impl RealCollector {
    pub fn start() -> Result<Self> {
        let executable = built("collector").map_err(anyhow::Error::msg)?;
        let folder = tempfile::tempdir()?;
        let address = address::free()?.to_string();
        let config = folder.path().join("config.yaml");
        std::fs::write(
            &config,
            format!(
                "receivers: {{otlp: {{protocols: {{http: {{endpoint: '{address}'}}}}}}}}\n\
                 exporters: {{file: {{path: '{}', flush_interval: 50ms}}}}\n\
                 service:\n  telemetry: {{metrics: {{level: none}}}}\n  pipelines:\n    \
                 traces: {{receivers: [otlp], exporters: [file]}}\n    \
                 metrics: {{receivers: [otlp], exporters: [file]}}\n",
                folder.path().join("taken.json").display()
            ),
        )?;
        let child = Command::new(executable)
            .arg("--config")
            .arg(format!("file:{}", config.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("can't run the collector")?;
        let collector = Self {
            endpoint: format!("http://{address}"),
            child,
            folder,
        };
        let deadline = Instant::now() + patience();
        while TcpStream::connect(&address).is_err() {
            ensure!(Instant::now() < deadline, "the collector does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(collector)
    }

    /// Ends it; what it took, as it wrote it down itself.
    pub fn taken(mut self) -> Result<Vec<serde_json::Value>> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("a pid that is none")?, Signal::TERM)?;
        self.child.wait()?;
        let text = std::fs::read_to_string(self.folder.path().join("taken.json"))?;
        text.lines()
            .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
            .collect()
    }
}

impl Drop for RealCollector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
