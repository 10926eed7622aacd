//! `--where`: what matches is told of, everything is counted, and what is seen in the kernel not to match stays there.

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    Test,
    support::{
        build::Build, counted::Counted, measurement::Measurement, process::Target, report::Report,
        text, toolchain,
    },
    test,
    values::compare,
};

/// Calls of each function of the target.
const ROUNDS: usize = 20;

/// What is asked of one function's calls.
struct Asked {
    function: &'static str,
    condition: &'static str,
    /// The same of what the target says that it was called with, and what it gave.
    holds: fn(&Value, &Value) -> bool,
    /// Whether the kernel side can tell.
    decided: bool,
}

const fn asked(
    function: &'static str,
    condition: &'static str,
    holds: fn(&Value, &Value) -> bool,
) -> Asked {
    Asked {
        function,
        condition,
        holds,
        decided: true,
    }
}

/// The same where the kernel side leaves it to userspace.
const fn open(
    function: &'static str,
    condition: &'static str,
    holds: fn(&Value, &Value) -> bool,
) -> Asked {
    Asked {
        decided: false,
        ..asked(function, condition, holds)
    }
}

fn number(value: &Value) -> i128 {
    let signed = value.as_i64().map(i128::from);
    let number = signed.or_else(|| value.as_u64().map(i128::from));
    number.unwrap_or(i128::MIN)
}

fn length(value: &Value) -> usize {
    value.as_str().map_or(0, str::len)
}

/// Of arguments alone, which `trace --entries` has too.
const OF_ARGUMENTS: &[Asked] = &[
    asked(
        "main.integers",
        "a < -10 && b > -5400 && d <= -4503599627370496",
        |args, _| {
            number(&args["a"]) < -10
                && number(&args["b"]) > -5400
                && number(&args["d"]) <= -4_503_599_627_370_496
        },
    ),
    asked(
        "main.integers",
        "c == 0x300000 || e >= 19 || a == -5",
        |args, _| args["c"] == 0x0030_0000 || number(&args["e"]) >= 19 || args["a"] == -5,
    ),
    asked(
        "main.unsigned",
        "a >= 210 && b != 60015 && d > 9223372036854775808",
        |args, _| number(&args["a"]) >= 210 && args["b"] != 60015,
    ),
    asked("main.bools", "a == true && b != true", |args, _| {
        args["a"] == true && args["b"] == false
    }),
    asked("main.bools", "l <= -5 && l != -200", |args, _| {
        number(&args["l"]) <= -5
    }),
    asked(
        "main.texts",
        "s == \"ää2\" || s == \"äääääääääää11\"",
        |args, _| args["s"] == "ää2" || args["s"] == "äääääääääää11",
    ),
    asked(
        "main.texts",
        "s != \"äää3\" && len(s) < 20 && t == \"\"",
        |args, _| args["s"] != "äää3" && length(&args["s"]) < 20,
    ),
    asked(
        "main.texts",
        "raw == \"äää3\" || len(raw) > 38",
        |args, _| args["raw"] == "äää3" || length(&args["raw"]) > 38,
    ),
    open("main.texts", "s < \"äää\"", |args, _| {
        args["s"].as_str().is_some_and(|s| s < "äää")
    }),
    asked("main.slices", "len(a) >= 15 && none == nil", |args, _| {
        // Four are told of.
        number(&args["c"][0]["X"]) >= 15
    }),
    asked("main.slices", "len(none) > 0 || none != nil", |_, _| false),
    asked("main.pointers", "p.X == 7 && none == nil", |args, _| {
        args["p"]["X"] == 7
    }),
    asked(
        "main.pointers",
        "n.Next.Name == \"ää2\" || i > 17",
        |args, _| args["n"]["Next"]["Name"] == "ää2" || number(&args["i"]) > 17,
    ),
    asked("main.pointers", "none.X == 0", |_, _| false),
    asked("main.structs", "m.B < -16 && m.D.Y >= 18", |args, _| {
        number(&args["m"]["D"]["Y"]) >= 18
    }),
    asked(
        "main.structs",
        "b.Head == \"ä1\" || p.X == 4",
        |args, _| args["b"]["Head"] == "ä1" || args["p"]["X"] == 4,
    ),
    asked(
        "main.wide",
        "w.Q == 9 || w.Q > 18 && before > 19",
        |args, _| args["w"]["Q"] == 9 || args["w"]["Q"] == 20,
    ),
    asked(
        "main.maps",
        "len(m) > 100 && none == nil && c != nil",
        |args, _| number(&args["m"]["len"]) > 100,
    ),
    asked("main.interfaces", "e == nil || none != nil", |_, _| false),
    open("main.interfaces", "a == 3000", |args, _| {
        args["a"]["value"] == 3000
    }),
    open("main.floatsBehind", "a > 1.5", |args, _| {
        args["a"].as_f64() > Some(1.5)
    }),
    // In a register no program sees it, so that nothing holds of it.
    asked("main.floats", "a > 1.5", |_, _| false),
    asked("main.login", "password == \"hidden\"", |_, _| false),
    asked("main.login", "user == \"ää2\"", |args, _| {
        args["user"] == "ää2"
    }),
    asked(
        "main.(*Point).method",
        "len(s) > 20 && n != 15 || p.X == 2",
        |args, _| length(&args["s"]) > 20 && args["n"] != 15 || args["p"]["X"] == 2,
    ),
];

