//! `cargo xtask fuzz`: libFuzzer on the targets of `fuzz/`.
//!
//! The coverage that guides it is a pass of LLVM that the stable compiler has too, and what is
//! fuzzed has no `unsafe` of its own, so it is built without a sanitizer: neither nightly nor
//! cargo-fuzz is needed, only a C++ compiler for libFuzzer itself. Only our own crates are built with it, by a
//! wrapper around rustc: what they depend on is what the tests have built already. Of gimli and object,
//! which are generic, most is in our crates.

use crate::{
    command,
    packages::{self, Apt, Package},
    setup, workspace,
};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

/// Has the compiler count the edges of all code and report what is compared with what.
const COVERAGE: [&str; 7] = [
    "--cfg=fuzzing",
    "-Copt-level=1",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Seconds that one input may take, and MB: the promise is bounded time and memory.
const SLOW: u32 = 10;
const MEMORY: u32 = 1024;

/// Longest input. What matters in each format fits, and short inputs are tried more often.
const LENGTH: u32 = 4096;

/// Inputs of a corpus in the repository: the ordinary tests go through all of them.
const KEPT: usize = 80;

#[derive(clap::Args)]
pub struct Arguments {
    /// Which of fuzz/fuzz_targets; all of them, one after the other, if none is named
    targets: Vec<String>,
    /// For how long each
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Begin every run with this, so that it goes the same way again as far as its time reaches
    #[arg(long)]
    seed: Option<u32>,
    /// Add the smallest of what a run has found, and what covers something new, to fuzz/corpus
    #[arg(long)]
    keep: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    setup::run(setup::Scope::Build)?;
    compiler()?;
    let all = targets()?;
    if let Some(unknown) = arguments.targets.iter().find(|name| !all.contains(name)) {
        bail!("there is no target {unknown}: there are {}", all.join(", "));
    }
    let chosen = if arguments.targets.is_empty() {
        all
    } else {
        arguments.targets.clone()
    };
    let built = build(&chosen)?;
    let mut failed = Vec::new();
    for name in &chosen {
        if let Err(why) = fuzz(&built.join(name), name, arguments) {
            eprintln!("error: {why:#}");
            failed.push(name.as_str());
        }
    }
    if !failed.is_empty() {
        bail!(
            "{} broke a promise: the input is in {}; it passes when it is mended, and then \
             belongs into fuzz/corpus",
            failed.join(", "),
            workspace::target_dir().join("fuzz/artifacts").display()
        );
    }
    Ok(())
}

/// A C++ compiler: libFuzzer is compiled from source.
fn compiler() -> Result<()> {
    if command::find("c++").is_some() || std::env::var_os("CXX").is_some() {
        return Ok(());
    }
    let package = [Package::new("g++", "compiles libFuzzer")];
    match Apt::here() {
        Some(apt) => apt.install(&package),
        None => packages::by_hand(&package),
    }
}

/// The names of the files in `fuzz/fuzz_targets`.
fn targets() -> Result<Vec<String>> {
    let folder = workspace::root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// The folder of the built targets.
fn build(names: &[String]) -> Result<PathBuf> {
    let mut cargo = workspace::cargo();
    cargo
        .args(["build", "--locked", "--workspace"])
        .args(["--features", "goinstr-fuzz/guided"])
        .env("RUSTC_WORKSPACE_WRAPPER", wrapper()?);
    for name in names {
        cargo.args(["--bin", name]);
    }
    command::run(&mut cargo)?;
    Ok(workspace::target_dir().join("debug"))
}

/// A rustc that adds the flags to our own crates, but for what runs while it is built.
fn wrapper() -> Result<PathBuf> {
    let place = workspace::target_dir().join("fuzz/rustc");
    let script = format!(
        "#!/bin/sh\n\
         rustc=\"$1\"; shift\n\
         case \" $* \" in *' --crate-name build_script_'*) exec \"$rustc\" \"$@\";; esac\n\
         exec \"$rustc\" \"$@\" {}\n",
        COVERAGE.join(" ")
    );
    fs::create_dir_all(workspace::target_dir().join("fuzz"))?;
    // Written anew only if it is another: cargo looks at its time.
    if fs::read_to_string(&place).is_ok_and(|there| there == script) {
        return Ok(place);
    }
    fs::write(&place, script).with_context(|| place.display().to_string())?;
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
    Ok(place)
}

/// One run. What it finds and is new goes into `target/fuzz/corpus`, which the next begins with.
fn fuzz(target: &Path, name: &str, arguments: &Arguments) -> Result<()> {
    let place = |what: &str| workspace::target_dir().join("fuzz").join(what).join(name);
    let (found, artifacts) = (place("corpus"), place("artifacts"));
    let kept = workspace::root().join("fuzz/corpus").join(name);
    for folder in [&found, &artifacts, &kept] {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let mut libfuzzer = Command::new(target);
    libfuzzer
        .args([&found, &kept])
        .arg(format!("-max_total_time={}", arguments.seconds))
        .arg(format!("-timeout={SLOW}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-max_len={LENGTH}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(arguments.seed.map(|seed| format!("-seed={seed}")))
        .arg("-print_final_stats=1")
        // What a person watches, a log needn't keep: thousands of lines.
        .arg(match std::env::var_os("CI") {
            Some(_) => "-verbosity=0",
            None => "-verbosity=1",
        });
    command::run(&mut libfuzzer)?;
    if arguments.keep {
        keep(target, &found, &kept)?;
    }
    Ok(())
}

/// Adds to `kept` the smallest of what was found and covers something that nothing kept covers, up
/// to [`KEPT`] inputs in all.
fn keep(target: &Path, found: &Path, kept: &Path) -> Result<()> {
    let fresh = found.with_extension("merged");
    let _ = fs::remove_dir_all(&fresh);
    fs::create_dir_all(&fresh)?;
    for old in fs::read_dir(kept)?.flatten() {
        fs::copy(old.path(), fresh.join(old.file_name()))?;
    }
    // Without counts of how often an edge was taken: they multiply the inputs, not what is tested.
    let mut merge = Command::new(target);
    command::run(
        merge
            .args(["-set_cover_merge=1", "-use_counters=0", "-use_cmp=0"])
            .args([&fresh, found]),
    )?;
    let mut inputs = Vec::new();
    for input in fs::read_dir(&fresh)?.flatten() {
        if !kept.join(input.file_name()).exists() {
            inputs.push((input.metadata()?.len(), input.path()));
        }
    }
    inputs.sort();
    let room = KEPT.saturating_sub(fs::read_dir(kept)?.count());
    for (_, input) in inputs.into_iter().take(room) {
        fs::copy(&input, kept.join(input.file_name().unwrap_or_default()))?;
    }
    fs::remove_dir_all(&fresh).map_err(Into::into)
}
