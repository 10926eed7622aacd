//! A load that goes on: millions of calls, a balanced ledger, and goinstr's memory as it was.
//!
//! Ten seconds in an ordinary run, `GOINSTR_SOAK` seconds where it is set.

use std::{env, fs};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Test,
    support::{build::Build, case::Measured, measurement::Measurement, process::Target},
    test,
};

/// KiB that goinstr may grow by after its first seconds: what an allocator moves about.
const GROWTH_KIB: u64 = 2048;

pub fn tests() -> Vec<Test> {
    vec![test("soak::counts_stay_exact_and_memory_stays", soak)]
}

fn soak() -> Result<()> {
    let seconds: u64 = env::var("GOINSTR_SOAK").map_or(Ok(10), |text| text.parse())?;
    let exe = Build::of("steady").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let args = ["main.*", "--interval", "500ms"];
    let mut measurement = Measurement::start(target.pid, &args)?;
    target.go()?;
    target.wait_for("progress")?;
    // The first tables and buffers are there after a few intervals.
    let settled = 6.min(seconds);
    measurement.wait_for(&format!(r#""interval":{settled},"#))?;
    let before = resident_kib(measurement.pid())?;
    measurement.wait_for(&format!(r#""interval":{},"#, 2 * seconds))?;
    let after = resident_kib(measurement.pid())?;
    target.go()?;
    let truth = target.truth()?;
    let report = measurement.interrupt()?;
    target.release()?;
    ensure!(
        after <= before + GROWTH_KIB,
        "goinstr grew from {before} KiB to {after} KiB in {seconds} s"
    );
    let calls = report.function("main.work")?.calls;
    ensure!(calls > 1000, "no load: {calls} calls in {seconds} s");
    Measured { report, truth }.agree(&[])
}

fn resident_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.parse().ok())
        .context("no VmRSS in /proc/PID/status")
}
