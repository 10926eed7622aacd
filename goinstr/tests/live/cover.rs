//! Coverage: the same programs built with `go build -cover` are the oracle.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use crate::{
    Test,
    support::{
        build::{self, Build},
        coverage::{self, CoverReport, Covering, Profile, Verdicts, run},
        lines::Lines,
        process::{Target, patience},
        text,
        toolchain::{self, Toolchain},
    },
    test,
};

/// Targets that do the same in each run, with what else they need.
const TARGETS: [(&str, &[&str]); 9] = [
    ("paths", &[]),
    ("panics", &[]),
    ("goexit", &[]),
    ("iterators", &[]),
    ("nesting", &[]),
    ("noreturn", &[]),
    ("calls", &[]),
    ("overtaken", &[]),
    ("deep", &[]),
];

/// `go build -cover` and `go tool covdata` came with Go 1.20.
const FIRST_WITH_COVERAGE: u32 = 20;

pub fn tests() -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    for (target, args) in TARGETS {
        tests.push(test(
            format!("cover::functions_agree_with_go_build_cover::{target}"),
            move || functions(target, args, toolchain::usual().context("no Go")?),
        ));
    }
    for (target, args) in TARGETS {
        tests.push(test(
            format!("cover::lines_agree_with_go_build_cover::{target}"),
            move || lines_agree(target, args, toolchain::usual().context("no Go")?),
        ));
    }
    let versions = toolchain::all()
        .iter()
        .skip(1)
        .filter(|toolchain| toolchain.at_least(FIRST_WITH_COVERAGE));
    for toolchain in versions {
        tests.push(test(
            format!(
                "cover::functions_agree_with_go_build_cover::{}",
                toolchain.version
            ),
            move || functions("paths", &[], toolchain),
        ));
        tests.push(test(
            format!(
                "cover::lines_agree_with_go_build_cover::{}",
                toolchain.version
            ),
            move || lines_agree("paths", &[], toolchain),
        ));
    }
    tests.extend([
        test("cover::each_phase_has_what_ran_in_it", || phases(&[])),
        test("cover::all_phases_together_since_the_start", since_start),
        test("cover::lines_that_ran_and_lines_that_did_not", lines),
        test("cover::go_tool_cover_reads_the_profile", profile),
        test("cover::a_profile_of_go_is_merged_block_by_block", merge),
        test(
            "cover::a_difference_is_what_ran_only_in_the_first",
            difference,
        ),
        test("cover::one_perf_event_a_site", || phases(PERF)),
        test("cover::functions_are_told_as_they_run", watch),
        test("cover::the_targets_exit_ends_it", exit),
    ]);
    tests.push(test("cover::processes_of_one_file_are_merged", shop));
    tests
}

/// Covers a target from before its start to its end.
fn covered(exe: &Path, args: &[&str], options: &[&str]) -> Result<CoverReport> {
    let path = exe.to_str().context("not UTF-8")?;
    let covering = Covering::start(&[&["--exe", path], options].concat())?;
    run(exe, args, &[])?;
    covering.interrupt()
}

fn functions(target: &str, args: &[&str], toolchain: &Toolchain) -> Result<()> {
    let build = Build::of(target).with(toolchain);
    let truth = Profile::of_run(&build.clone().covered().executable()?, toolchain, args, &[])?;
    let report = covered(&build.executable()?, args, &["main.*"])?;
    compare(&truth, &report)
}

/// Every function ran exactly if Go's own coverage says so.
fn compare(truth: &Profile, report: &CoverReport) -> Result<()> {
    let mut compared = 0;
    let mut differences = Vec::new();
    for function in &report.functions {
        let (Some(file), Some(line)) = (&function.file, function.line) else {
            differences.push(format!("{}: no place in the source", function.function));
            continue;
        };
        let source = fs::read_to_string(file)?;
        match truth.function(file, &source, line) {
            Some(ran) if ran == function.covered => compared += 1,
            Some(ran) => differences.push(format!(
                "{} ({file}:{line}): ran {}, truly {ran}",
                function.function, function.covered
            )),
            None => println!("not compared: {} ({file}:{line})", function.function),
        }
    }
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    ensure!(
        compared * 10 >= report.functions.len() * 9 && compared > 3,
        "only {compared} of {} functions were compared",
        report.functions.len()
    );
    Ok(())
}

fn lines_agree(target: &str, args: &[&str], toolchain: &Toolchain) -> Result<()> {
    let build = Build::of(target).with(toolchain);
    let truth = Profile::of_run(&build.clone().covered().executable()?, toolchain, args, &[])?;
    let report = covered(&build.executable()?, args, &["main.*", "--lines"])?;
    compare_lines(&truth, &report, &build.executable()?, toolchain)
}

