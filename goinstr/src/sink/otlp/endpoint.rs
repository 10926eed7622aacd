//! Where a collector listens.

use std::{fmt, net::Ipv6Addr, str::FromStr};

/// OTLP over HTTP has a port of its own.
const PORT: &str = "4318";
/// What an error ends with.
const LIKE: &str = "write it like http://127.0.0.1:4318";

/// `http://HOST:PORT[/PATH]`; the signals' own paths are added to it
/// (<https://opentelemetry.io/docs/specs/otlp/#otlphttp-request>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `HOST:PORT`.
    authority: String,
    /// Begins with a slash and does not end with one, or is empty.
    path: String,
}

impl Endpoint {
    /// `HOST:PORT`.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// The path of a signal: `v1/metrics`, `v1/traces`.
    pub(super) fn path(&self, signal: &str) -> String {
        format!("{}/{signal}", self.path)
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("https://") {
            return Err(
                "goinstr does not speak TLS: give a collector on this machine, which does"
                    .to_owned(),
            );
        }
        let rest = text.strip_prefix("http://").ok_or(LIKE)?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let path = path.trim_end_matches('/');
        let fits = |c: char| c.is_ascii_graphic() && !"?#@".contains(c);
        if !rest.chars().all(fits) {
            return Err(format!("{rest:?} has what no address has; {LIKE}"));
        }
        let (host, port) = match authority.rsplit_once(':') {
            // The colons in brackets are those of an IPv6 address.
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (authority, PORT),
        };
        if !is_host(host) {
            return Err(format!(
                "{host:?} is no host (IPv6 addresses stand in brackets); {LIKE}"
            ));
        }
        if !port.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err(format!("{port:?} is no port, 1 to 65535; {LIKE}"));
        }
        Ok(Self {
            authority: format!("{host}:{port}"),
            path: path.to_owned(),
        })
    }
}

/// A name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => {
            let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            !host.is_empty() && host.chars().all(fits)
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_port_and_the_signals_paths() {
        for (text, authority, metrics) in [
            ("http://127.0.0.1:4318", "127.0.0.1:4318", "/v1/metrics"),
            ("http://collector/", "collector:4318", "/v1/metrics"),
            (
                "http://localhost:9090/api/v1/otlp",
                "localhost:9090",
                "/api/v1/otlp/v1/metrics",
            ),
            ("http://[::1]", "[::1]:4318", "/v1/metrics"),
            ("http://[fe80::1]:80/", "[fe80::1]:80", "/v1/metrics"),
            (
                "http://otel_collector.x:1",
                "otel_collector.x:1",
                "/v1/metrics",
            ),
        ] {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!(endpoint.authority, authority);
            assert_eq!(endpoint.path("v1/metrics"), metrics);
        }
        for wrong in [
            "",
            "127.0.0.1:4318",
            "https://a",
            "http://",
            "http://a b",
            "http://a/\r\n",
            "http://a:",
            "http://a:0",
            "http://a:65536",
            "http://a:port",
            "http://a:80:80",
            "http://:4318",
            "http:///v1",
            "http://::1",
            "http://[::1",
            "http://[::1]80",
            "http://[a]:80",
            "http://a%20b",
        ] {
            let error = wrong.parse::<Endpoint>().expect_err(wrong);
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}
