//! The budget of `goinstr trace`: what would break it is left out or shed and told in every format, and the
//! others' calls are all shown, once.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Test,
    budget::{HOT, OTHERS, go_on, is_shed, loud_in_turn, patterns, shed},
    support::{
        build::Build,
        lines::Lines,
        measurement::{self, Measurement},
        process::{Target, patience},
        report::Report,
        text,
        truth::Truth,
    },
    test,
};

/// A tenth of a CPU: a loud function of the targets takes several times that, the others a fraction.
const TENTH: [&str; 2] = ["--max-overhead", "10"];

pub fn tests() -> Vec<Test> {
    vec![
        test("trace_budget::roots_stay_the_same_functions", roots),
        test(
            "trace_budget::nothing_left_to_begin_a_tree_with_is_code_3",
            no_roots,
        ),
        test("trace_budget::what_is_shed_is_told_in_json", || json(&[])),
        test("trace_budget::what_is_shed_is_told_in_trees", || {
            // Any cut makes trees of the calls.
            json(&["--depth", "64"])
        }),
        test(
            "trace_budget::what_is_shed_is_told_with_all_there_is",
            || {
                // Stacks and values of a call each few microseconds, until it is shed.
                json(&["--states", "--stack", "--args", "--ring-size", "131072"])
            },
        ),
        test("trace_budget::what_is_shed_is_told_for_people", || {
            written(&Form::TEXT)
        }),
        test("trace_budget::what_is_shed_is_told_in_logs", || {
            written(&Form::LOGFMT)
        }),
        test(
            "trace_budget::calls_in_a_call_that_was_shed_are_shown",
            held,
        ),
        test("trace_budget::without_roots_it_ends", held_root),
        test("trace_budget::without_guard_all_is_traced", unguarded),
        test("trace_budget::entries_are_looked_at_before", entries_before),
        test("trace_budget::entries_that_become_loud_end_it", entries),
    ]
}

/// With the guard, in JSON.
fn traced(target: &Target, options: &[&str], patterns: &[&str]) -> Result<Measurement> {
    let args = [&TENTH, options, patterns].concat();
    Measurement::start_guarded("trace", target.pid, &args)
}

fn spurt() -> Result<(std::path::PathBuf, Target)> {
    let exe = Build::of("spurt").executable()?;
    let target = Target::start(&exe, &[""; 0])?;
    Ok((exe, target))
}

/// Calls shown by function, each of them once, and as many as there were.
fn shown(report: &Report) -> Result<BTreeMap<&str, u64>> {
    let mut seen = BTreeSet::new();
    let mut lines: BTreeMap<&str, u64> = BTreeMap::new();
    for call in &report.calls {
        let which = (&call.function, call.goid, call.start_unix_ns, call.depth);
        ensure!(seen.insert(which), "shown twice: {call:?}");
        *lines.entry(&call.function).or_default() += 1;
    }
    let missed = report.ledger.dropped_records;
    ensure!(missed == Some(0), "{missed:?} are missing");
    Ok(lines)
}

/// Calls of the functions that stayed, as they were shown: all that there were.
fn all_others(truth: &Truth, shown: impl Fn(&str) -> u64) -> Result<()> {
    for name in OTHERS {
        let calls = truth.functions.get(name).context("no truth")?.calls;
        let seen = shown(name);
        ensure!(seen == calls, "{name}: {seen} shown of {calls}");
    }
    Ok(())
}

/// What is loud already is left out, and the functions behind it in the plan are taken for themselves.
fn roots() -> Result<()> {
    let (exe, mut target) = spurt()?;
    target.go()?;
    target.go()?;
    let patterns = ["main.hot1", "main.hot5", "main.outer", "main.inner"];
    let measurement = traced(&target, &["--root", "main.outer"], &patterns)?;
    go_on();
    for _ in 0..5 {
        target.go()?;
    }
    target.truth()?;
    let report = measurement.interrupt()?;
    text::wait_until_original(target.pid, &exe)?;
    target.release()?;
    let reason = report.skipped.get("main.hot1").map(String::as_str);
    ensure!(reason == Some("over_budget"), "{:?}", report.skipped);
    ensure!(report.function("main.hot1").is_err(), "it was measured");
    let lines = shown(&report)?;
    let of = |name: &str| lines.get(name).copied().unwrap_or(0);
    let calls = report.function("main.outer")?.calls;
    ensure!(
        calls > 0 && of("main.outer") == calls,
        "{} of {calls}",
        of("main.outer")
    );
    // Each is in a call of outer, of which some were open when the first probe was in place.
    let hot = report.function("main.hot5")?;
    ensure!(of("main.hot5") > 0, "{lines:?}");
    if hot.shed_at_unix_ns.is_none() {
        ensure!(
            of("main.hot5") + 3 * 1_200 >= hot.calls,
            "{lines:?} {hot:?}"
        );
    }
    for call in &report.calls {
        let begins = call.function == "main.outer";
        ensure!(begins == (call.depth == 0), "{call:?}");
    }
    Ok(())
}

