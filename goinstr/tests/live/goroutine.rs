//! Goroutines: many, moving, locked, interrupted.

use anyhow::{Result, ensure};

use crate::{
    Test,
    support::{
        build::Build,
        case::{Case, Measured},
    },
    test,
};

/// What `manyg` counts: its births are not of interest.
const LIFE: [&str; 3] = ["main.life", "main.hold", "main.step"];

pub fn tests() -> Vec<Test> {
    let mut tests = vec![
        test(
            "goroutine::a_hundred_thousand_alive_before_attaching",
            || {
                Case::of(Build::of("manyg"))
                    .args(&["100000", "before"])
                    .patterns(&LIFE)
                    .exact()
                    .map(drop)
            },
        ),
        test(
            "goroutine::a_hundred_thousand_born_while_measured",
            born_while_measured,
        ),
        test("goroutine::signals_and_preemption", || {
            Case::of(Build::of("signals")).exact().map(drop)
        }),
        test(
            "goroutine::cooperative_preemption_at_the_stack_check",
            || {
                Case::of(Build::of("signals"))
                    .env("GODEBUG", "asyncpreemptoff=1")
                    .exact()
                    .map(drop)
            },
        ),
        test("goroutine::stacks_that_shrink_and_assembly", || {
            Case::of(Build::of("ctx")).exact().map(drop)
        }),
        test(
            "goroutine::runtime_code_on_system_stacks_balances",
            system_stacks,
        ),
    ];
    for procs in ["1", "2", "16"] {
        tests.push(test(
            format!("goroutine::threads_and_migration_gomaxprocs_{procs}"),
            move || {
                Case::of(Build::of("threads"))
                    .args(&[procs])
                    .exact()
                    .map(drop)
            },
        ));
    }
    tests
}

fn born_while_measured() -> Result<()> {
    let measured = born("100000")?;
    if measured.report.ledger.lost_in_all() == 0 {
        measured.agree(&[])?;
    }
    Ok(())
}

/// So many, while they are measured. No one can size a table for goroutines to come: what does not fit is
/// counted, nothing else is wrong.
pub fn born(goroutines: &str) -> Result<Measured> {
    let measured = Case::of(Build::of("manyg"))
        .args(&[goroutines, "after"])
        .patterns(&LIFE)
        .may_lose()
        .run()?;
    let ledger = &measured.report.ledger;
    ensure!(
        ledger.lost_in_all() == ledger.lost.get("table_full").copied().unwrap_or(0),
        "lost for another reason: {ledger:?}"
    );
    let truth: u64 = measured
        .truth
        .functions
        .values()
        .map(|counts| counts.calls)
        .sum();
    ensure!(ledger.entries == truth, "{truth} calls, {ledger:?}");
    ensure!(ledger.unwound == 0 && ledger.in_flight == 0, "{ledger:?}");
    Ok(measured)
}

/// Functions of the runtime run on g0 and on signal stacks too. Nobody else counts them; the books
/// must balance, and the program's own counts stay exact beside them.
fn system_stacks() -> Result<()> {
    let mut measured = Case::of(Build::of("ctx"))
        .patterns(&[
            "main.*",
            "runtime.gcDrain*",
            "runtime.scanstack",
            "runtime.copystack",
            "runtime.sighandler",
            "runtime.findRunnable",
        ])
        .may_skip(&[])
        .may_lose()
        .run()?;
    let counts = measured.report.counts();
    let runtime: u64 = counts
        .iter()
        .filter(|(name, _)| name.starts_with("runtime."))
        .map(|(_, counts)| counts.calls)
        .sum();
    ensure!(runtime > 0, "no call in the runtime was counted");
    measured.truth.uncounted.extend(
        counts
            .into_keys()
            .filter(|name| name.starts_with("runtime.")),
    );
    measured.agree(&[])
}
