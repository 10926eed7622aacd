//! Code that is not quite a Go function: C, wrappers, loop bodies, instructions that can't be
//! probed.

use anyhow::{Result, ensure};

use crate::{
    Test,
    support::{build::Build, case::Case, toolchain},
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
    if toolchain::usual().is_some_and(|go| go.at_least(23)) {
        tests.push(test("foreign::loop_bodies_and_coroutines", || {
            Case::of(Build::of("iterators")).exact().map(drop)
        }));
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
