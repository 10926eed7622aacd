//! Code that is not quite a Go function: C, wrappers, loop bodies, instructions that can't be
//! probed.

use anyhow::{Result, ensure};

use crate::{
    Test,
    support::{build::Build, case::Case, coverage::Covering, process::Target, toolchain},
    test,
};

pub fn tests() -> Vec<Test> {
    let mut tests = vec![
        test("foreign::c_calls_go_and_a_panic_unwinds_c", || {
            Case::of(Build::of("cgo").cgo()).exact().map(drop)
        })
        .needing_c(),
        test(
            "foreign::tail_calling_wrappers_leave_nothing_open",
            wrappers,
        ),
    ];
    if cfg!(target_arch = "x86_64") {
        tests.push(test(
            "foreign::an_exchange_that_the_kernel_takes_for_a_nop_is_left_alone",
            exchange,
        ));
    }
    if toolchain::usual().is_some_and(|go| go.at_least(23)) {
        tests.push(test("foreign::loop_bodies_and_coroutines", || {
            Case::of(Build::of("iterators")).exact().map(drop)
        }));
    }
    if cfg!(target_arch = "x86_64") && toolchain::usual().is_some_and(|go| go.at_least(23)) {
        tests.push(test("foreign::locked_first_instruction_is_skipped", locked));
    }
    tests
}

/// A wrapper that jumps away is skipped, with its reason; or closed by the return of what it
/// jumped to. What it jumped to is exact, and nothing stays open.
fn wrappers() -> Result<()> {
    let measured = Case::of(Build::of("ifacewrap")).exact()?;
    let ledger = &measured.report.ledger;
    ensure!(
        ledger.in_flight == 0 && ledger.orphan_returns == 0,
        "{ledger:?}"
    );
    for (name, reason) in &measured.report.skipped {
        ensure!(reason == "tail_call", "{name} was skipped as {reason}");
    }
    Ok(())
}

fn locked() -> Result<()> {
    let measured = Case::of(Build::of("lockentry"))
        .may_skip(&["main.orMask"])
        .exact()?;
    ensure!(
        measured.report.skipped.contains_key("main.orMask"),
        "main.orMask begins with a LOCK prefix and was not skipped: {:?}",
        measured.report.skipped
    );
    Ok(())
}

/// The target ends with a panic if the exchange is left out.
fn exchange() -> Result<()> {
    let case = Case::of(Build::of("exchange"));
    case.may_skip(&["main.check"]).exact()?;
    // Coverage puts its probes elsewhere.
    let mut target = Target::start(&Build::of("exchange").executable()?, &[] as &[&str])?;
    let pid = target.pid.to_string();
    let covering = Covering::start(&["--pid", &pid, "main.*", "--lines"])?;
    target.go()?;
    target.wait_for(r#""type":"done""#)?;
    let report = covering.interrupt()?;
    target.release()?;
    ensure!(
        report.covered().contains("main.exchange"),
        "{:?}",
        report.functions
    );
    Ok(())
}
