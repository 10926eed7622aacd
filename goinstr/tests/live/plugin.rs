//! Several files of Go functions in one process: a program and the plugin it has loaded.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Test,
    support::{
        build::{Build, targets},
        case::Case,
        measurement::goinstr,
        process::Target,
        text,
    },
    test,
};

pub fn tests() -> Vec<Test> {
    [false, true]
        .into_iter()
        .flat_map(|stripped| {
            let form = if stripped { "stripped" } else { "whole" };
            [
                test(
                    format!("plugin::functions_are_measured_{form}"),
                    move || measured(stripped),
                )
                .needing_c(),
                test(format!("plugin::functions_are_listed_{form}"), move || {
                    listed(stripped)
                })
                .needing_c(),
            ]
        })
        .collect()
}

/// The program and its plugin.
fn builds(stripped: bool) -> (Build, Build) {
    let program = Build::of("plugged").cgo();
    let plugin = Build::in_folder(targets().join("plugged/extra")).plugin();
    if stripped {
        (program.stripped(), plugin.stripped())
    } else {
        (program, plugin)
    }
}

/// Without a pattern: the functions of the main module are those of both files. What a panic
/// abandons in the plugin, the plugin's own copy of the runtime tells.
fn measured(stripped: bool) -> Result<()> {
    let (program, plugin) = builds(stripped);
    let plugin = plugin.executable()?;
    let case = Case::of(program).args(&[&plugin.to_string_lossy()]);
    for patterns in [&[][..], &["main.*", "*extra.*"]] {
        // It does nothing but return.
        let idle = "example.com/plugged/extra.main";
        case.clone().patterns(patterns).may_skip(&[idle]).exact()?;
    }
    // Only what a panic abandons; the pattern that takes away concerns the other file.
    let measured = case.patterns(&["*extra.fail", "!main.main"]).run()?;
    let (counts, truth) = (measured.report.counts(), measured.truth.functions);
    let name = "example.com/plugged/extra.fail";
    ensure!(
        counts.len() == 1 && counts.get(name) == truth.get(name),
        "{counts:?}, in truth {truth:?}"
    );
    Ok(())
}

fn listed(stripped: bool) -> Result<()> {
    let (program, plugin) = builds(stripped);
    let exe = program.executable()?;
    let plugin: PathBuf = plugin.executable()?;
    let target = Target::start(&exe, &[&plugin])?;
    let list = |patterns: &[&str]| -> Result<Vec<serde_json::Value>> {
        let output = Command::new(goinstr())
            .args(["list", "--output", "json", "--pid"])
            .arg(target.pid.to_string())
            .args(patterns)
            .output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{error}");
        let lines = std::str::from_utf8(&output.stdout)?.lines();
        lines.map(|line| Ok(serde_json::from_str(line)?)).collect()
    };
    let library = plugin.to_str().context("a path of ours is UTF-8")?;
    let of = |listed: &[serde_json::Value], name: &str| -> Vec<Option<String>> {
        let named = listed.iter().filter(|line| line["function"] == name);
        named
            .map(|line| line["library"].as_str().map(str::to_owned))
            .collect()
    };
    let all = list(&[])?;
    let own = Some(library.to_owned());
    ensure!(of(&all, "main.work") == [None], "{all:?}");
    ensure!(
        of(&all, "example.com/plugged/extra.Serve") == [own.clone()],
        "{all:?}"
    );
    // Both files have a copy, and both are called.
    let copies = list(&["strings.Repeat"])?;
    ensure!(of(&copies, "strings.Repeat") == [None, own], "{copies:?}");
    let nothing = list(&["*extra.Sreve"]);
    ensure!(
        nothing.is_err_and(|error| error.to_string().contains("no function matches")),
        "a pattern that matches in no file"
    );
    text::wait_until_original(target.pid, &exe)?;
    target.release()
}
