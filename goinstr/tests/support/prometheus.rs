//! A real Prometheus on loopback, that scrapes one address and is asked by its HTTP API.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use super::{address, http, process::patience};

/// A running Prometheus; ends when dropped.
pub struct Prometheus {
    child: Child,
    address: String,
    _folder: TempDir,
}

/// Labels but for the name of the metric and those of the scrape, and the value.
pub type Samples = BTreeMap<BTreeMap<String, String>, f64>;

/// The median of a native histogram of fewer than 10,000 values, the lower of the two in the middle as
/// goinstr has it: from exactly a half on Prometheus counts from above, and where values are few the upper one
/// may be far away.
pub fn median_of(metric: &str) -> String {
    format!("histogram_quantile(0.4999, {metric})")
}

impl Prometheus {
    /// Scrapes `target` five times a second.
    pub fn start(target: &str, native_histograms: bool) -> Result<Self> {
        let config = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\n\
             scrape_configs: [{{job_name: goinstr, static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        let feature = native_histograms.then_some("--enable-feature=native-histograms");
        Self::run(Path::new("prometheus"), &config, feature.as_slice())
    }

    /// Scrapes nothing, and takes what is pushed to it by OTLP: an executable of version 3.
    pub fn receiver(executable: &Path) -> Result<Self> {
        Self::run(executable, "{}\n", &["--web.enable-otlp-receiver"])
    }

    /// Where OTLP is to be pushed to.
    pub fn otlp(&self) -> String {
        format!("http://{}/api/v1/otlp", self.address)
    }

    fn run(executable: &Path, config: &str, options: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config)?;
        let address = address::free()?.to_string();
        let child = Command::new(executable)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("can't run prometheus")?;
        Ok(Self {
            child,
            address,
            _folder: folder,
        })
    }

    /// Waits until it answers.
    pub fn wait_until_ready(&self) -> Result<()> {
        let deadline = Instant::now() + patience();
        while let Err(error) = http::get(&self.address, "/-/ready") {
            if Instant::now() > deadline {
                return Err(error.context("prometheus is not ready"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// The result of a query now.
    pub fn query(&self, query: &str) -> Result<Samples> {
        let path = format!("/api/v1/query?query={}", http::quoted(query));
        let answer: Value = serde_json::from_str(&http::get(&self.address, &path)?)?;
        let result = answer["data"]["result"].as_array().context("no result")?;
        let mut samples = Samples::new();
        for sample in result {
            let labels = sample["metric"].as_object().context("no labels")?;
            let labels = labels
                .iter()
                .filter(|(name, _)| !matches!(name.as_str(), "__name__" | "instance" | "job"))
                .map(|(name, value)| (name.clone(), value.as_str().unwrap_or("?").to_owned()));
            let value = sample["value"][1].as_str().context("no value")?;
            samples.insert(labels.collect(), value.parse()?);
        }
        Ok(samples)
    }

    /// Waits until a query has one value, and that is `expected`.
    pub fn wait_for(&self, query: &str, expected: f64) -> Result<()> {
        let deadline = Instant::now() + patience();
        loop {
            let found = self.query(query);
            if let Ok(samples) = &found
                && samples.len() == 1
                && samples.values().all(|&value| value == expected)
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{query} is {found:?}, should be {expected}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
