//! Coverage in files: what other tools read, and what is put together and compared.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use crate::{
    Test,
    cover::{SECOND, half},
    support::{
        build::{self, Build},
        coverage::Covering,
        go_cover::{self, Profile, run},
        measurement, toolchain,
    },
    test,
};

/// The package of PyPI that reads LCOV.
const LCOV_READER: &str = "lcov_cobertura";

pub fn tests() -> Vec<Test> {
    vec![
        test("cover::go_tool_cover_reads_the_profile", profile),
        test("cover::a_profile_of_go_is_merged_block_by_block", merge),
        test("cover::runs_are_put_together", two_runs),
        test(
            "cover::a_difference_is_what_ran_only_in_the_first",
            difference,
        ),
        test("cover::another_tool_reads_the_tracefile", tracefile)
            .needing(&["python3", LCOV_READER]),
    ]
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
    let output = Command::new(measurement::goinstr()).args(args).output()?;
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
    let scratch = go_cover::folder()?;
    let folder = scratch.path();
    run(&counted, &[], &[("GOCOVERDIR", &folder.to_string_lossy())])?;
    let truth = Profile::of_folder(folder, toolchain)?;
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

/// What a run of the first half and one of the second have, together.
fn two_runs() -> Result<()> {
    let (target, covering) = half(&["--lines"])?;
    covering.signal(Signal::INT)?;
    let (first, lines) = covering.finish_with_lines()?;
    target.release()?;
    let one = build::scratch().join("paths-half.json");
    fs::write(&one, lines.join("\n"))?;
    let all = into("paths-whole.json")?;
    let merged = |files: [&PathBuf; 2]| -> Result<BTreeMap<String, bool>> {
        let [a, b] = files.map(|file| file.to_string_lossy().into_owned());
        let text = goinstr(&["cover", "--merge", &a, &b, "--output", "json"])?;
        let mut functions = BTreeMap::new();
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line)?;
            if value["type"] == "coverage" {
                let name = value["function"].as_str().context("no name")?;
                functions.insert(name.to_owned(), value["covered"] == true);
            }
        }
        Ok(functions)
    };
    let both = merged([&one, &all])?;
    for name in SECOND {
        ensure!(both.get(*name) == Some(&true), "{name}: {both:?}");
    }
    ensure!(both.get("main.never") == Some(&false), "{both:?}");
    // Alone, the half has nothing of the second part.
    let half = merged([&one, &one])?;
    let ran: BTreeSet<&str> = half
        .iter()
        .filter(|(_, ran)| **ran)
        .map(|(name, _)| name.as_str())
        .collect();
    ensure!(ran == first.covered(), "{ran:?}");
    Ok(())
}

/// What a reader of LCOV that isn't ours makes of a tracefile: a line `file line hits` for each line.
const READ_TRACEFILE: &str = r#"
import sys, xml.etree.ElementTree as tree
from lcov_cobertura import LcovCobertura
text = open(sys.argv[1]).read()
for file in tree.fromstring(LcovCobertura(text).convert()).iter("class"):
    for line in file.find("lines"):
        print(file.get("filename"), line.get("number"), line.get("hits"))
    for method in file.iter("method"):
        hits = max(int(line.get("hits")) for line in method.iter("line"))
        print("function", method.get("name"), hits)
"#;

fn tracefile() -> Result<()> {
    let path = into("paths.info")?;
    let output = Command::new("python3")
        .args(["-c", READ_TRACEFILE])
        .arg(&path)
        .current_dir("/")
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout)?;
    let source = fs::read_to_string(build::targets().join("paths/main.go"))?;
    for (code, ran) in [
        (r#"return "zero""#, true),
        (r#"return "large""#, false),
        ("return n*3 + 1", true),
        ("return n*5 + 2", false),
        (r#"text.WriteString("five")"#, false),
    ] {
        let at = source.lines().position(|line| line.trim() == code);
        let at = at.with_context(|| format!("no line {code}"))? + 1;
        let line = text.lines().find(|line| {
            let mut words = line.split(' ');
            words
                .next()
                .is_some_and(|file| file.ends_with("paths/main.go"))
                && words.next() == Some(&at.to_string())
        });
        let line = line.with_context(|| format!("no line {at} in {text}"))?;
        ensure!(line.ends_with(" 0") != ran, "{code}: {line}");
    }
    for (name, ran) in [("main.onlyFirst", true), ("main.never", false)] {
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("function {name} ")))
            .with_context(|| format!("no {name} in {text}"))?;
        ensure!(line.ends_with(" 0") != ran, "{line}");
    }
    Ok(())
}