/// Runs `goinstr trace` on a process to its end.
fn output(target: &Target, args: &[&str]) -> Result<Output> {
    let pid = target.pid.to_string();
    let goinstr = Command::new(measurement::goinstr())
        .args(["trace", "--pid", &pid])
        .args(args)
        .output()?;
    Ok(goinstr)
}

fn no_roots() -> Result<()> {
    let (_, mut target) = spurt()?;
    target.go()?;
    target.go()?;
    let args = ["--max-overhead", "1", "--root", "main.hot1"];
    let args = [&args[..], &["main.hot1", "main.inner"]].concat();
    let output = output(&target, &args)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(3), "{}: {said}", output.status);
    ensure!(
        said.lines().count() == 1
            && ["roots", "main.hot1", "calls/s"]
                .iter()
                .all(|part| said.contains(part)),
        "{said}"
    );
    ensure!(output.stdout.is_empty(), "there was something to show");
    Ok(())
}

/// Each hot function in turn becomes loud and is shed.
fn json(options: &[&str]) -> Result<()> {
    let (exe, target) = spurt()?;
    let measurement = traced(&target, options, &patterns())?;
    let (truth, report) = loud_in_turn(&exe, target, measurement)?;
    let lines = shown(&report)?;
    let of = |name: &str| lines.get(name).copied().unwrap_or(0);
    for name in HOT {
        is_shed(&report, &truth, name)?;
        let calls = report.function(name)?.calls;
        ensure!(of(name) == calls, "{name}: {} of {calls}", of(name));
    }
    let lost = report.ledger.lost["shed"];
    ensure!(lost == report.ledger.lost_in_all(), "{:?}", report.ledger);
    for name in OTHERS {
        let calls = report.function(name)?.calls;
        ensure!(calls == truth.functions[name].calls, "{name}: {calls}");
    }
    all_others(&truth, of)
}

/// A trace whose lines are for people or for logs.
struct Trace {
    child: Child,
    lines: Lines,
    errors: Lines,
}

impl Trace {
    fn start(target: &Target, args: &[&str]) -> Result<Self> {
        let mut child = Command::new(measurement::goinstr())
            .args(["trace", "--pid", &target.pid.to_string()])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let lines = Lines::of("goinstr", child.stdout.take().context("no stdout")?);
        let errors = Lines::of("its stderr", child.stderr.take().context("no stderr")?);
        let trace = Self {
            child,
            lines,
            errors,
        };
        Ok(trace)
    }

    fn wait_for(&mut self, part: &str) -> Result<String> {
        self.lines
            .wait_for(part, patience(), |line| line.contains(part))
    }

    /// Ends it as Ctrl-C does.
    fn interrupt(&mut self) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?).context("no pid")?;
        kill_process(pid, Signal::INT)?;
        self.lines.wait_for_end(patience())?;
        let status = self.child.wait()?;
        self.errors.wait_for_end(patience())?;
        ensure!(status.success(), "{status}: {}", self.errors.tail());
        Ok(())
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A format whose lines are not JSON.
struct Form {
    name: &'static str,
    /// What stands before the name of a function that is shed, and behind it.
    shed: (&'static str, &'static str),
    /// The function of a finished call's line.
    function: fn(&str) -> Option<&str>,
}

impl Form {
    const TEXT: Self = Self {
        name: "table",
        shed: ("over budget: ", " is no longer measured, after "),
        // The time, the goroutine, how long it took in all and by itself, the call.
        function: |line| {
            let mut words = line.split_whitespace();
            let finished = words.next()?.ends_with('Z')
                && words.next()?.starts_with('g')
                && words.next()?.ends_with('s')
                && words.next()?.ends_with('s');
            words.next().filter(|_| finished)
        },
    };
    const LOGFMT: Self = Self {
        name: "logfmt",
        shed: ("skipped=", " reason=over_budget calls_per_second="),
        function: |line| {
            line.split_whitespace()
                .find_map(|pair| pair.strip_prefix("function="))
        },
    };

    /// The line that tells that a function was shed.
    fn shed_line(&self, function: &str) -> String {
        format!("{}{function}{}", self.shed.0, self.shed.1)
    }

    fn calls(&self, lines: &[String]) -> BTreeMap<String, u64> {
        let mut calls = BTreeMap::new();
        for function in lines.iter().filter_map(|line| (self.function)(line)) {
            *calls.entry(function.to_owned()).or_default() += 1;
        }
        calls
    }
}

fn written(form: &Form) -> Result<()> {
    let (exe, mut target) = spurt()?;
    let args = [&TENTH, &["-v", "--output", form.name][..], &patterns()].concat();
    let mut trace = Trace::start(&target, &args)?;
    // What it writes need not say so.
    trace.errors.wait_for("the probes", patience(), |line| {
        line.contains("the probes are in place")
    })?;
    target.go()?;
    for name in HOT {
        target.go()?;
        trace.wait_for(&form.shed_line(name))?;
    }
    go_on();
    target.go()?;
    let truth = target.truth()?;
    trace.interrupt()?;
    text::wait_until_original(target.pid, &exe)?;
    target.release()?;
    let calls = form.calls(&trace.lines.seen);
    all_others(&truth, |name| calls.get(name).copied().unwrap_or(0))
}

