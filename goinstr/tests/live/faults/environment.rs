//! What goinstr is given to live in: memory, a clock.

use std::{env, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};

use super::{Fault, Times};
use crate::{
    Test,
    support::{
        build::Build,
        case::Measured,
        cgroup::{Group, Limit},
        measurement::{Measurement, goinstr},
        process::Target,
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
    let mut shell = Command::new("sh");
    shell
        .args(["-c", r#"echo $$ > "$0" && exec "$@""#])
        .arg(group.processes())
        .arg(goinstr());
    let measurement = Measurement::start_by(shell, target.pid, &["--no-guard", "main.*"])?;
    target.go()?;
    Measured::finish(target, measurement, &exe)?.agree(&[])
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
