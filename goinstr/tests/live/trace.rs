//! `goinstr trace`: every call, in its tree.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    Test,
    support::{
        build::Build,
        case::Case,
        measurement::goinstr,
        process::{Target, patience},
        toolchain,
    },
    test,
};

pub fn tests() -> Vec<Test> {
    let mut tests = vec![
        test("trace::every_call_is_shown_once", every_call),
        test("trace::trees_for_people", trees),
        test("trace::logs_in_files_of_a_bounded_size", rotated),
    ];
    for toolchain in toolchain::all().iter().filter(|go| go.at_least(21)) {
        tests.push(test(
            format!("trace::started_goroutines_{}", toolchain.version),
            || linked(&Build::of("links").with(toolchain)),
        ));
    }
    tests
}

const TRACED: [&str; 3] = ["main.parent", "main.child", "main.nested"];

fn every_call() -> Result<()> {
    let case = Case::of(Build::of("nesting")).command("trace");
    let measured = case.exact()?;
    let mut lines: BTreeMap<&str, u64> = BTreeMap::new();
    for call in &measured.report.calls {
        ensure!((call.depth == 0) == call.parent.is_none(), "{call:?}");
        *lines.entry(&call.function).or_default() += 1;
    }
    for (name, counts) in &measured.truth.functions {
        let seen = lines.get(name.as_str()).copied().unwrap_or_default();
        ensure!(seen == counts.calls, "{name}: {seen} lines of {counts:?}");
    }
    Ok(())
}

/// A goroutine's calls name the goroutine that started it: the one that the target says.
fn linked(build: &Build) -> Result<()> {
    let case = Case::of(build.clone()).command("trace").patterns(&TRACED);
    let measured = case.exact()?;
    let told = measured
        .truth
        .lines
        .iter()
        .find(|line| line["type"] == "goids")
        .and_then(|line| line["goids"].as_array())
        .context("the target told no goroutines")?;
    let told: BTreeSet<u64> = told.iter().filter_map(serde_json::Value::as_u64).collect();
    let calls = &measured.report.calls;
    let of = |name: &'static str| calls.iter().filter(move |call| call.function == name);
    let parents: BTreeSet<u64> = of("main.parent").map(|call| call.goid).collect();
    ensure!(parents == told, "ran on {told:?}, seen on {parents:?}");
    for child in of("main.child") {
        let parent = child.parent_goid.with_context(|| format!("{child:?}"))?;
        let around = of("main.parent")
            .any(|call| call.goid == parent && call.start_unix_ns <= child.start_unix_ns);
        ensure!(around, "{child:?} was started by no call of main.parent");
    }
    Ok(())
}

/// Every call has its line in one of the files, none of which is much larger than was asked for.
fn rotated() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("calls.log");
    let mut target = Target::start(&Build::of("nesting").executable()?, &[""; 0])?;
    let mut goinstr = Command::new(goinstr())
        .args([
            "trace",
            "--no-guard",
            "--output",
            "json",
            "--rotate",
            "4K",
            "--keep",
            "1000",
        ])
        .args(["--pid", &target.pid.to_string(), "--output-file"])
        .arg(&path)
        .arg("main.*")
        .stdout(std::process::Stdio::null())
        .spawn()?;
    // The session line is there when the probes are.
    let deadline = std::time::Instant::now() + patience();
    while std::fs::metadata(&path).map_or(0, |data| data.len()) == 0 {
        ensure!(std::time::Instant::now() < deadline, "nothing was written");
        ensure!(goinstr.try_wait()?.is_none(), "goinstr has ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    target.go()?;
    let truth = target.truth()?;
    target.release()?;
    ensure!(goinstr.wait()?.success(), "goinstr failed");
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    let mut files = 0;
    for file in folder.path().read_dir()? {
        let text = std::fs::read_to_string(file?.path())?;
        files += 1;
        ensure!(
            text.ends_with('\n') && text.len() < 5000,
            "{} bytes",
            text.len()
        );
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line)?;
            if line["type"] == "call" {
                let of = line["function"].as_str().unwrap_or_default();
                *lines.entry(of.to_owned()).or_default() += 1;
            }
        }
    }
    ensure!(files > 10, "{files} files");
    for (name, counts) in &truth.functions {
        let seen = lines.get(name).copied().unwrap_or_default();
        ensure!(
            seen == counts.calls,
            "{name}: {seen} lines of {counts:?}: {lines:?}"
        );
    }
    Ok(())
}

/// Each root with all that is under it, line after line.
fn trees() -> Result<()> {
    let exe = Build::of("links").executable()?;
    let mut target = Target::start(&exe, &[] as &[&str])?;
    let mut goinstr = Command::new(goinstr())
        .args(["trace", "--no-guard", "--pid", &target.pid.to_string()])
        .args(TRACED)
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    let mut lines =
        crate::support::lines::Lines::of("goinstr", goinstr.stdout.take().context("no stdout")?);
    lines.wait_for("the heading", patience(), |line| line.starts_with("time "))?;
    target.go()?;
    target.truth()?;
    target.release()?;
    lines.wait_for_end(patience())?;
    ensure!(goinstr.wait()?.success(), "goinstr failed");
    let shown: Vec<String> = lines
        .seen
        .iter()
        .filter_map(|line| Some(line[line.find("ms ").or(line.find("µs "))?..].to_owned()))
        .filter_map(|line| {
            let at = line.find("main.")?;
            let before = &line[..at];
            // What stands between the last figure and the name: the level, and how it is linked.
            let level = before.len() - before.trim_end_matches([' ', 'g', 'o']).len();
            Some(format!(
                "{level} {}{}",
                if before.ends_with("go ") { "go " } else { "" },
                &line[at..]
            ))
        })
        .collect();
    let tree = [
        "2 main.parent",
        "7 go main.child",
        "6 main.nested",
        "7 go main.child",
        "6 main.nested",
    ];
    if shown.len() != tree.len() * 50 {
        bail!("{} lines: {:?}", shown.len(), lines.seen);
    }
    for chunk in shown.chunks(tree.len()) {
        // Two goroutines at once: their lines may stand in either order, each under the parent.
        let mut chunk: Vec<&str> = chunk.iter().map(String::as_str).collect();
        ensure!(chunk[0] == tree[0], "{chunk:?}");
        chunk.sort_unstable();
        let mut expected = tree;
        expected.sort_unstable();
        ensure!(chunk == expected, "{chunk:?}");
    }
    Ok(())
}
