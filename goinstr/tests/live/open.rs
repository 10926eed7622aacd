//! Calls that are open when the probes go in or come out.

use anyhow::{Result, ensure};

use crate::{
    Test,
    support::{build::Build, case::Case},
    test,
};

pub fn tests() -> Vec<Test> {
    vec![
        test(
            "open::functions_without_return_are_in_flight_or_skipped",
            no_return,
        ),
        test("open::before_attaching_are_orphan_returns", before),
    ]
}

fn no_return() -> Result<()> {
    // park and forever have no RET; what calls them has one after them or none.
    let endless = ["main.forever", "main.park", "main.caller"];
    let measured = Case::of(Build::of("noreturn")).may_skip(&endless).exact()?;
    for (name, reason) in &measured.report.skipped {
        ensure!(reason == "no_return", "{name} was skipped as {reason}");
    }
    Ok(())
}

fn before() -> Result<()> {
    let measured = Case::of(Build::of("openbefore"))
        .patterns(&["main.outer", "main.hold", "main.step"])
        .exact()?;
    let orphans = measured.truth.number("orphans", "returns")?;
    ensure!(
        measured.report.ledger.orphan_returns == orphans,
        "{orphans} calls were open before: {:?}",
        measured.report.ledger
    );
    Ok(())
}
