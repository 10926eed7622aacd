//! `--args` and `--returns`: every kind of value, held against what the target says it was.

use std::{collections::BTreeMap, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value};

use crate::{
    Test,
    support::{build::Build, case::Case, measurement::goinstr, process::Target, toolchain},
    test,
};

/// Functions whose calls the target tells the values of.
const TOLD: &str = "/^main\\.(integers|unsigned|many|bools|texts|crowded|slices|pointers|structs|wide|floats.*|maps|interfaces|errorsOf|unused|named|escapes|.*method|.*byValue|generic.*|.*get|grows|login)$/";

/// What these functions take and give, as the target's source has it.
const SIGNATURES: [&str; 26] = [
    "main.integers(a int8, b int16, c int32, d int64, e int) (int64, int8)",
    "main.unsigned(a uint8, b uint16, c uint32, d uint64, e uintptr) uint64",
    "main.many(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r int) (int, bool)",
    "main.bools(a, b bool, l int8) bool",
    "main.texts(s, t string, raw []byte) (string, []byte)",
    "main.crowded(a, b, c, d, e, f string) (int, string)",
    "main.slices(a []int, b []string, c []struct{ X, Y int32 }, none []int) []string",
    "main.pointers(p *struct{ X, Y int32 }, n *struct { Name string; Next *struct { Name string; Next *Node } }, i *int, none *Point) *struct{ X, Y int32 }",
    "main.structs(p struct{ X, Y int32 }, m struct { A bool; B int16; C string; D *struct{ X, Y int32 }; E [1]uint64 }, b struct { Head string; All [6]int; F float64 }) (struct{ X, Y int32 }, struct { A bool; B int16; C string; D *struct{ X, Y int32 }; E [1]uint64 }, struct { Head string; All [6]int; F float64 })",
    "main.wide(before int, w struct{ A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q int }, after string) (struct{ A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q int }, int)",
    "main.floats(a float64, n int, b float32) (float64, int)",
    "main.floatsBehind(a *float64, b []float32, c *complex128) *float64",
    "main.maps(m map[string]int, none map[int]bool, c chan int) map[string]int",
    "main.interfaces(e error, a any, b interface{}, r io.Reader, none error) error",
    "main.errorsOf(n int) (int, error)",
    "main.unused(a int, _ string, b int) int",
    "main.named(n int) (res int, err error)",
    "main.escapes(p struct{ X, Y int32 }, s string) *struct{ X, Y int32 }",
    "main.(*Point).method(p *struct{ X, Y int32 }, s string, n int) string",
    "main.Point.byValue(p struct{ X, Y int32 }, n int) int",
    "main.generic[...](v int, n int) []int",
    "main.generic[...](v string, n int) []string",
    "main.(*box[...]).get(b *struct{ v string }, n int) (string, int)",
    "main.grows(n int, s string) int",
    "main.login(user, password string, token []byte) bool",
    // The last that agrees with the function table is the one.
    "main.login(user string) bool",
];

pub fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for toolchain in toolchain::all() {
        tests.push(test(
            format!("values::as_told_{}", toolchain.version),
            || as_told(&Build::of("values").with(toolchain), &[]),
        ));
    }
    for toolchain in toolchain::all() {
        let name = format!("values::as_told_by_signatures_{}", toolchain.version);
        tests.push(test(name, || {
            as_told(&Build::of("values").with(toolchain).stripped(), &SIGNATURES)
        }));
    }
    for toolchain in toolchain::all() {
        let build = move || Build::of("values").with(toolchain);
        tests.push(test(
            format!("values::deadlines_{}", toolchain.version),
            move || deadlines(&build(), &[]),
        ));
        tests.push(test(
            format!("values::failures_{}", toolchain.version),
            move || failures(&build()),
        ));
        tests.push(test(
            format!("values::deadlines_by_signature_{}", toolchain.version),
            move || deadlines(&build().stripped(), &["--signature", WAITS]),
        ));
    }
    tests.push(test(
        "values::signatures_that_do_not_fit",
        signatures_that_do_not_fit,
    ));
    tests.push(test("values::as_told_unoptimised", || {
        as_told(&Build::of("values").unoptimised(), &[])
    }));
    tests.push(test("values::as_told_of_a_pie", || {
        as_told(&Build::of("values").pie(), &[])
    }));
    tests.push(test("values::only_calls_that_match", matching));
    tests.push(test(
        "values::results_behind_many_arguments",
        results_behind_many_arguments,
    ));
    tests.push(test(
        "values::results_of_calls_seen_late",
        results_of_calls_seen_late,
    ));
    tests
}

