//! Real receivers of OpenTelemetry's data, for the tests: `~/.cache/goinstr/receivers/<name>`.
//!
//! A Collector and a Prometheus, built from their Go modules: minutes of CPU time each, so that only
//! this command builds them. The tests that push to them are skipped where they are not there.

use crate::{command, toolchains, workspace};
use anyhow::{Context, Result};
use std::{fs, process::Command};

/// Name, package within the module of that name in `testdata/receivers`, further flags.
const RECEIVERS: [(&str, &str, &[&str]); 2] = [
    ("collector", ".", &[]),
    (
        "prometheus",
        "github.com/prometheus/prometheus/cmd/prometheus",
        // What finds targets in clouds is most of it.
        &["-tags", "remove_all_sd"],
    ),
];

/// Builds those that are missing.
pub fn run() -> Result<()> {
    let folder = workspace::cache()?.join("receivers");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let goroot = toolchains::newest().context("no Go: run `cargo xtask toolchains` first")?;
    for (name, package, flags) in RECEIVERS {
        let place = folder.join(name);
        if place.is_file() {
            continue;
        }
        let fresh = folder.join(format!(".{name}.{}", std::process::id()));
        command::run(
            Command::new(goroot.join("bin/go"))
                .current_dir(workspace::root().join("testdata/receivers").join(name))
                .args(["build", "-ldflags=-s -w", "-o"])
                .arg(&fresh)
                .args(flags)
                .arg(package)
                .env("GOTOOLCHAIN", "local")
                .env("GOWORK", "off")
                .env("CGO_ENABLED", "0")
                .env("GOFLAGS", "-buildvcs=false"),
        )?;
        fs::rename(&fresh, &place).with_context(|| format!("cannot create {}", place.display()))?;
    }
    Ok(())
}
