//! What goinstr is given to live in: memory, a clock.

use std::{env, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{Fault, Times};
use crate::{
    Test,
    support::{
        build::Build,
        case::Measured,
        cgroup::{Group, Limit},
        measurement::{Measurement, goinstr},
        process::Target,
        text,
    },
};

pub fn tests() -> Vec<Test> {
    vec![
        Fault {
            name: "sixty_four_megabytes_of_memory",
            what: "64 MB of memory for goinstr (control group)",
            times: Times::Once,
            result: "counts exact",
        }
        .test(little_memory)
        .unless(Limit::Memory.obstacle()),
        Fault {
            name: "a_full_ring_loses_calls_by_name",
            what: "the ring buffer overrun on purpose: every call goes through 64 KiB, and goinstr is stopped",
            times: Times::Once,
            result: "`ring_full`, every entry counted, the ledger balances",
        }
        .test(full_ring),
        Fault {
            name: "the_wall_clock_jumps",
            what: "the wall clock jumps by days while it is measured",
            times: Times::Once,
            result: "counts exact, no call longer than an hour",
        }
        .test(clock_jumps)
        .unless(
            env::var_os("GOINSTR_LIVE_CLOCK")
                .is_none()
                .then_some("it sets the clock, so only where GOINSTR_LIVE_CLOCK allows it"),
        ),
    ]
}

/// goinstr in a control group of its own.
fn little_memory() -> Result<()> {
    let group = Group::limited(Limit::Memory, "goinstr-test")?;
    let exe = Build::of("panics").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let within = group.command(goinstr());
    let measurement = Measurement::start_by(within, target.pid, &["--no-guard", "main.*"])?;
    target.go()?;
    Measured::finish(target, measurement, &exe)?.agree(&[])
}

/// What does not fit is `ring_full`, and the books balance.
fn full_ring() -> Result<()> {
    let exe = Build::of("panics").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let args = ["--aggregate", "ring", "--ring-size", "64", "main.*"];
    let measurement = Measurement::start(target.pid, &args)?;
    measurement.signal(Signal::STOP)?;
    target.go()?;
    let truth = target.truth()?;
    measurement.signal(Signal::CONT)?;
    let ledger = measurement.interrupt()?.ledger;
    text::wait_until_original(target.pid, &exe)?;
    target.release()?;
    let calls: u64 = truth.functions.values().map(|counts| counts.calls).sum();
    ensure!(ledger.entries == calls, "{calls} calls: {ledger:?}");
    let full = ledger.lost.get("ring_full").copied().unwrap_or(0);
    ensure!(full == ledger.lost_in_all(), "lost otherwise: {ledger:?}");
    ensure!(
        full > calls / 2,
        "64 KiB held {} of {calls} calls: {ledger:?}",
        calls - full
    );
    Ok(())
}

/// The wall clock is set a day ahead and back. Only where that harms nobody: in a virtual machine.
fn clock_jumps() -> Result<()> {
    const DAY: i64 = 24 * 60 * 60;
    let exe = Build::of("steady").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let measurement = Measurement::start(target.pid, &["main.*", "--slower-than", "10ms"])?;
    target.go()?;
    target.wait_for("progress")?;
    set_clock_by(DAY)?;
    thread::sleep(Duration::from_millis(500));
    set_clock_by(-2 * DAY)?;
    thread::sleep(Duration::from_millis(500));
    set_clock_by(DAY)?;
    target.go()?;
    let measured = Measured::finish(target, measurement, &exe)?;
    for function in &measured.report.functions {
        ensure!(
            function.max_ns.unwrap_or(0) < 60 * 60 * 1_000_000_000,
            "{function:?}"
        );
    }
    measured.agree(&[])
}

fn set_clock_by(seconds: i64) -> Result<()> {
    use rustix::time::{ClockId, clock_gettime, clock_settime};
    let mut now = clock_gettime(ClockId::Realtime);
    now.tv_sec += seconds;
    clock_settime(ClockId::Realtime, now).context("can't set the clock")
}
