//! Where else a measurement is to be seen: `--plain`, `--prometheus`, `--otlp`.

use std::io::{self, IsTerminal};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::args::Format;
use super::failure::Failure;
use super::otlp::Otlp;
use super::output::Output;
use crate::sink::{Complaints, Many, One, PrometheusSink, Sink};

#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Views {
    /// On a terminal, a table drawn over again in place of the full screen
    #[arg(long)]
    pub plain: bool,
    /// Serve the figures to Prometheus at this address: :9464 is port 9464 of this machine alone
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub prometheus: Option<SocketAddr>,
    #[command(flatten)]
    pub otlp: Otlp,
}

impl Views {
    /// Whether to take over the terminal: one that can be drawn on and typed at, in the foreground.
    pub fn full_screen(&self, output: &Output) -> bool {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        !self.plain
            && !dumb
            && output.format == Format::Table
            && output.is_terminal()
            && io::stdin().is_terminal()
            // In the background, reading a key would stop all of it.
            && rustix::termios::tcgetpgrp(io::stdout())
                .is_ok_and(|foreground| foreground == rustix::process::getpgrp())
    }

    /// `main` and whatever else was asked for, opened: what can't be opened must not cost the
    /// target a hit.
    pub fn around(
        &self,
        main: Box<dyn Sink>,
        slower_than_ns: Option<u64>,
        full_screen: bool,
    ) -> Result<Box<dyn Sink>, Failure> {
        let complaints = if full_screen {
            Complaints::Kept
        } else {
            Complaints::Told
        };
        // Before the others, whose ledger has its figures.
        let otlp = self.otlp.sink(slower_than_ns, None, complaints);
        let mut sinks: Vec<One> = otlp.into_iter().collect();
        sinks.push(One {
            sink: main,
            calls_from_ns: slower_than_ns,
        });
        if let Some(address) = self.prometheus {
            let sink = PrometheusSink::listen(address).map_err(|error| {
                Failure::failed(format_args!(
                    "can't serve metrics at {address}: {error}; give another --prometheus ADDRESS"
                ))
            })?;
            eprintln!("goinstr: metrics at http://{}/metrics", sink.address());
            sinks.push(One {
                sink: Box::new(sink),
                calls_from_ns: None,
            });
        }
        Ok(match sinks.len() {
            1 => sinks.remove(0).sink,
            _ => Box::new(Many(sinks)),
        })
    }
}

/// `127.0.0.1:9464`, `[::1]:9464`, `0.0.0.0:9464`; `:9464` and `localhost:9464` are this machine alone.
fn address(text: &str) -> Result<SocketAddr, String> {
    let local = text
        .strip_prefix("localhost:")
        .or_else(|| text.strip_prefix(':'));
    if let Some(port) = local {
        let port = port
            .parse()
            .map_err(|_| format!("{port:?} is no port; write it like :9464"))?;
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| {
        "write it like :9464 (this machine alone), or 0.0.0.0:9464 (whoever reaches it)".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_host_it_is_this_machine_alone() {
        for text in [":9464", "localhost:9464", "127.0.0.1:9464"] {
            let address = address(text).expect(text);
            assert!(
                address.ip().is_loopback() && address.port() == 9464,
                "{text}"
            );
        }
        assert!(
            !address("0.0.0.0:9464")
                .expect("explicit")
                .ip()
                .is_loopback()
        );
        assert!(address("[::1]:0").expect("IPv6").ip().is_loopback());
        for wrong in ["", "9464", ":", ":99999", "example.org:1", "1.2.3.4"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
