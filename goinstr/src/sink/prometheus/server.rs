//! The HTTP server of the metrics, on a thread of its own.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::{prometheus_protobuf, text};
use tokio::sync::{Semaphore, oneshot};

use super::{Shared, families};

/// Connections at once: each Prometheus keeps one.
const CONNECTIONS: usize = 32;
/// How long a client may take to send a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// <https://prometheus.io/docs/specs/om/open_metrics_spec/>
const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// `io.prometheus.client.MetricFamily` of `prometheus/client_model`, each with its length before it.
const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// A running server; stops when dropped.
#[derive(Debug)]
pub(super) struct Server {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves what is in `shared` to whoever connects.
    pub fn start(listener: TcpListener, shared: Shared) -> io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _here = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = accept(listener, shared) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Dropped: the other side sees it.
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: tokio::net::TcpListener, shared: Shared) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // No descriptors left, mostly: some will be.
                log::debug!("metrics: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let response = respond(
                    request.method(),
                    request.uri().path(),
                    request.headers(),
                    &shared,
                );
                async { Ok::<_, Infallible>(response) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                log::debug!("metrics: {error}");
            }
            drop(permit);
        });
    }
}

fn respond(
    method: &Method,
    path: &str,
    headers: &HeaderMap<HeaderValue>,
    shared: &Shared,
) -> Response<Full<Bytes>> {
    if path != "/metrics" && path != "/" {
        return plain(StatusCode::NOT_FOUND, "The metrics are at /metrics.\n");
    }
    if method != Method::GET && method != Method::HEAD {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET it.\n");
        let methods = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, methods);
        return response;
    }
    let snapshot = shared.lock().ok().and_then(|last| last.clone());
    let Some(snapshot) = snapshot else {
        let mut response = plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "The probes are being armed.\n",
        );
        let soon = HeaderValue::from_static("1");
        response.headers_mut().insert(RETRY_AFTER, soon);
        return response;
    };
    let registry = families::registry(snapshot);
    let encoded = if wants_protobuf(headers) {
        prometheus_protobuf::encode_to_vec(&registry)
            .ok()
            .map(|bytes| (Bytes::from(bytes), PROTOBUF))
    } else {
        let mut metrics = String::new();
        text::encode(&mut metrics, &registry)
            .ok()
            .map(|()| (Bytes::from(metrics), TEXT))
    };
    match encoded {
        Some((bytes, kind)) => answer(StatusCode::OK, bytes, kind),
        None => plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The metrics can't be encoded.\n",
        ),
    }
}

/// Prometheus names this format only where native histograms are enabled, and then before the others.
fn wants_protobuf(headers: &HeaderMap<HeaderValue>) -> bool {
    let accepted = headers.get_all(ACCEPT).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|kind| {
            kind.contains("application/vnd.google.protobuf")
                && kind.contains("io.prometheus.client.MetricFamily")
                && kind.contains("delimited")
        })
}

fn plain(status: StatusCode, message: &'static str) -> Response<Full<Bytes>> {
    answer(
        status,
        Bytes::from_static(message.as_bytes()),
        "text/plain; charset=utf-8",
    )
}

fn answer(status: StatusCode, bytes: Bytes, kind: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(bytes));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_recording_a_scrape_is_told_to_come_again() {
        let response = respond(
            &Method::GET,
            "/metrics",
            &HeaderMap::new(),
            &Shared::default(),
        );
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn what_is_not_there_and_what_is_not_allowed() {
        let at =
            |method, path| respond(&method, path, &HeaderMap::new(), &Shared::default()).status();
        assert_eq!(at(Method::GET, "/favicon.ico"), StatusCode::NOT_FOUND);
        assert_eq!(at(Method::POST, "/metrics"), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[test]
    fn protobuf_is_for_those_who_name_it() {
        let wants = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            wants_protobuf(&headers)
        };
        assert!(wants(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,*/*;q=0.1"
        ));
        assert!(!wants(
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        ));
        assert!(!wants("*/*"));
    }
}