/// Of results too.
const OF_RESULTS: &[Asked] = &[
    asked("main.named", "err != nil && res != 9", |_, returns| {
        !returns["err"].is_null() && returns["res"] != 9
    }),
    asked(
        "main.named",
        "err == nil || n == 7 && res == 8",
        |_, returns| returns["err"].is_null() || returns["res"] == 8,
    ),
    asked(
        "main.unsigned",
        "r0 >= 9223372036854775820",
        |_, returns| number(&returns["r0"]) >= 9_223_372_036_854_775_820,
    ),
    asked(
        "main.texts",
        "r0 == \"ää2\" && len(r1) == 1",
        |_, returns| returns["r0"] == "ää2",
    ),
    asked(
        "main.structs",
        "r1.D.Y == 3 && r2.Head != \"\"",
        |_, returns| returns["r1"]["D"]["Y"] == 3,
    ),
    // What an error says is told by userspace, that there is one by the kernel side.
    asked(
        "main.named",
        "err == \"too many\" && n != 9",
        |_, returns| !returns["err"].is_null() && returns["res"] != 10,
    ),
];

/// How it is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Trace,
    Entries,
    Attach,
}

pub fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    // Each condition is a measurement of its own: all by one way, by the others every second one.
    for (way, step) in [(Way::Trace, 1), (Way::Entries, 2), (Way::Attach, 2)] {
        tests.push(test(
            format!("conditions::of_arguments_by_{way:?}").to_lowercase(),
            move || all(OF_ARGUMENTS.iter().skip(step - 1).step_by(step), way),
        ));
    }
    for (way, step) in [(Way::Trace, 1), (Way::Attach, 2)] {
        tests.push(test(
            format!("conditions::of_results_by_{way:?}").to_lowercase(),
            move || all(OF_RESULTS.iter().step_by(step), way),
        ));
    }
    // Where values are is Go's own.
    for toolchain in toolchain::all() {
        let name = format!("conditions::of_values_{}", toolchain.version);
        tests.push(test(name, || {
            let build = Build::of("values").with(toolchain);
            let few = OF_ARGUMENTS
                .iter()
                .step_by(9)
                .chain(OF_RESULTS.iter().take(1));
            few.into_iter()
                .try_for_each(|asked| held(&build, asked, Way::Trace))
        }));
    }
    tests.push(test("conditions::keep_back_what_has_no_such_value", others));
    for (name, options) in [
        ("trace", &["trace"][..]),
        ("attach", &["attach", "--slower-than", "0s"]),
        ("entries", &["trace", "--entries"]),
    ] {
        tests.push(test(
            format!("conditions::spare_the_ring_of_{name}"),
            move || spared(options),
        ));
    }
    tests.push(test("conditions::unwound_calls_are_told", unwound));
    tests.push(test("conditions::stacks_are_of_calls_that_match", stacks));
    tests
}

fn all(mut asked: impl Iterator<Item = &'static Asked>, way: Way) -> Result<()> {
    let build = Build::of("values");
    asked.try_for_each(|asked| held(&build, asked, way))
}

/// What came of one measurement, whichever it was.
struct Came {
    /// The calls that were told of.
    told: Vec<Value>,
    entries: u64,
    calls: u64,
    /// Of functions that have the parameters in question.
    asked: u64,
    dropped: u64,
    kept_back: u64,
}

/// The functions of `panics` that have a parameter `depth`.
const WITH_DEPTH: [&str; 3] = ["main.deep", "main.recoverOpenCoded", "main.recoverHeap"];

