//! Which calls are slow: those whose durations are, as they are told, without what the probes took.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use goinstr::{
    attach::{Attached, Costs, EntryCosts, Scope, Settings},
    binary::GoBinary,
    event::{Event, Reader},
    plan::{Pattern, plan},
};
use goinstr_common::control::{PHASE_CLOSING, PHASE_RECORDING};

use crate::{
    Test,
    support::{
        build::Build,
        process::{Target, patience},
    },
    test,
};

/// The longest call that is not slow, and one ns: where a slot of the histograms begins.
const SLOW_NS: u64 = 1 << 17;
/// What is taken off each call, as if its probes had cost so much. `main.leaf` spins for 200 µs.
const TAKEN_OFF_NS: u32 = 150_000;
/// Room for every record.
const RING_BYTES: u32 = 1 << 20;

pub fn tests() -> Vec<Test> {
    vec![test(
        "slow::calls_are_slow_by_their_corrected_durations",
        corrected,
    )]
}

/// As many calls are told of as the histogram has slow ones, and it is of corrected durations.
fn corrected() -> Result<()> {
    let exe = Build::of("nesting").executable()?;
    let plan = plan(&GoBinary::open(&exe)?, &[Pattern::parse("main.leaf")?])?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let mut attached = Attached::arm(&plan, &exe, &settings(target.pid))?;
    let mut reader = Reader::new(attached.kernel.take_ring()?, 1, RING_BYTES);
    attached.kernel.set_phase(PHASE_RECORDING);
    target.go()?;
    let truth = target.truth()?;
    let calls = truth.functions["main.leaf"].calls;
    let deadline = Instant::now() + patience();
    while attached.kernel.totals(0).returned < calls {
        ensure!(Instant::now() < deadline, "not all calls were seen");
        std::thread::sleep(Duration::from_millis(10));
    }
    attached.kernel.set_phase(PHASE_CLOSING);
    let kernel = attached.disarm();
    let mut told = 0;
    let mut fast = None;
    while !reader
        .drain(Duration::MAX, |event| {
            if let Event::Call(call, _) = event {
                told += 1;
                fast = fast.or((call.duration_ns < SLOW_NS).then_some(call.duration_ns));
            }
        })
        .emptied
    {}
    target.release()?;
    let (mut slow, mut all) = (0, 0);
    for (lowest, _, calls) in kernel.histogram(0) {
        all += calls;
        if lowest >= SLOW_NS {
            slow += calls;
        }
    }
    ensure!(
        fast.is_none(),
        "a call of {fast:?} ns is told of as one of {SLOW_NS} or more"
    );
    ensure!(
        all == calls && told == slow,
        "of {calls} calls {all} are in the histogram, {slow} of them slow; {told} are told of"
    );
    let spun = kernel.totals(0).total_ns + calls * u64::from(TAKEN_OFF_NS);
    ensure!(
        told < calls && spun >= calls * SLOW_NS,
        "{told} of {calls} calls are told of, of {spun} ns in all: before the correction each was slow"
    );
    Ok(())
}

fn settings(pid: u32) -> Settings {
    let entry = EntryCosts {
        own_ns: TAKEN_OFF_NS,
        pair_ns: TAKEN_OFF_NS,
    };
    Settings {
        slower_than_ns: Some(SLOW_NS),
        ring_bytes: RING_BYTES,
        costs: Costs {
            emulated: entry,
            stepped: entry,
            exit_ns: 1,
        },
        ..Settings::of(Scope::Process {
            pid,
            kernel_pid: Some(pid),
        })
    }
}