/// Each block of Go's own coverage ran exactly if the lines say so that are its alone.
fn compare_lines(
    truth: &Profile,
    report: &CoverReport,
    exe: &Path,
    toolchain: &Toolchain,
) -> Result<()> {
    let mut verdicts = Verdicts::default();
    for (path, lines) in &report.lines {
        let source = fs::read_to_string(path)?;
        let with_code = coverage::lines_with_code(exe, toolchain, path)?;
        let blocks = truth.blocks(path);
        for verdict in coverage::against_blocks(blocks, lines, &source, &with_code) {
            verdicts.add(path, &verdict);
        }
    }
    println!("{verdicts}");
    ensure!(verdicts.wrong.is_empty(), "{}", verdicts.wrong.join("\n"));
    ensure!(verdicts.agree > 5, "only {} blocks agree", verdicts.agree);
    Ok(())
}

/// The demo shop and its customers: two processes of one file, which do different things.
fn shop() -> Result<()> {
    let toolchain = toolchain::usual().context("no Go")?;
    let build = Build::of("demo").with(toolchain);
    let counted = build.clone().covered().executable()?;
    let gocoverdir = coverage::folder(&counted)?;
    trade(&counted, &[("GOCOVERDIR", &gocoverdir.to_string_lossy())])?;
    let truth = Profile::of_folder(&gocoverdir, toolchain)?;
    let exe = build.executable()?;
    let path = exe.to_str().context("not UTF-8")?;
    let covering = Covering::start(&["--exe", path])?;
    trade(&exe, &[])?;
    compare(&truth, &covering.interrupt()?)
}

/// A shop that is open for some seconds, and its customers.
fn trade(exe: &Path, env: &[(&str, &str)]) -> Result<()> {
    let mut shop = Command::new(exe)
        .args(["-for", "5s"])
        .envs(env.iter().copied())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = Lines::of("the shop", shop.stdout.take().context("no stdout")?);
    let said = lines.wait_for("`listening`", patience(), |line| {
        line.starts_with("listening")
    })?;
    let address = said.split_whitespace().nth(1).context("no address")?;
    run(exe, &["-load", address, "-for", "3s"], env)?;
    ensure!(shop.wait()?.success(), "the shop failed");
    Ok(())
}

/// What `paths` runs in its first part and its second.
const FIRST: &[&str] = &["main.onlyFirst", "main.(*circle).area", "main.closures"];
const SECOND: &[&str] = &["main.onlySecond", "main.onlySecond.func1"];
const NEVER: &[&str] = &["main.never", "main.smallUnused", "main.closures.func1"];
const BOTH: &[&str] = &[
    "main.branches",
    "main.dense",
    "main.mayPanic",
    "main.square.area",
];
const PERF: &[&str] = &["--attach-by", "perf_event"];

/// Starts `paths` and covers it, up to the end of its first part.
fn half(options: &[&str]) -> Result<(Target, Covering)> {
    let exe = Build::of("paths").executable()?;
    let mut target = Target::start(&exe, &[] as &[&str])?;
    let pid = target.pid.to_string();
    let covering = Covering::start(&[&["--pid", &pid, "main.*"], options].concat())?;
    target.go()?;
    target.wait_for("half")?;
    Ok((target, covering))
}

