//! Stacks that grow, move, shrink and run deep.

use anyhow::{Result, ensure};

use crate::{
    Test,
    support::{build::Build, case::Case},
    test,
};

pub fn tests() -> Vec<Test> {
    vec![
        test("stack::growth_in_the_middle_of_calls_counts_once", || {
            Case::of(Build::of("grow")).exact().map(drop)
        }),
        test("stack::growth_counts_once_unoptimised", || {
            Case::of(Build::of("grow").unoptimised())
                .args(&["4", "200"])
                .exact()
                .map(drop)
        }),
        test(
            "stack::growth_on_entry_to_fresh_goroutines_counts_once",
            || Case::of(Build::of("freshg")).exact().map(drop),
        ),
        test("stack::loops_to_the_first_byte_count_once", || {
            Case::of(Build::of("entryloop")).exact().map(drop)
        }),
        test(
            "stack::recursion_beyond_the_shadow_stack_is_lost_by_name",
            || recursion("return"),
        ),
        test(
            "stack::a_panic_from_ten_thousand_levels_unwinds_all",
            || recursion("panic"),
        ),
        test("stack::goexit_from_ten_thousand_levels_unwinds_all", || {
            recursion("goexit")
        }),
    ]
}

/// 10,000 levels: what is beyond the shadow stack is `stack_full`, the rest is exact, and what
/// comes after the recursion too.
fn recursion(bottom: &str) -> Result<()> {
    let measured = Case::of(Build::of("deep"))
        .args(&["10000", "3", bottom])
        .may_lose()
        .run()?;
    let (report, truth) = (&measured.report, &measured.truth);
    let counts = report.counts();
    for name in ["main.main.func1", "main.outer", "main.shallow"] {
        ensure!(
            counts.get(name) == truth.functions.get(name),
            "{name}: {:?}, true {:?}",
            counts.get(name),
            truth.functions.get(name)
        );
    }
    let lost = report.ledger.lost.get("stack_full").copied().unwrap_or(0);
    ensure!(
        lost == report.ledger.lost_in_all(),
        "lost otherwise: {:?}",
        report.ledger
    );
    // Deferred functions run deeper than what they are to undo: beyond the shadow stack too.
    let both = |of: &dyn Fn(&str) -> u64| of("main.down") + of("main.ignore");
    let followed = both(&|name| counts[name].calls);
    let made = both(&|name| truth.functions[name].calls);
    let down = counts["main.down"];
    let unwound = if bottom == "return" { 0 } else { down.calls };
    ensure!(
        followed + lost == made && down.in_flight == 0 && down.unwound == unwound,
        "main.down: {down:?}; {followed} calls followed and {lost} lost of {made}"
    );
    let recursions = truth.functions["main.outer"].calls;
    ensure!(
        down.calls >= 100 * recursions && lost >= 5_000 * recursions,
        "of 10,001 levels {} were followed",
        down.calls / recursions
    );
    Ok(())
}