/// A call of the function that is shed is open all the time: the calls in it go on being shown.
fn held() -> Result<()> {
    let exe = Build::of("heldroot").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let args = [&TENTH[..], &["main.root", "main.child"]].concat();
    let mut trace = Trace::start(&target, &args)?;
    trace.wait_for("time ")?;
    target.go()?;
    // After a while they are shown under the call that has not returned.
    trace.wait_for("    main.child")?;
    target.go()?;
    trace.wait_for(&Form::TEXT.shed_line("main.root"))?;
    let shed_at = trace.lines.seen.len();
    let outermost = |line: &str| line.contains("s  main.child");
    for _ in 0..3 {
        trace.lines.wait_for("a child", patience(), outermost)?;
    }
    target.go()?;
    let truth = target.truth()?;
    trace.interrupt()?;
    text::wait_until_original(target.pid, &exe)?;
    target.release()?;
    let calls = Form::TEXT.calls(&trace.lines.seen);
    let child = truth.functions.get("main.child").context("no truth")?.calls;
    ensure!(
        calls.get("main.child") == Some(&child),
        "{child}: {calls:?}"
    );
    let open = |line: &&String| line.contains("open") && line.ends_with("main.root");
    let after = trace.lines.seen.get(shed_at..).unwrap_or_default();
    ensure!(
        after.iter().find(open).is_none(),
        "a call that will not be told of is shown as open"
    );
    Ok(())
}

/// The same where only what it calls is to be shown: what it had called is, and then there is nothing more.
fn held_root() -> Result<()> {
    let exe = Build::of("heldroot").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let root = ["--root", "main.root"];
    let measurement = traced(&target, &root, &["main.root", "main.child"])?;
    target.go()?;
    // So many calls that none of them waits for its root any more, and some that do.
    std::thread::sleep(Duration::from_secs(1));
    target.go()?;
    let report = measurement.finish()?;
    text::wait_until_original(target.pid, &exe)?;
    let reason = report.skipped.get("main.root").map(String::as_str);
    ensure!(reason == Some("over_budget"), "{:?}", report.skipped);
    let lines = shown(&report)?;
    let of = |name: &str| lines.get(name).copied().unwrap_or(0);
    let in_root = of("main.child");
    let all = report.function("main.child")?.calls;
    ensure!(0 < in_root && in_root <= all, "{in_root} of {all}");
    ensure!(
        of("main.root") == report.function("main.root")?.calls,
        "{lines:?}"
    );
    target.go()?;
    target.truth()?;
    target.release()
}

fn unguarded() -> Result<()> {
    let (_, mut target) = spurt()?;
    let args = [&["--no-guard", "--ring-size", "131072"][..], &patterns()].concat();
    let measurement = Measurement::start_guarded("trace", target.pid, &args)?;
    target.go()?;
    target.go()?;
    go_on();
    for _ in 0..5 {
        target.go()?;
    }
    let truth = target.truth()?;
    let report = measurement.interrupt()?;
    target.release()?;
    ensure!(!report.skipped.contains_key("main.hot1"), "it was shed");
    let calls = report.calls.len() as u64 + report.ledger.dropped_records.unwrap_or(0);
    let all: u64 = truth.functions.values().map(|counts| counts.calls).sum();
    ensure!(calls == all, "{calls} shown or missed of {all}");
    Ok(())
}

/// By entries alone a call costs a fraction, so a fraction of the budget is too much for the loud one.
const ENTRIES: [&str; 3] = ["--entries", "--max-overhead", "0.2"];

fn entries_before() -> Result<()> {
    let (_, mut target) = spurt()?;
    target.go()?;
    target.go()?;
    let args = [&ENTRIES[..], &["main.hot1", "main.hot5"]].concat();
    let mut measurement = Measurement::start_guarded("trace", target.pid, &args)?;
    measurement.wait_for(r#""function":"main.hot5""#)?;
    let counted = measurement.interrupt_count()?;
    ensure!(counted.session["functions"] == 1, "{}", counted.session);
    let loud = counted
        .skipped
        .iter()
        .find(|line| line["function"] == "main.hot1");
    let loud = loud.context("it is not told as skipped")?;
    ensure!(loud["reason"] == "over_budget", "{loud}");
    Ok(())
}

fn entries() -> Result<()> {
    let (exe, mut target) = spurt()?;
    let args = [&ENTRIES[..], &["main.hot1", "main.outer"]].concat();
    let mut measurement = Measurement::start_guarded("trace", target.pid, &args)?;
    target.go()?;
    measurement.wait_for(r#""function":"main.outer""#)?;
    target.go()?;
    shed(&mut measurement, "main.hot1")?;
    let counted = measurement.finish_count()?;
    text::wait_until_original(target.pid, &exe)?;
    let missed = counted.ledger["dropped_records"].as_u64().unwrap_or(0);
    let all: u64 = counted.calls.values().sum();
    let told = counted.entries.len() as u64;
    ensure!(told + missed == all && told > 0, "{told} of {all}");
    for _ in 0..5 {
        target.go()?;
    }
    target.truth()?;
    target.release()
}