/// Measures the whole load of a target.
fn measured(build: &Build, args: &[&str], stopped: bool) -> Result<(Came, Vec<Value>)> {
    let exe = build.executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let (command, args) = args.split_first().context("no command")?;
    let entries = args.contains(&"--entries");
    let args = [&["-v"], args].concat();
    let measurement = Measurement::start_command(command, target.pid, &args)?;
    if stopped {
        measurement.signal(Signal::STOP)?;
    }
    target.go()?;
    let truth = target.truth()?;
    if stopped {
        measurement.signal(Signal::CONT)?;
    }
    let mut told = Vec::new();
    let mut asked = 0;
    let mut both = |lines: &[String]| -> Result<(u64, u64, u64)> {
        for line in lines {
            let line: Value = serde_json::from_str(line)?;
            let function = line["function"].as_str().unwrap_or_default();
            if line["type"] == "function" && WITH_DEPTH.contains(&function) {
                asked += line["calls"].as_u64().unwrap_or_default();
            }
            if line["type"] == "call" || line["type"] == "entry" {
                told.push(line);
            }
        }
        if entries {
            let counted = Counted::parse(lines)?;
            let of = |field: &str| counted.ledger[field].as_u64().unwrap_or_default();
            let calls = counted.calls.values().sum();
            return Ok((of("entries"), calls, of("dropped_records")));
        }
        let report = Report::parse(lines)?;
        ensure!(report.ledger.lost_in_all() == 0, "{:?}", report.ledger);
        let calls = report.functions.iter().map(|function| function.calls).sum();
        let dropped = report.ledger.dropped_records.unwrap_or_default();
        Ok((report.ledger.entries, calls, dropped))
    };
    let ((entries, calls, dropped), said) = measurement.interrupt_saying(&mut both)?;
    text::wait_until_original(target.pid, &exe)?;
    target.release()?;
    told.sort_by_key(|call| call["start_unix_ns"].as_u64());
    let kept_back = said.iter().find_map(|line| {
        let (before, _) = line.split_once(" calls that don't match were kept back")?;
        before.rsplit(' ').next()?.parse().ok()
    });
    let came = Came {
        told,
        entries,
        calls,
        asked,
        dropped,
        kept_back: kept_back.with_context(|| format!("not said how many: {said:?}"))?,
    };
    Ok((came, truth.lines))
}

/// Those calls are told of for which the target's own values say so, and no other record was made where the kernel
/// side can tell.
fn held(build: &Build, asked: &Asked, way: Way) -> Result<()> {
    let Asked {
        function,
        condition,
        holds,
        decided,
    } = *asked;
    let mut args = match way {
        Way::Trace => vec!["trace", "--returns"],
        Way::Entries => vec!["trace", "--entries"],
        Way::Attach => vec!["attach", "--slower-than", "0s", "--returns"],
    };
    args.extend(["--value-depth", "3", "--where", condition, function]);
    let (came, lines) = measured(build, &args, false).context(condition)?;
    let told = lines
        .iter()
        .filter(|line| line["type"] == "values" && line["function"] == function);
    let expected: Vec<&Value> = told
        .filter(|line| holds(&line["args"], &line["returns"]))
        .collect();
    let which = format!("{function}, {way:?}: {condition}");
    ensure!(
        came.told.len() == expected.len(),
        "{which}: {} calls told of, {} match",
        came.told.len(),
        expected.len()
    );
    let mut wrong = Vec::new();
    for (call, line) in came.told.iter().zip(&expected) {
        let args = line["args"].as_object().context("no values")?;
        compare(function, "args", args, &call["args"], &mut wrong);
    }
    ensure!(wrong.is_empty(), "{which}: {}", wrong.join("\n"));
    let all = ROUNDS as u64;
    ensure!(
        (came.entries, came.calls, came.dropped) == (all, all, 0),
        "{which}: {} entries, {} calls, {} dropped",
        came.entries,
        came.calls,
        came.dropped
    );
    let unmatched = all - expected.len() as u64;
    let kept_back = if decided { unmatched } else { 0 };
    ensure!(
        came.kept_back == kept_back,
        "{which}: {} kept back of {unmatched}",
        came.kept_back
    );
    Ok(())
}

