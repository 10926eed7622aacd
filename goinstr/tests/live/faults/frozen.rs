//! Control groups that are frozen, as `docker pause` freezes a container's.

use std::{fs, thread, time::Duration};

use anyhow::Result;
use rustix::process::Signal;

use super::{Fault, Times, Watched, busy, signal, unharmed};
use crate::{
    Test,
    support::{
        build::Build,
        case::Measured,
        cgroup::{Group, Limit},
        measurement::{self, Measurement},
        process::Target,
        text,
    },
};

/// Longer than whoever is waited for is waited for.
const LONG: Duration = Duration::from_secs(12);

pub fn tests() -> Vec<Test> {
    vec![
        Fault {
            name: "target_frozen",
            what: "the target frozen (`docker pause`) while it is measured, and measured once more",
            times: Times::Once,
            result: "exit 0 both times, the text is the file's again while it is frozen; it goes on",
        }
        .test(target)
        .unless(Limit::Freezing.obstacle()),
        Fault {
            name: "goinstr_frozen",
            what: "goinstr frozen with all its processes for 12 s while it measures",
            times: Times::Once,
            result: "it goes on; counts exact; the text is the file's again",
        }
        .test(goinstr)
        .unless(Limit::Freezing.obstacle()),
    ]
}

fn target() -> Result<()> {
    let (target, exe) = busy(&[])?;
    let group = Group::limited(Limit::Freezing, "goinstr-frozen-target")?;
    fs::write(group.processes(), target.pid.to_string())?;
    let mut first = Watched::attaching(target.pid, &["main.*"])?;
    first.session()?;
    group.freeze()?;
    signal(&first.goinstr, Signal::INT)?;
    first.ends_well()?;
    text::wait_until_original(target.pid, &exe)?;
    // With the guard: the look before arming sees no call.
    let attach = super::attach(target.pid, &["--duration", "1s", "main.*"]);
    Watched::of(attach)?.ends_well()?;
    text::wait_until_original(target.pid, &exe)?;
    group.thaw()?;
    unharmed(target, &exe)
}

/// All its processes: none of them can do anything about the others.
fn goinstr() -> Result<()> {
    let group = Group::limited(Limit::Freezing, "goinstr-frozen")?;
    let exe = Build::of("panics").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let args = ["--max-overhead", "100", "main.*"];
    let measurement =
        Measurement::start_by(group.command(measurement::goinstr()), target.pid, &args)?;
    group.freeze()?;
    target.go()?;
    thread::sleep(LONG);
    group.thaw()?;
    Measured::finish(target, measurement, &exe)?.agree(&[])
}
