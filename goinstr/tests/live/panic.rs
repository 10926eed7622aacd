//! Frames that are left without a return.

use anyhow::{Result, ensure};

use crate::{
    Test,
    support::{build::Build, case::Case, measurement::Measurement, process::Target},
    test,
};

pub fn tests() -> Vec<Test> {
    vec![
        test("panic::recovered_at_every_depth", || {
            Case::of(Build::of("panics")).exact().map(drop)
        }),
        test("panic::recovered_at_every_depth_unoptimised", || {
            Case::of(Build::of("panics").unoptimised())
                .exact()
                .map(drop)
        }),
        test("panic::only_the_abandoned_function_is_measured", || {
            only(&["main.mid"])
        }),
        test("panic::only_the_recursive_function_is_measured", || {
            only(&["main.deep"])
        }),
        test("panic::only_deferred_functions_are_measured", || {
            only(&["main.deferredRecover", "main.cleanup", "main.*.func1"])
        }),
        test("panic::goexit_ends_all_frames_and_g_is_used_again", || {
            Case::of(Build::of("goexit")).exact().map(drop)
        }),
        test("panic::goexit_unoptimised", || {
            Case::of(Build::of("goexit").unoptimised())
                .exact()
                .map(drop)
        }),
        test(
            "panic::a_goexit_is_not_left_by_a_recovery_further_out",
            || {
                let endless = ["main.park", "main.raise", "main.leave"];
                Case::of(Build::of("overtaken"))
                    .may_skip(&endless)
                    .exact()
                    .map(drop)
            },
        ),
        test("panic::kills_the_process_with_calls_open", fatal),
    ]
}

/// The counts of some functions of the panicking target are right with no other one measured:
/// what abandons them must not be learnt from their callers.
fn only(patterns: &[&str]) -> Result<()> {
    let mut measured = Case::of(Build::of("panics")).patterns(patterns).run()?;
    let counts = measured.report.counts();
    ensure!(!counts.is_empty(), "nothing was measured");
    measured
        .truth
        .functions
        .retain(|name, _| counts.contains_key(name));
    measured.agree(&[])
}

fn fatal() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let mut target = Target::start(&exe, &["panic"])?;
    let measurement = Measurement::start(target.pid, &["main.*"])?;
    target.go()?;
    target.wait_for("progress")?;
    target.go()?;
    let truth = target.truth()?;
    let status = target.exit()?;
    ensure!(
        status.code() == Some(2),
        "a Go panic exits 2, this one {status}"
    );
    let report = measurement.finish()?;
    ensure!(
        report.ledger.end == "target_exit",
        "ended by {}",
        report.ledger.end
    );
    crate::support::case::Measured { report, truth }.agree(&[])
}
