//! Requests to a collector: OTLP over HTTP/1.1, protobuf
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).

use std::{io, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    header::{CONTENT_TYPE, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, runtime::Runtime, time::timeout};

use super::Endpoint;

/// How long a collector may take for one request, connecting included.
const PATIENCE: Duration = Duration::from_secs(5);
/// An answer says little: how many it did not take, and why.
const ANSWER_BYTES: usize = 64 << 10;

/// A connection that is kept as long as the collector keeps it.
pub(super) struct Client {
    endpoint: Endpoint,
    runtime: Runtime,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    pub fn new(endpoint: Endpoint) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self {
            endpoint,
            runtime,
            connection: None,
        })
    }

    /// Sends one request of a signal, `v1/metrics` or `v1/traces`; the body of the answer.
    pub fn send(&mut self, signal: &str, bytes: Vec<u8>) -> Result<Bytes, String> {
        let Self {
            endpoint,
            runtime,
            connection,
        } = self;
        let bytes = Bytes::from(bytes);
        let answer = runtime.block_on(async {
            timeout(PATIENCE, post(endpoint, connection, signal, bytes))
                .await
                .unwrap_or_else(|_| Err(format!("no answer in {} s", PATIENCE.as_secs())))
        });
        if answer.is_err() {
            *connection = None;
        }
        answer
    }
}

async fn post(
    endpoint: &Endpoint,
    kept: &mut Option<SendRequest<Full<Bytes>>>,
    signal: &str,
    bytes: Bytes,
) -> Result<Bytes, String> {
    // One that was kept may have been closed meanwhile: noticed before anything is sent, since what
    // was sent once must not be sent again.
    let ready = match kept.take() {
        Some(mut connection) => connection.ready().await.is_ok().then_some(connection),
        None => None,
    };
    let mut connection = match ready {
        Some(connection) => connection,
        None => connect(endpoint).await.map_err(|error| error.to_string())?,
    };
    let request = Request::post(endpoint.path(signal))
        .header(HOST, endpoint.authority())
        .header(CONTENT_TYPE, "application/x-protobuf")
        .header(USER_AGENT, concat!("goinstr/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(bytes))
        .map_err(|error| error.to_string())?;
    let response = connection
        .send_request(request)
        .await
        .map_err(|error| error.to_string())?;
    let status = response.status();
    // Read to its end, or the connection can't be used again.
    let body = body(response.into_body()).await?;
    *kept = Some(connection);
    match status {
        StatusCode::OK => Ok(body),
        status => Err(format!("it answered {status}")),
    }
}

async fn connect(endpoint: &Endpoint) -> io::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(endpoint.authority()).await?;
    // A request goes out in one piece and waits for its answer.
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn body(body: Incoming) -> Result<Bytes, String> {
    let collected = Limited::new(body, ANSWER_BYTES).collect().await;
    collected
        .map(http_body_util::Collected::to_bytes)
        .map_err(|error| error.to_string())
}
