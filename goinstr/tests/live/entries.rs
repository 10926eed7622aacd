//! `trace --entries`: each call as it begins, from entry sites alone, and all of them accounted for.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    Test,
    support::{
        build::Build,
        counted::Counted,
        measurement::Measurement,
        process::Target,
        text,
        truth::{Truth, shape_free},
    },
    test,
    values::compare,
};

pub fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for target in ["grow", "freshg", "panics", "goexit", "threads", "noreturn"] {
        tests.push(test(
            format!("entries::each_of_{target}_is_told_once"),
            move || exact(target, &[]).map(drop),
        ));
    }
    tests.push(test("entries::without_room_they_are_missed", || {
        exact("grow", &["--ring-size", "64"]).map(drop)
    }));
    tests.push(test("entries::arguments_are_as_told", arguments));
    tests.push(test("entries::only_those_that_match", matching));
    tests.push(test("entries::what_loops_to_its_entry_is_left_out", loops));
    tests
}

/// Traces the beginnings of a whole load.
fn traced(target: &str, args: &[&str]) -> Result<(Counted, Truth)> {
    let exe = Build::of(target).executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let args = [&["--entries"], args].concat();
    let measurement = Measurement::start_command("trace", target.pid, &args)?;
    target.go()?;
    let truth = target.truth()?;
    let counted = measurement.interrupt_count()?;
    text::wait_until_original(target.pid, &exe)?;
    target.release()?;
    ensure!(counted.session["mode"] == "entries", "{}", counted.session);
    ensure!(
        counted.session["sites"] == counted.session["functions"],
        "more than entries are armed: {}",
        counted.session
    );
    Ok((counted, truth))
}

/// As many are told of as the target counted, or their loss is told.
fn exact(target: &str, options: &[&str]) -> Result<()> {
    let (counted, truth) = traced(target, &[options, &["main.*"]].concat())?;
    let mut told: BTreeMap<String, u64> = BTreeMap::new();
    for entry in &counted.entries {
        let name = entry["function"].as_str().context("no name")?;
        *told.entry(shape_free(name)).or_default() += 1;
        ensure!(
            entry["goid"].as_u64() > Some(0) && entry["start_unix_ns"].is_u64(),
            "{entry}"
        );
        ensure!(entry.get("args").is_none(), "nobody asked: {entry}");
    }
    let missed = counted.ledger["dropped_records"]
        .as_u64()
        .context("not told how many are missed")?;
    let (all, seen) = (counted.calls.values().sum::<u64>(), counted.entries.len());
    ensure!(
        seen as u64 + missed == all,
        "{seen} told and {missed} missed of {all}"
    );
    for (name, own) in &truth.functions {
        let calls = own.calls + own.in_flight;
        let counted = counted.calls.get(name).copied().unwrap_or(0);
        ensure!(counted == calls, "{name}: counted {counted}, true {calls}");
        let told = told.get(name).copied().unwrap_or(0);
        ensure!(
            told == calls || missed > 0 && told < calls,
            "{name}: told of {told}, true {calls}, {missed} missed"
        );
    }
    Ok(())
}

/// Each call's arguments, in the order of the calls.
fn arguments() -> Result<()> {
    let names = [
        "main.integers",
        "main.texts",
        "main.slices",
        "main.structs",
        "main.interfaces",
        "main.(*Point).method",
    ];
    let args = [&["--args", "--value-depth", "3"], &names[..]].concat();
    let (counted, truth) = traced("values", &args)?;
    let mut wrong = Vec::new();
    for name in names {
        let of = |lines: &[Value], kind: &str| -> Vec<Value> {
            let own = lines
                .iter()
                .filter(|line| line["type"] == kind && line["function"] == name);
            own.cloned().collect()
        };
        let told = of(&truth.lines, "values");
        let mut seen = of(&counted.entries, "entry");
        seen.sort_by_key(|entry| entry["start_unix_ns"].as_u64());
        ensure!(
            !told.is_empty() && told.len() == seen.len(),
            "{name}: {} calls of {}",
            seen.len(),
            told.len()
        );
        for (entry, line) in seen.iter().zip(&told) {
            let expected = line["args"].as_object().context("no values")?;
            compare(name, "args", expected, &entry["args"], &mut wrong);
        }
    }
    wrong.truncate(20);
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// `--where` chooses which are told of; all are counted.
fn matching() -> Result<()> {
    let name = "main.(*Point).method";
    let (counted, truth) = traced("values", &["--where", "len(s) > 20 && n != 15", name])?;
    let expected: Vec<&Value> = truth
        .lines
        .iter()
        .filter(|line| line["type"] == "values" && line["function"] == name)
        .filter(|line| {
            line["args"]["s"].as_str().is_some_and(|s| s.len() > 20) && line["args"]["n"] != 15
        })
        .map(|line| &line["args"]["n"])
        .collect();
    let told = counted.entries.iter();
    let told: Vec<&Value> = told.map(|entry| &entry["args"]["n"]["value"]).collect();
    ensure!(expected.len() > 3, "{expected:?}");
    ensure!(told == expected, "told {told:?}, true {expected:?}");
    ensure!(counted.calls[name] == 20, "{:?}", counted.calls);
    Ok(())
}

/// A turn of its loop is no call, and without its end the two can't be told apart.
fn loops() -> Result<()> {
    let exe = Build::of("entryloop").executable()?;
    let target = Target::start(&exe, &[""; 0])?;
    let measurement = Measurement::start_command("trace", target.pid, &["--entries", "main.*"])?;
    let counted = measurement.interrupt_count()?;
    let reasons: Vec<&Value> = counted.skipped.iter().map(|line| &line["reason"]).collect();
    ensure!(
        reasons.iter().any(|reason| **reason == "loops_to_entry"),
        "{:?}",
        counted.skipped
    );
    Ok(())
}