/// Of each error what it says itself, or what it is made of.
fn failures(build: &Build) -> Result<()> {
    let measured = Case::of(build.clone())
        .command("trace")
        .patterns(&["main.fails"])
        .options(&["--returns"])
        .run()?;
    let lines = measured.truth.lines.iter();
    let told: Vec<&Value> = lines.filter(|line| line["type"] == "failure").collect();
    let mut calls: Vec<_> = measured.report.calls.iter().collect();
    calls.sort_by_key(|call| call.start_unix_ns);
    ensure!(told.len() > 150 && told.len() == calls.len(), "{told:?}");
    let mut wrong = Vec::new();
    for (call, line) in calls.into_iter().zip(told) {
        let seen = &call.returns.as_ref().context("no results")?["r1"];
        let value = &seen["value"]["value"];
        let as_told = match (&line["fields"], &line["text"]) {
            (Value::Null, Value::Null) => seen["nil"] == true,
            (Value::Null, _) if line["dynamic"] == "struct { error }" => value.is_null(),
            (Value::Null, text) => value == text,
            (Value::Object(fields), _) => {
                let inner = |value: &Value| match &value["value"] {
                    Value::Object(of) => of["value"].clone(),
                    other => other.clone(),
                };
                let shown = value.as_object().context("no fields")?;
                shown.len() == fields.len()
                    && fields
                        .iter()
                        .all(|(name, told)| inner(&shown[name]) == *told)
            }
            (told, _) => value == told,
        };
        if !as_told || seen["dynamic"] != line["dynamic"] {
            wrong.push(format!("{seen}, told: {line}"));
        }
    }
    wrong.truncate(10);
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

const WAITS: &str = "main.waits(ctx context.Context, d time.Duration) context.Context";

/// A clock of the target and one of goinstr's may differ by so much.
const CLOCKS_NS: i64 = 20_000_000;

/// Of each context what it says itself: as an argument and as a result.
fn deadlines(build: &Build, options: &[&'static str]) -> Result<()> {
    let options = ["--args", "--returns"].iter().chain(options).copied();
    let measured = Case::of(build.clone())
        .command("trace")
        .patterns(&["main.waits"])
        .options(&options.collect::<Vec<_>>())
        .run()?;
    let lines = measured.truth.lines.iter();
    let told: Vec<&Value> = lines.filter(|line| line["type"] == "deadline").collect();
    let mut calls: Vec<_> = measured.report.calls.iter().collect();
    calls.sort_by_key(|call| call.start_unix_ns);
    ensure!(told.len() > 10 && told.len() == calls.len(), "{told:?}");
    let mut known = 0;
    for (call, line) in calls.into_iter().zip(told) {
        let args = call.args.as_ref().context("no arguments")?;
        let returns = call.returns.as_ref().context("no results")?;
        ensure!(args["d"]["value"] == 1_000_000_000, "{args}");
        for seen in [&args["ctx"], &returns["r0"]] {
            let told = format!("{seen}, told: {line}");
            ensure!(seen["dynamic"] == line["dynamic"], "{told}");
            let (Some(unix), Some(left)) =
                (seen["deadline_unix_ns"].as_i64(), seen["left_ns"].as_i64())
            else {
                // One that isn't known is said to be so, where the target has one too.
                let nil = seen["nil"] == true;
                let none = seen["no_deadline"] == true && line["unix_ns"].is_null();
                let why = seen["deadline_unknown"].as_str().unwrap_or_default();
                let unknown = why.contains("parents") || why.contains("main.own has its own way");
                ensure!(nil || none || unknown, "{told}");
                continue;
            };
            known += 1;
            ensure!(line["unix_ns"] == unix, "{told}");
            let bound = |field: &str| line[field].as_i64().context("no bound");
            let (most, least) = (bound("before_ns")?, bound("after_ns")?);
            ensure!(
                (least - CLOCKS_NS..=most + CLOCKS_NS).contains(&left),
                "{told}"
            );
        }
    }
    // The target has five that the table of parents leads to.
    ensure!(known == 10, "{known} deadlines");
    Ok(())
}

/// What can't be the function's is refused, as is what is no signature, and a function that isn't measured.
fn signatures_that_do_not_fit() -> Result<()> {
    let exe = Build::of("values").stripped().executable()?;
    let target = Target::start(&exe, &[] as &[&str])?;
    let pid = target.pid.to_string();
    for (options, code, message) in [
        (
            &["--args", "--signature", "main.maps(m map[string]int) int"][..],
            1,
            "the parameters of --signature take 8 bytes, those of the function 24",
        ),
        (
            &["--args", "--signature", "main.other(n int)"],
            1,
            "none of the functions to be measured is called main.other",
        ),
        (
            &["--args", "--signature", "main.maps(m Level)"],
            2,
            "at character 13, main.Level is a type that is not known",
        ),
        (
            &["--signature", "main.maps(m int)"],
            2,
            "add --args, --returns or --where",
        ),
        (&["--args"], 1, "tell its parameters with --signature"),
    ] {
        let output = Command::new(goinstr())
            .args(["trace", "--pid", &pid, "--duration", "1s", "main.maps"])
            .args(options)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.code() == Some(code) && said.contains(message),
            "{options:?}: {}: {said}",
            output.status
        );
    }
    Ok(())
}

/// A first instruction where no probe can be may change the arguments, and never the results.
fn results_of_calls_seen_late() -> Result<()> {
    let measured = Case::of(Build::of("lockentry"))
        .command("trace")
        .patterns(&["main.answered"])
        .options(&["--returns"])
        .run()?;
    let mut calls = measured.report.calls;
    calls.sort_by_key(|call| call.start_unix_ns);
    let results: Vec<_> = calls
        .iter()
        .filter_map(|call| call.returns.as_ref()?["r0"]["value"].as_u64())
        .collect();
    // The target answers 0 to 999 with the next number.
    ensure!(results == (1..=1000).collect::<Vec<_>>(), "{results:?}");
    Ok(())
}

/// `--where`: those calls are shown for which the target's own figures say so, and all are counted.
fn matching() -> Result<()> {
    let measured = Case::of(Build::of("values"))
        .patterns(&["main.(*Point).method"])
        .options(&[
            "--slower-than",
            "0s",
            "--where",
            "len(s) > 20 && n != 15 || p.X == 2",
        ])
        .run()?;
    let lines = measured.truth.lines.iter();
    let expected: Vec<i64> = lines
        .filter(|line| line["function"] == "main.(*Point).method")
        .filter_map(|line| {
            let (text, n) = (line["args"]["s"].as_str()?, line["args"]["n"].as_i64()?);
            (text.len() > 20 && n != 15 || line["args"]["p"]["X"] == 2).then_some(n)
        })
        .collect();
    let calls = measured.report.calls.iter();
    let shown: Vec<i64> = calls
        .filter_map(|call| call.args.as_ref()?["n"]["value"].as_i64())
        .collect();
    ensure!(expected.len() > 3 && expected.len() < 20, "{expected:?}");
    ensure!(shown == expected, "shown: {shown:?}, told: {expected:?}");
    let counted = measured.report.function("main.(*Point).method")?.calls;
    ensure!(counted == 20, "{counted} calls counted");
    Ok(())
}

/// Arguments that take nearly all the room there is leave some for the results.
fn results_behind_many_arguments() -> Result<()> {
    let measured = Case::of(Build::of("values"))
        .command("trace")
        .patterns(&["main.crowded"])
        // Four strings of so many bytes, and two that stand on the stack, end just below 2048 bytes.
        .options(&["--args", "--returns", "--value-bytes", "440"])
        .run()?;
    let told: Vec<&Value> = measured
        .truth
        .lines
        .iter()
        .filter(|line| line["function"] == "main.crowded")
        .collect();
    let calls = &measured.report.calls;
    ensure!(
        !told.is_empty() && calls.len() == told.len(),
        "{} calls shown of {}",
        calls.len(),
        told.len()
    );
    for (call, line) in calls.iter().zip(told) {
        for (what, seen) in [("args", &call.args), ("returns", &call.returns)] {
            let seen = seen.as_ref().with_context(|| format!("no {what}"))?;
            for (name, told) in line[what].as_object().context("no values")? {
                let seen = &seen[name];
                let as_told = match told.as_str() {
                    // Of strings there may be no room for the bytes.
                    Some(text) => seen["value"] == *text || seen["cut"] == true,
                    None => seen["value"] == *told,
                };
                ensure!(as_told, "{name}: {seen}, told: {told}");
            }
        }
    }
    Ok(())
}

/// Each call's values, in the order of the calls.
fn as_told(build: &Build, signatures: &[&'static str]) -> Result<()> {
    let mut options = vec!["--args", "--returns", "--value-depth", "3"];
    options.extend(signatures.iter().flat_map(|given| ["--signature", given]));
    let measured = Case::of(build.clone())
        .command("trace")
        .patterns(&[TOLD])
        .options(&options)
        .run()?;
    let mut told: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for line in &measured.truth.lines {
        if line["type"] == "values" {
            let name = line["function"].as_str().context("no name")?;
            told.entry(name).or_default().push(line);
        }
    }
    ensure!(
        told.len() > 20,
        "the target told of {} functions",
        told.len()
    );
    let mut wrong = Vec::new();
    for (name, lines) in &told {
        let mut calls: Vec<_> = measured
            .report
            .calls
            .iter()
            .filter(|call| {
                let function = &call.function;
                function == name || function.starts_with(&format!("{name}["))
            })
            .collect();
        calls.sort_by_key(|call| call.start_unix_ns);
        ensure!(
            calls.len() == lines.len(),
            "{name}: {} calls of {}",
            calls.len(),
            lines.len()
        );
        for (call, line) in calls.iter().zip(lines) {
            for (what, seen) in [("args", &call.args), ("returns", &call.returns)] {
                let seen = seen
                    .as_ref()
                    .with_context(|| format!("{name}: no {what}"))?;
                let expected = line[what].as_object().context("no values")?;
                compare(name, what, expected, seen, &mut wrong);
            }
        }
    }
    wrong.truncate(20);
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    secrets_stay_unread(&measured.report.calls)
}

/// Adds to `wrong` the values that are not as the target told.
pub fn compare(
    name: &str,
    what: &str,
    expected: &Map<String, Value>,
    seen: &Value,
    wrong: &mut Vec<String>,
) {
    for (parameter, expected) in expected {
        let found = &seen[parameter];
        let plain = plain(found);
        if !same(&plain, expected) {
            wrong.push(format!(
                "{name} {what} {parameter}: {plain}, told: {expected}; whole: {found}"
            ));
        }
    }
}

/// Equal, whether a whole number is written with a point or not.
fn same(seen: &Value, told: &Value) -> bool {
    match (seen, told) {
        (Value::Number(seen), Value::Number(told)) if seen.is_f64() || told.is_f64() => {
            seen.as_f64() == told.as_f64()
        }
        (Value::Array(seen), Value::Array(told)) => {
            seen.len() == told.len() && seen.iter().zip(told).all(|(seen, told)| same(seen, told))
        }
        (Value::Object(seen), Value::Object(told)) => {
            let all = |(name, told)| seen.get(name).is_some_and(|seen| same(seen, told));
            seen.len() == told.len() && told.iter().all(all)
        }
        _ => seen == told,
    }
}

/// A value as the target tells it: pointers are what they point to.
fn plain(value: &Value) -> Value {
    if value["nil"] == true {
        return Value::Null;
    }
    if let Some(dynamic) = value.get("dynamic") {
        let mut told = Map::new();
        told.insert("dynamic".to_owned(), dynamic.clone());
        if let Some(inner) = value.get("value") {
            told.insert("value".to_owned(), plain(inner));
        }
        return Value::Object(told);
    }
    if value["type"]
        .as_str()
        .is_some_and(|name| name.starts_with("map["))
    {
        return serde_json::json!({ "len": value["len"] });
    }
    if let Some(unreadable) = value.get("unreadable") {
        return unreadable.clone();
    }
    match &value["value"] {
        Value::Object(object) if object.contains_key("type") && object["type"].is_string() => {
            plain(&value["value"])
        }
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, field)| (name.clone(), plain(field)))
                .collect(),
        ),
        Value::Array(items) if items.iter().all(Value::is_number) => Value::Array(items.clone()),
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        other => other.clone(),
    }
}

/// What is called a password or a token is not read unless that is asked for.
fn secrets_stay_unread(calls: &[crate::support::report::Call]) -> Result<()> {
    let logins: Vec<_> = calls
        .iter()
        .filter(|call| call.function == "main.login")
        .collect();
    ensure!(!logins.is_empty(), "no login");
    for call in logins {
        let text = serde_json::to_string(&call.args)?;
        ensure!(!text.contains("hidden"), "{text}");
        ensure!(text.contains("\"redacted\":true"), "{text}");
    }
    Ok(())
}
