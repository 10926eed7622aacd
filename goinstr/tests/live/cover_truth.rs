//! Coverage: the same programs built with `go build -cover` are the oracle.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Test,
    support::{
        build::Build,
        coverage::{CoverReport, Covering},
        go_cover::{self, Profile, Verdicts, run},
        lines::Lines,
        process::patience,
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
        let with_code = go_cover::lines_with_code(exe, toolchain, path)?;
        let blocks = truth.blocks(path);
        for verdict in go_cover::against_blocks(blocks, lines, &source, &with_code) {
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
    let gocoverdir = go_cover::folder()?;
    trade(
        &counted,
        &[("GOCOVERDIR", &gocoverdir.path().to_string_lossy())],
    )?;
    let truth = Profile::of_folder(gocoverdir.path(), toolchain)?;
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