/// The second part, and the end of goinstr.
fn rest(mut target: Target, covering: Covering) -> Result<CoverReport> {
    target.go()?;
    target.wait_for(r#""type":"done""#)?;
    let report = covering.interrupt()?;
    let exe = Build::of("paths").executable()?;
    text::wait_until_original(target.pid, &exe)?;
    target.release()?;
    Ok(report)
}

fn ran(functions: &[coverage::Function], yes: &[&[&str]], no: &[&[&str]]) -> Result<()> {
    let covered = coverage::covered(functions);
    for name in yes.concat() {
        ensure!(covered.contains(name), "{name} did not run: {covered:?}");
    }
    for name in no.concat() {
        ensure!(!covered.contains(name), "{name} ran");
        ensure!(
            functions.iter().any(|function| function.function == name),
            "{name} is not told of"
        );
    }
    Ok(())
}

fn phases(options: &[&str]) -> Result<()> {
    let (target, mut covering) = half(&[&["--reset"], options].concat())?;
    covering.signal(Signal::USR1)?;
    second_phase(&mut covering)?;
    let report = rest(target, covering)?;
    let first = report.phases.get(&1).context("no first phase")?;
    ran(first, &[FIRST, BOTH], &[SECOND, NEVER])?;
    ran(&report.functions, &[SECOND, BOTH], &[FIRST, NEVER])?;
    ensure!(report.functions.iter().all(|f| f.phase == Some(2)));
    ensure!(report.ledger.end == "signal" && report.lines.is_empty());
    let by = if options.is_empty() {
        "uprobe_multi"
    } else {
        "perf_event"
    };
    ensure!(report.session["attach"] == by, "{}", report.session);
    Ok(())
}

/// Lines of `paths` that run, and lines that don't, each found by what stands in it.
fn lines() -> Result<()> {
    let (target, covering) = half(&["--lines"])?;
    let report = rest(target, covering)?;
    ran(&report.functions, &[FIRST, SECOND, BOTH], &[NEVER])?;
    ensure!(report.skipped.is_empty(), "{:?}", report.skipped);
    let (path, lines) = report.lines.first_key_value().context("no lines")?;
    let source = fs::read_to_string(path)?;
    for (text, expected) in [
        (r#"return "zero""#, true),
        (r#"return "large""#, false),
        (r#"return "negative""#, false),
        ("total += small(i)", true),
        ("return n*3 + 1", true),
        ("return n*5 + 2", false),
        (r#"text.WriteString("two")"#, true),
        (r#"text.WriteString("three")"#, true),
        (r#"text.WriteString("five")"#, false),
        (r#"return "seven""#, true),
        ("sink += 5", false),
        (r#"panic(errors.New("two"))"#, true),
        ("sink += 100", false),
        ("sink += never(sink)", false),
    ] {
        let at = source.lines().position(|line| line.trim() == text);
        let at = u32::try_from(at.with_context(|| format!("no line {text}"))? + 1)?;
        ensure!(
            lines.covered.contains(&at) == expected && lines.uncovered.contains(&at) != expected,
            "{at}: {text}: should{} have run",
            if expected { "" } else { " not" }
        );
    }
    Ok(())
}

/// Covers `paths` from its start to its end, into a file.
fn into(file: &str) -> Result<PathBuf> {
    let exe = Build::of("paths").executable()?;
    let path = build::scratch().join(file);
    let file = path.to_str().context("not UTF-8")?;
    let covering = Covering::into_file(&[
        "--exe",
        exe.to_str().context("not UTF-8")?,
        "main.*",
        "--lines",
        "--output-file",
        file,
    ])?;
    run(&exe, &[], &[])?;
    covering.interrupt_silently()?;
    Ok(path)
}

fn goinstr(args: &[&str]) -> Result<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_goinstr"))
        .args(args)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{args:?}: {text}{errors}");
    Ok(text)
}

/// In the target's module, as a user would.
fn go_tool_cover(args: &[&str]) -> Result<String> {
    let toolchain = toolchain::usual().context("no Go")?;
    let output = Command::new(&toolchain.go)
        .args(["tool", "cover"])
        .args(args)
        .current_dir(build::targets().join("paths"))
        .env("GOFLAGS", "-buildvcs=false")
        .env("GOTOOLCHAIN", "local")
        .env_remove("GOROOT")
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "go tool cover {args:?}: {errors}");
    Ok(text)
}

fn profile() -> Result<()> {
    let path = into("paths-profile.out")?;
    let path = path.to_str().context("not UTF-8")?;
    let functions = go_tool_cover(&[&format!("-func={path}")])?;
    for (name, share) in [
        ("onlyFirst", "100.0%"),
        ("mayPanic", "100.0%"),
        ("small", "100.0%"),
        ("never", "0.0%"),
        ("smallUnused", "0.0%"),
    ] {
        let line = functions
            .lines()
            .find(|line| line.split_whitespace().nth(1) == Some(name));
        let line = line.with_context(|| format!("no {name} in {functions}"))?;
        ensure!(line.ends_with(share), "{line}");
    }
    let html = format!("{path}.html");
    go_tool_cover(&[&format!("-html={path}"), "-o", &html])?;
    let html = fs::read_to_string(html)?;
    let marked = |class: &str, code: &str| {
        html.lines().any(|line| {
            line.contains(&format!("class=\"{class}\"")) && line.trim_end().ends_with(code)
        })
    };
    ensure!(marked("cov8", "return n*3 + 1"), "what ran is not marked");
    ensure!(
        marked("cov0", "return n*5 + 2"),
        "what did not run is not marked"
    );
    Ok(())
}

fn merge() -> Result<()> {
    let toolchain = toolchain::usual().context("no Go")?;
    let counted = Build::of("paths").covered().executable()?;
    let folder = coverage::folder(&counted)?;
    run(&counted, &[], &[("GOCOVERDIR", &folder.to_string_lossy())])?;
    let truth = Profile::of_folder(&folder, toolchain)?;
    // Go's blocks with nothing run: whatever has run in the merged profile came from our lines.
    let blank = folder.join("blank.out");
    let text = fs::read_to_string(folder.join("profile"))?;
    let none: Vec<String> = text
        .lines()
        .map(|line| match line.strip_suffix(" 1") {
            Some(block) => format!("{block} 0"),
            None => line.to_owned(),
        })
        .collect();
    fs::write(&blank, none.join("\n") + "\n")?;
    let ours = into("paths-merge.out")?;
    let merged = folder.join("merged.out");
    let [blank, ours, merged] =
        [&blank, &ours, &merged].map(|path| path.to_string_lossy().into_owned());
    goinstr(&["cover", "--merge", &blank, &ours, "--output-file", &merged])?;
    let both = Profile::parse(&fs::read_to_string(&merged)?)?;
    let ran = |profile: &Profile| {
        profile
            .0
            .values()
            .flatten()
            .filter(|block| block.ran)
            .count()
    };
    for (file, blocks) in truth.0.iter().filter(|(file, _)| file.contains("/paths/")) {
        let merged = both.0.get(file).context("a file is missing")?;
        ensure!(merged.len() == blocks.len(), "other blocks than Go's");
        for (merged, truth) in merged.iter().zip(blocks) {
            ensure!(
                (merged.start, merged.end) == (truth.start, truth.end)
                    && (truth.ran || !merged.ran),
                "{merged:?} is truly {truth:?}"
            );
        }
    }
    // Some blocks have no line to themselves.
    ensure!(
        ran(&both) * 2 > ran(&truth),
        "{} of {}",
        ran(&both),
        ran(&truth)
    );
    go_tool_cover(&[&format!("-func={merged}")])?;
    Ok(())
}

fn difference() -> Result<()> {
    let all = into("paths-all.json")?;
    let (target, covering) = half(&["--lines"])?;
    covering.signal(Signal::INT)?;
    let (_, lines) = covering.finish_with_lines()?;
    target.release()?;
    let first = build::scratch().join("paths-first.json");
    fs::write(&first, lines.join("\n"))?;
    let text = goinstr(&[
        "cover",
        "--diff",
        &all.to_string_lossy(),
        &first.to_string_lossy(),
        "--output",
        "json",
    ])?;
    let mut functions = BTreeSet::new();
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line)?;
        if value["type"] == "only_function" {
            functions.insert(value["function"].as_str().unwrap_or("").to_owned());
        }
    }
    // main was entered before the half was covered.
    let only = SECOND.iter().map(|&name| name.to_owned());
    let expected: BTreeSet<String> = only.collect();
    functions.remove("main.main");
    ensure!(functions == expected, "{functions:?}");
    ensure!(text.contains("only_lines"), "{text}");
    Ok(())
}

fn second_phase(covering: &mut Covering) -> Result<()> {
    let began = |line: &str| line == r#"{"type":"phase","phase":2}"#;
    let wait = covering.lines.wait_for("phase 2", patience(), began);
    wait.map(drop)
}

fn since_start() -> Result<()> {
    let (target, mut covering) = half(&["--reset", "--since-start"])?;
    covering.signal(Signal::USR1)?;
    second_phase(&mut covering)?;
    let report = rest(target, covering)?;
    ran(&report.functions, &[FIRST, SECOND, BOTH], &[NEVER])
}

fn watch() -> Result<()> {
    let (target, mut covering) = half(&["--watch"])?;
    let told =
        |name: &'static str| move |line: &str| line.contains("\"ran\"") && line.contains(name);
    covering.lines.wait_for(
        "the last of the first part",
        patience(),
        told("main.closures.func2"),
    )?;
    let report = rest(target, covering)?;
    let place = |name: &str| report.ran.iter().position(|ran| ran == name);
    ensure!(
        place("main.onlyFirst").is_some()
            && place("main.onlyFirst") < place("main.branches")
            && place("main.branches") < place("main.dense")
            && place("main.dense") < place("main.closures")
            && place("main.closures") < place("main.onlySecond"),
        "told in the order {:?}",
        report.ran
    );
    let told: BTreeSet<&str> = report.ran.iter().map(String::as_str).collect();
    ensure!(told == report.covered() && told.len() == report.ran.len());
    Ok(())
}

fn exit() -> Result<()> {
    let (mut target, covering) = half(&[])?;
    // Twenty times what passes between two looks.
    std::thread::sleep(std::time::Duration::from_secs(1));
    target.go()?;
    target.wait_for(r#""type":"done""#)?;
    target.release()?;
    let report = covering.finish()?;
    let ledger = &report.ledger;
    ensure!(
        ledger.end == "target_exit" && ledger.retirements > 0 && ledger.sites_left < ledger.sites,
        "{ledger:?}"
    );
    ran(&report.functions, &[FIRST, SECOND, BOTH], &[NEVER])
}
