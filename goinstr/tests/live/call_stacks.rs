//! `--stack`: the stacks of single calls, held against what the runtime tells in the target itself.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    Test, inflight,
    support::{build::Build, case::Case, report::Call, toolchain},
    test,
};

pub fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for go in toolchain::all() {
        let build = move || Build::of("stacks").with(go);
        tests.push(test(
            format!("call_stacks::at_return_{}", go.version),
            move || at_return(&build(), !go.at_least(21)),
        ));
        tests.push(test(
            format!("call_stacks::where_it_waited_{}", go.version),
            move || waited(&build()),
        ));
    }
    tests.push(test("states::nested_too_deep", too_deep));
    tests.push(test("call_stacks::stripped_pie", || {
        at_return(&Build::of("stacks").stripped().pie(), false)
    }));
    tests
}

/// The functions whose stacks the target tells at their return.
const RETURNING: [&str; 13] = [
    "main.leaf",
    "main.bare",
    "main.inInlined",
    "main.small.method",
    "main.deep",
    "main.deepest",
    "main.grows",
    "main.deferred",
    "main.inPanic",
    "main.afterRecovery",
    "main.first",
    "main.viaAssembly",
    "main.viaForger",
];

/// Functions that call them, measured to be told as callers.
const AROUND: [&str; 7] = [
    "main.callsBare",
    "main.dynamic",
    "main.down",
    "main.defers",
    "main.recovers",
    "main.panics",
    "main.recoversFirst",
];

/// Callers told of a call at most.
const CALLERS: usize = 16;

/// Calls nested at most whose states are followed.
const WITH_STATES: usize = 16;

/// Those that wait.
const WAITING: [&str; 4] = ["main.receives", "main.locks", "main.reads", "main.selects"];

/// Addresses that are walked at most.
const MOST: usize = 64;

/// What runs deferred functions and is not shown either.
const RUNS_DEFERRED: [&str; 3] = [
    "runtime.deferreturn",
    "runtime.runOpenDeferFrame",
    "runtime.deferCallSave",
];

/// Function and `FILE:LINE`.
type Frame = (String, String);

/// `skipping`: assembly without a frame of its own has no frame pointer, and a function that has
/// recovered has that of the one that panicked.
fn at_return(build: &Build, skipping: bool) -> Result<()> {
    let patterns = [RETURNING.as_slice(), &AROUND].concat();
    let measured = Case::of(build.clone())
        .patterns(&patterns)
        .options(&["--slower-than", "0s", "--stack"])
        .run()?;
    let mut told: BTreeMap<&str, Vec<(Vec<Frame>, bool)>> = BTreeMap::new();
    let lines = measured.truth.lines.iter();
    for line in lines.filter(|line| line["type"] == "stack") {
        let name = line["function"].as_str().context("no name")?;
        let frames = frames(&line["frames"])?.into_iter().filter(shown).collect();
        let own = line["own"].as_bool().context("not told whose")?;
        told.entry(name).or_default().push((frames, own));
    }
    for name in RETURNING {
        let told = told
            .get(name)
            .with_context(|| format!("{name} told nothing"))?;
        let calls = measured.report.calls.iter();
        let calls: Vec<&Call> = calls.filter(|call| call.function == name).collect();
        ensure!(
            calls.len() == told.len(),
            "{name}: {} of {}",
            calls.len(),
            told.len()
        );
        for (call, (told, own)) in calls.into_iter().zip(told) {
            let around = told
                .iter()
                .skip(usize::from(*own))
                .map(|(function, _)| function);
            let around = around.filter(|function| patterns.contains(&function.as_str()));
            let around: Vec<&String> = around.take(CALLERS).collect();
            ensure!(
                call.callers.iter().eq(around.iter().copied()),
                "{name}: called by {around:?}, told {:?}",
                call.callers
            );
            let mut seen = seen(call)?;
            ensure!(call.stack_waited_ns.is_none(), "{call:?}");
            let mut told = told.as_slice();
            if !own {
                // The function itself has told nothing, its caller has.
                ensure!(seen.remove(0).0 == name, "{call:?}");
            }
            let cut = match name {
                "main.deepest" => Some(MOST),
                "main.viaAssembly" | "main.afterRecovery" if skipping => Some(2),
                // Elsewhere it is Go like the rest.
                "main.viaForger" if cfg!(target_arch = "x86_64") => Some(2),
                _ => None,
            };
            ensure!(call.stack_cut == cut.is_some(), "{call:?}");
            if let Some(frames) = cut {
                told = told.get(..frames).context("the target's stack is short")?;
            }
            same(name, told, &seen)?;
        }
    }
    Ok(())
}

