//! Random programs that count themselves: goinstr must agree on every count of every function.
//!
//! An ordinary run takes the seeds of `failed_seeds.txt` and a few more, with the usual Go,
//! optimised, not optimised, and with some of the functions measured. `GOINSTR_SEEDS=100..400` (or `GOINSTR_SEEDS=300` for the first 300) takes
//! these seeds instead, with every Go toolchain of the machine. Many seeds are one executable, of
//! one package each; the argument says which one runs.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Test,
    support::{
        build::{self, Build},
        case::Case,
        dice::Dice,
        generate,
        process::Target,
        toolchain::{self, Toolchain},
        truth::Counts,
    },
    test,
};

const MODULE: &str = "example.com/random";
const FAILED: &str = include_str!("failed_seeds.txt");
/// Seeds of an ordinary run.
const ORDINARY: u64 = 20;
/// Packages in one executable: compiled in some seconds.
const BATCH: usize = 25;

/// How a program is compiled and measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Optimised,
    Unoptimised,
    /// Optimised, and some of its functions measured: what abandons a call must not be learnt from
    /// the calls around it.
    InPart,
}

pub fn tests() -> Vec<Test> {
    let (seeds, toolchains) = match env::var("GOINSTR_SEEDS") {
        Ok(range) => (wanted(&range), toolchain::all()),
        Err(_) => (ordinary(), toolchain::all().get(..1).unwrap_or_default()),
    };
    let mut tests = vec![test("random::programs_know_their_calls", know_themselves)];
    for batch in seeds.chunks(BATCH) {
        for go in toolchains {
            for form in [Form::Optimised, Form::Unoptimised, Form::InPart] {
                for &seed in batch {
                    let name = format!("random::seed_{seed}_go_{}_{form:?}", go.version);
                    let batch = batch.to_vec();
                    tests.push(test(name.to_lowercase(), move || {
                        agrees(seed, &batch, go, form)
                    }));
                }
            }
        }
    }
    tests
}

fn ordinary() -> Vec<u64> {
    let failed = FAILED
        .lines()
        .filter_map(|line| line.split('#').next()?.trim().parse().ok());
    let seeds: BTreeSet<u64> = failed.chain(0..ORDINARY).collect();
    seeds.into_iter().collect()
}

/// `A..B`, or `N` for `0..N`.
fn wanted(range: &str) -> Vec<u64> {
    let (from, to) = range.split_once("..").unwrap_or(("0", range));
    match (from.trim().parse::<u64>(), to.trim().parse::<u64>()) {
        (Ok(from), Ok(to)) => (from..to).collect(),
        _ => panic!("GOINSTR_SEEDS is {range:?}, not A..B or N"),
    }
}

/// The oracle itself: every program ends, and together they do all that is to be told apart.
fn know_themselves() -> Result<()> {
    let seeds = ordinary();
    let exe = Build::in_folder(module(&seeds)?).executable()?;
    let mut all = Counts::default();
    for seed in seeds {
        let mut target = Target::start(&exe, &[seed.to_string()])?;
        target.go()?;
        let truth = target.truth()?;
        target.release()?;
        for (name, &counts) in &truth.functions {
            ensure!(
                counts.unwound <= counts.calls,
                "{name} of seed {seed}: {counts:?}"
            );
            all += counts;
        }
    }
    ensure!(
        all.calls > 10_000 && all.unwound > 1000 && all.in_flight > 10,
        "the programs do too little: {all:?}"
    );
    Ok(())
}

fn agrees(seed: u64, batch: &[u64], go: &Toolchain, form: Form) -> Result<()> {
    let source = module(batch)?;
    let mut build = Build::in_folder(source.clone()).with(go);
    if form == Form::Unoptimised {
        build = build.unoptimised();
    }
    let functions = format!("{MODULE}/{}.", package(seed));
    let pattern = match form {
        Form::Optimised | Form::Unoptimised => format!("{functions}*"),
        Form::InPart => in_part(seed),
    };
    let mut measured = Case::of(build)
        .args(&[&seed.to_string()])
        .patterns(&[&pattern])
        .run()
        .with_context(|| format!("seed {seed}, {pattern}"))?;
    // Every package of the executable has its counters.
    let chosen = measured.report.counts();
    measured.truth.functions.retain(|name, _| {
        name.starts_with(&functions) && (form != Form::InPart || chosen.contains_key(name))
    });
    let calls: u64 = measured
        .truth
        .functions
        .values()
        .map(|counts| counts.calls)
        .sum();
    ensure!(calls > 0, "seed {seed} made no call at all");
    measured
        .agree(&[])
        .with_context(|| format!("seed {seed}, {pattern}, source in {}", source.display()))
}

/// A regular expression for about half of a program's functions, by the number in their names.
fn in_part(seed: u64) -> String {
    let mut dice = Dice::new(!seed);
    // Every program has a leaf0, so that something is left.
    let mut digits = String::from("0");
    digits.extend(('1'..='9').filter(|_| dice.percent(45)));
    format!(
        r"/^example\.com\/random\/{}\.[^0-9]*[{digits}]/",
        package(seed)
    )
}

fn package(seed: u64) -> String {
    format!("seed{seed}")
}

/// Writes the module of some seeds and returns its folder. The text depends on the seeds alone, so
/// that whoever writes it again changes nothing.
fn module(seeds: &[u64]) -> Result<PathBuf> {
    let (first, last) = seeds.first().zip(seeds.last()).context("no seeds")?;
    let folder = build::scratch().join(format!("random-{first}-{last}-{}", seeds.len()));
    let mut imports = String::new();
    let mut runs = String::new();
    for &seed in seeds {
        let name = package(seed);
        write(
            &folder.join(&name).join("program.go"),
            &generate::package(MODULE, &name, seed),
        )?;
        imports.push_str(&format!("\"{MODULE}/{name}\"\n"));
        runs.push_str(&format!(
            "case \"{seed}\":\n{name}.Runs.In()\n{name}.Run()\n{name}.Runs.Out()\n"
        ));
    }
    write(
        &folder.join("main.go"),
        &format!(
            "package main\n\nimport (\n\"os\"\n\n\"example.com/handshake\"\n\"example.com/handshake/chance\"\n{imports})\n\nfunc main() {{\nhandshake.Ready()\nswitch os.Args[1] {{\n{runs}}}\nchance.Settle()\nhandshake.Done()\n}}\n"
        ),
    )?;
    let handshake = build::targets().join("handshake").canonicalize()?;
    write(
        &folder.join("go.mod"),
        &format!(
            "module {MODULE}\n\ngo 1.19\n\nrequire example.com/handshake v0.0.0\n\nreplace example.com/handshake => {}\n",
            handshake.display()
        ),
    )?;
    Ok(folder)
}

/// Writes a file unless it is so already: tests that share a module don't disturb each other.
fn write(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let folder = path.parent().context("a file without a folder")?;
    fs::create_dir_all(folder)?;
    let mut scratch = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut scratch, text.as_bytes())?;
    scratch.persist(path)?;
    Ok(())
}
