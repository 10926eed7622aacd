//! Where a collector listens.

use std::{fmt, str::FromStr};

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
        let rest = text
            .strip_prefix("http://")
            .ok_or("write it like http://127.0.0.1:4318")?;
        let (host, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let path = path.trim_end_matches('/');
        let fits = |c: char| c.is_ascii_graphic() && !"?#@".contains(c);
        if host.is_empty() || !rest.chars().all(fits) {
            return Err("write it like http://127.0.0.1:4318".to_owned());
        }
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        Ok(Self {
            // OTLP over HTTP has a port of its own.
            authority: if has_port {
                host.to_owned()
            } else {
                format!("{host}:4318")
            },
            path: path.to_owned(),
        })
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
        ] {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong}");
        }
    }
}