/// Calls nested too deep for their states are counted, and told as such.
fn too_deep() -> Result<()> {
    let measured = Case::of(Build::of("stacks"))
        .patterns(&["main.down"])
        .options(&["--states"])
        .run()?;
    let mut expected = 0;
    for line in measured.truth.lines.iter() {
        if matches!(
            line["function"].as_str(),
            Some("main.deep" | "main.deepest")
        ) {
            let frames = frames(&line["frames"])?;
            let nested = frames
                .iter()
                .filter(|(name, _)| name == "main.down")
                .count();
            expected += nested.saturating_sub(WITH_STATES);
        }
    }
    ensure!(expected > 80, "the target told of {expected}");
    let without = measured.report.ledger.without_states;
    ensure!(
        without == u64::try_from(expected).ok(),
        "{expected} were too deep: {:?}",
        measured.report.ledger
    );
    Ok(())
}

/// Where each waited longest: as `runtime.Stack` traces it while it waits.
fn waited(build: &Build) -> Result<()> {
    let measured = Case::of(build.clone())
        .patterns(&WAITING)
        .options(&["--slower-than", "20ms", "--stack", "--states"])
        .run()?;
    let lines = measured.truth.lines.iter();
    let mut told = Vec::new();
    for line in lines.filter(|line| line["type"] == "waited") {
        let name = line["function"].as_str().context("no name")?;
        let text = line["text"].as_str().context("no text")?;
        let goroutines = inflight::told(text);
        let (goid, trace) = goroutines.first_key_value().context("no goroutine")?;
        let mut calls = measured.report.calls.iter().filter(|c| c.function == name);
        let call = calls
            .next()
            .filter(|call| call.goid == *goid && calls.next().is_none())
            .with_context(|| format!("{name} is not shown once, on goroutine {goid}"))?;
        ensure!(!call.stack_cut, "{call:?}");
        let waited = call.stack_waited_ns.context("it waited nowhere")?;
        ensure!(waited >= 20_000_000, "{call:?}");
        let seen: Vec<Frame> = seen(call)?.into_iter().filter(inflight::own).collect();
        let mut expected = trace.frames.clone();
        if name == "main.reads" {
            let (Some((_, place)), Some((_, seen))) = (expected.first_mut(), seen.first()) else {
                anyhow::bail!("a stack of nothing: {expected:?}, {seen:?}");
            };
            *place = end_of_system_call(place, seen)?;
        }
        same(name, &expected, &seen)?;
        told.push(name);
    }
    ensure!(told == WAITING, "the target told of {told:?} that waited");
    Ok(())
}

/// A system call is traced where it began and seen where it is over, some lines below: where in the same
/// file, at `traced`, the runtime is told so. There is one such place in each function that makes
/// system calls: the first after where it began.
fn end_of_system_call(traced: &str, seen: &str) -> Result<String> {
    let (file, line) = traced.rsplit_once(':').context("a place without a line")?;
    let line: usize = line.parse()?;
    let source = std::fs::read_to_string(file).with_context(|| file.to_owned())?;
    let mut after = source.lines().enumerate().skip(line);
    let (below, _) = after
        .find(|(_, text)| text.contains("exitsyscall"))
        .with_context(|| format!("no system call ends below {traced}, seen at {seen}"))?;
    Ok(format!("{file}:{}", below + 1))
}

fn seen(call: &Call) -> Result<Vec<Frame>> {
    let frames = frames(&call.stack)?;
    Ok(frames.into_iter().filter(shown).collect())
}

fn frames(frames: &Value) -> Result<Vec<Frame>> {
    let frames = frames.as_array().context("no stack")?.iter();
    let text = |frame: &Value, field: &str| frame[field].as_str().unwrap_or_default().to_owned();
    Ok(frames
        .map(|frame| {
            let place = format!("{}:{}", text(frame, "file"), frame["line"]);
            (text(frame, "function"), place)
        })
        .collect())
}

/// The runtime doesn't show the wrappers that the compiler makes: of methods, and of `go f(x)` and
/// `defer f(x)`, which are `main.panics.deferwrap1`, before Go 1.22 `main.panics.func1`; nor what runs
/// the deferred functions.
fn shown((function, place): &Frame) -> bool {
    let wraps = |part: &str| {
        ["gowrap", "deferwrap", "func"]
            .iter()
            .any(|w| part.starts_with(w))
    };
    let wrapper = [
        "main.main.",
        "main.panics.",
        "main.defers.",
        "main.recoversFirst.",
    ]
    .iter()
    .any(|outer| function.strip_prefix(outer).is_some_and(wraps));
    !wrapper && !RUNS_DEFERRED.contains(&function.as_str()) && !place.starts_with("<autogenerated>")
}

fn same(name: &str, told: &[Frame], seen: &[Frame]) -> Result<()> {
    ensure!(
        told == seen,
        "{name}: told {} frames, seen {}:\n{told:#?}\n{seen:#?}",
        told.len(),
        seen.len()
    );
    Ok(())
}
