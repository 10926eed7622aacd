//! What goinstr is given to live in: memory, a clock.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use super::{Fault, Times};
use crate::{
    Test,
    support::{
        build::Build,
        case::Measured,
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
        .unless(no_memory_control()),
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

/// Why no control group can be made that limits memory.
fn no_memory_control() -> Option<&'static str> {
    match limited_group("goinstr-probe") {
        Some(group) => {
            let _ = fs::remove_dir(group);
            None
        }
        None => Some("no control group can limit memory here"),
    }
}

/// Makes a control group of 64 MB of memory.
fn limited_group(name: &str) -> Option<PathBuf> {
    const LIMIT: &str = "67108864";
    // Version 1 of control groups and version 2, where they are usually mounted.
    let places = [
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        ("/sys/fs/cgroup", "memory.max"),
    ];
    places.iter().find_map(|(root, file)| {
        let group = Path::new(root).join(format!("{name}-{}", std::process::id()));
        // Only where memory is controlled does the new group have the file.
        fs::create_dir(&group).ok()?;
        match fs::write(group.join(file), LIMIT) {
            Ok(()) => Some(group),
            Err(_) => {
                let _ = fs::remove_dir(&group);
                None
            }
        }
    })
}

/// goinstr in a control group of its own.
fn little_memory() -> Result<()> {
    let group = limited_group("goinstr-test").context("no control group, though there was one")?;
    let measured = within(&group);
    let deadline = Instant::now() + Duration::from_secs(20);
    while fs::remove_dir(&group).is_err() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(50));
    }
    measured
}

fn within(group: &Path) -> Result<()> {
    let exe = Build::of("panics").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let mut shell = Command::new("sh");
    shell
        .args(["-c", r#"echo $$ > "$0/cgroup.procs" && exec "$@""#])
        .arg(group)
        .arg(goinstr());
    let measurement = Measurement::start_by(shell, target.pid, &["--no-guard", "main.*"])?;
    target.go()?;
    let truth = target.truth()?;
    let report = measurement.interrupt()?;
    text::wait_until_original(target.pid, &exe)?;
    target.release()?;
    Measured { report, truth }.agree(&[])
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
    let truth = target.truth()?;
    let report = measurement.interrupt()?;
    text::wait_until_original(target.pid, &exe)?;
    target.release()?;
    for function in &report.functions {
        ensure!(
            function.max_ns.unwrap_or(0) < 60 * 60 * 1_000_000_000,
            "{function:?}"
        );
    }
    Measured { report, truth }.agree(&[])
}

fn set_clock_by(seconds: i64) -> Result<()> {
    use rustix::time::{ClockId, clock_gettime, clock_settime};
    let mut now = clock_gettime(ClockId::Realtime);
    now.tv_sec += seconds;
    clock_settime(ClockId::Realtime, now).context("can't set the clock")
}