/// Functions that have no such parameter, or one of another type, don't match, and nothing is read of them.
fn others() -> Result<()> {
    let args = ["trace", "--where", "n == 3 && n != true", "main.*"];
    let (came, _) = measured(&Build::of("values"), &args, false)?;
    ensure!(came.told.is_empty(), "{:?}", came.told);
    ensure!(
        came.kept_back == came.calls,
        "of {} calls {}",
        came.calls,
        came.kept_back
    );
    let args = ["trace", "--where", "n == 3", "main.*"];
    let (came, lines) = measured(&Build::of("values"), &args, false)?;
    // Of a generic function the target says no instance.
    let names = |lines: &[Value]| -> Vec<String> {
        let named = lines.iter().filter_map(|line| line["function"].as_str());
        let mut names: Vec<_> = named.map(|name| name.replace("[...]", "")).collect();
        names.sort();
        names
    };
    let matching: Vec<Value> = lines
        .into_iter()
        .filter(|line| line["args"]["n"] == 3)
        .collect();
    // Of what the target doesn't tell of, nothing has such an argument.
    ensure!(
        names(&came.told) == names(&matching) && came.told.len() > 4,
        "told of: {:?}, match: {:?}",
        names(&came.told),
        names(&matching)
    );
    ensure!(
        came.kept_back + came.told.len() as u64 == came.calls && came.calls == came.entries,
        "{} kept back of {}",
        came.kept_back,
        came.calls
    );
    Ok(())
}

/// goinstr is stopped during the whole load: the ring buffer has no room for all calls, and all the room there has
/// to be for those that match.
fn spared(options: &[&str]) -> Result<()> {
    let of = |condition: &'static str| {
        // All functions, so that there are histogram blocks for all durations: a call without one is told of.
        let rest = ["--ring-size", "512", "--where", condition, "main.*"];
        let args = [options, &rest].concat();
        measured(&Build::of("panics"), &args, true).map(|(came, _)| came)
    };
    let came = of("depth == 11 && n == 2")?;
    // Three goroutines, 20 rounds, and deep is called by both of the others.
    ensure!(
        came.told.len() == 3 * 20 * 4 && came.dropped == 0,
        "{} told of, {} dropped",
        came.told.len(),
        came.dropped
    );
    ensure!(
        came.kept_back == came.calls - 240 && came.entries == came.calls,
        "{} of {}",
        came.kept_back,
        came.calls
    );
    // What only userspace can tell takes the room of all.
    let open = of("depth == 11 && n > 1.5")?;
    let room = open.calls - open.kept_back;
    ensure!(
        room == 3 * 20 * 4 * 3 && open.dropped == 0,
        "{room} and {} dropped",
        open.dropped
    );
    let open = of("depth > 10.5 && n > 1.5")?;
    ensure!(
        open.calls - open.kept_back == open.asked && open.dropped > open.asked / 2,
        "{} of {} dropped, {} kept back of {}",
        open.dropped,
        open.asked,
        open.kept_back,
        open.calls
    );
    ensure!(
        open.calls == came.calls,
        "{} and {}",
        open.calls,
        came.calls
    );
    Ok(())
}

/// Calls that a panic ends have no results, and their arguments decide as those of others do.
fn unwound() -> Result<()> {
    let args = ["trace", "--where", "depth == 3 && n == 1", "main.*"];
    let (came, _) = measured(&Build::of("panics"), &args, false)?;
    let deep = came
        .told
        .iter()
        .filter(|call| call["function"] == "main.deep");
    let outcomes: Vec<&Value> = deep.map(|call| &call["outcome"]).collect();
    ensure!(
        outcomes.len() > 1_000 && outcomes.iter().all(|outcome| **outcome == "unwound"),
        "{outcomes:?}"
    );
    ensure!(
        came.kept_back + came.told.len() as u64 == came.calls,
        "{} kept back of {}",
        came.kept_back,
        came.calls
    );
    Ok(())
}

/// With stacks, which come before their calls: each call that is told of has its own, and of the others none takes
/// any room.
fn stacks() -> Result<()> {
    for (condition, calls) in [
        ("depth == 11 && n == 2", 3 * 20 * 4),
        ("r == 14 && n == 2", 3 * 20 * 4),
    ] {
        // A stack takes 1 KiB, and goinstr reads nothing meanwhile.
        let options = ["trace", "--stack", "--returns", "--ring-size", "1024"];
        let args = [&options[..], &["--where", condition, "main.*"]].concat();
        let (came, _) = measured(&Build::of("panics"), &args, true)?;
        ensure!(
            came.told.len() == calls && came.dropped == 0,
            "{condition}: {} told of, {} dropped",
            came.told.len(),
            came.dropped
        );
        for call in &came.told {
            let innermost = &call["stack"][0]["function"];
            ensure!(*innermost == call["function"], "{condition}: {call}");
        }
    }
    Ok(())
}
