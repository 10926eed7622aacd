//! What is run in a guest: a smaller form of the live tests, with the names that they have there.

use super::{guest::MARK, machine::Kernel};

/// The live tests that a guest runs. Left out are those that need a Go toolchain or a C compiler
/// there or compare times, and most others: to load the kernel program takes the verifier up to a
/// minute under emulation. `--whole` and `--test` run these too.
pub const TESTS: [&str; 16] = [
    "panic::recovered_at_every_depth",
    "stack::growth_in_the_middle_of_calls_counts_once",
    "lifetime::children_of_the_target_are_not_counted",
    "lifetime::goinstr_is_killed_and_the_target_goes_on",
    "goroutine::threads_and_migration_gomaxprocs_2",
    "modes::grow_armed_by_perf_events",
    "open::before_attaching_are_orphan_returns",
    "nesting::exclusive_times_add_up",
    "counting::grow_is_exact",
    "counting::callers_are_exact",
    "states::of_single_calls",
    "conditions::keep_back_what_has_no_such_value",
    "returning::grow_by_the_program",
    "returning::goexit_by_the_program",
    "faults::the_wall_clock_jumps",
    "doctor::a_live_process_passes_every_check",
];

/// The Go programs that these measure: `testdata/targets/NAME`.
pub const TARGETS: [&str; 12] = [
    "callers",
    "goexit",
    "grow",
    "ifacewrap",
    "nesting",
    "openbefore",
    "panics",
    "signals",
    "states",
    "steady",
    "threads",
    "values",
];

/// Those of them that are needed unoptimised too.
pub const UNOPTIMISED: [&str; 1] = ["panics"];

/// Which live tests.
pub enum Tests {
    /// Those whose names begin like that.
    Named(Vec<String>),
    /// All, but for those whose programs the tests make themselves, and those that kill goinstr while it arms thousands
    /// of sites and disarms them, which takes minutes under emulation.
    Whole,
}

/// How each Go program is built for `--whole` and `--test`: what its file's name ends with, as the live tests call it, and the flags.
pub const FORMS: [(&str, &[&str]); 3] = [
    ("", &[]),
    ("-gcflagsall-N-l", &["-gcflags=all=-N -l"]),
    ("-ldflags-s-w", &["-ldflags=-s -w"]),
];

/// Shell: what a guest with this kernel has to do.
pub fn script(kernel: Kernel, tests: &Tests) -> String {
    match kernel.too_old() {
        true => refusal(),
        false => run(tests),
    }
}

/// One measurement that is looked at from outside, then every test, one after the other.
fn run(tests: &Tests) -> String {
    let mut script = String::from(
        r#"
(echo go; sleep 3000) | /targets/steady-* >/tmp/steady &
sleep 1
goinstr attach --pid $! --no-guard --output json --duration 1s 'main.*' >/tmp/out 2>/tmp/error
cat /tmp/error
grep -E '"type":"(session|ledger)"' /tmp/out
steady=$!
"#,
    );
    // What a return costs as it is calibrated; where the program can't make it, nothing is said. Once: the
    // verifier takes a minute and more of each on the newest kernel.
    script.push_str(&format!(
        r#"
for by in kernel program; do
    goinstr attach --pid $steady --no-guard --ret-by $by --output json --duration 100ms main.work >/tmp/out 2>/dev/null
    sed -n "s/.*\"exit_ns\":\([0-9]*\).*/{MARK} return $by \1/p" /tmp/out
done
kill $steady
"#
    ));
    // The kernel's verifier takes its time under emulation; the first measurement above calibrated.
    script.push_str("export GOINSTR_LIVE_OPTIONS=--raw GOINSTR_LIVE_PATIENCE=600\n");
    // The guest's clock is nobody else's.
    script.push_str("export GOINSTR_LIVE_CLOCK=1\n");
    // What the kernel has to say of it, which else nobody sees: who was killed by which signal is in it.
    let live = "live --color never --test-threads 1 ";
    let told = " || dmesg | tail -n 40\n";
    match tests {
        Tests::Named(names) => {
            script.extend(names.iter().map(|name| format!("{live}{name}{told}")));
        }
        // By groups, so that what failed is told before the next.
        Tests::Whole => script.push_str(&format!(
            "for group in $(live --list 2>/dev/null | cut -d: -f1 | sort -u); do\n\
             {live}$group:: --skip random:: --skip soak --skip _while_it_{told}done\n"
        )),
    }
    script
}

/// Attaching where the kernel is too old for it.
fn refusal() -> String {
    format!(
        r#"
(echo go; sleep 3000) | /targets/steady-* >/tmp/steady &
sleep 1
goinstr attach --pid $! --no-guard --duration 1s 'main.*' >/tmp/out 2>/tmp/error
echo "{MARK} refused with $? in $(wc -l </tmp/error) lines"
sed 's/^/{MARK} said /' /tmp/error
kill $!
"#
    )
}
