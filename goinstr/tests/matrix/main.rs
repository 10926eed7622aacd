//! Every Go version, every form of binary, both architectures: are all functions found, and is
//! every site the right one? Held against what each toolchain's own tools say of the unstripped
//! twin (`truth`), and printed as a table.
//!
//! By default the toolchain on PATH in every form and the oldest and newest ones in the commonest
//! forms: three to four minutes with nothing built yet, half a minute afterwards. With
//! `GOINSTR_MATRIX=all` all toolchains in all forms. What can't be built here, for want of a
//! toolchain or of a C compiler for the architecture, is ignored, told and counted as such. Programs
//! of Go versions without a toolchain are looked at where they are found (`prebuilt`), with
//! `GOINSTR_MATRIX=all` the toolchains' own programs too (`shipped`). `cargo xtask matrix` runs all of it.

#[path = "../support/toolchain.rs"]
mod toolchain;

mod compare;
mod form;
mod gosym;
mod prebuilt;
mod shipped;
mod table;
mod truth;

use std::{
    env,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use libtest_mimic::{Arguments, Failed, Trial};

use form::{Mode, Plan};
use goinstr::binary::Arch;
use shipped::Shipped;
use table::{Form, Outcome, Row, Table};
use toolchain::Toolchain;

/// Minor versions of Go that package registries have toolchains of. `cargo xtask toolchains` fetches them.
const MINORS: [u32; 8] = [19, 21, 22, 23, 24, 25, 26, 27];

/// Built by every version whatever `GOINSTR_MATRIX` says.
const COMMON: [Mode; 2] = [Mode::Executable, Mode::Pie];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let table = Arc::new(Mutex::new(Table::default()));
    let mut versions: Vec<&Toolchain> = toolchain::all().iter().collect();
    versions.sort_by_key(|toolchain| minor(toolchain));
    let mut trials = Vec::new();
    match versions.last() {
        Some(newest) => {
            trials.extend(
                plans(&versions)
                    .into_iter()
                    .map(|plan| trial(plan, newest, &table)),
            );
            if is_all() {
                let shipped = versions.iter().flat_map(|go| shipped::programs(go));
                trials.extend(shipped.map(|program| shipped_trial(program, newest, &table)));
            }
        }
        None => println!("no Go on PATH nor in ~/.cache/goinstr/go: nothing to compare with"),
    }
    for absent in MINORS
        .iter()
        .filter(|wanted| !versions.iter().any(|found| minor(found).0 == **wanted))
    {
        println!("no Go 1.{absent} on PATH nor in ~/.cache/goinstr/go: not compared");
        trials.push(Trial::test(format!("1.{absent}"), || Ok(())).with_ignored_flag(true));
    }
    let programs = prebuilt::programs();
    if programs.is_empty() {
        println!(
            "no programs in ~/.cache/goinstr/programs: Go 1.17, 1.18 and 1.20 not looked at \
             (`cargo xtask programs` fetches some)"
        );
        trials.push(Trial::test("programs", || Ok(())).with_ignored_flag(true));
    }
    let newest = versions.last().copied();
    trials.extend(
        programs
            .into_iter()
            .map(|program| prebuilt_trial(program, newest, &table)),
    );
    let conclusion = libtest_mimic::run(&arguments, trials);
    println!("{}", table.lock().unwrap_or_else(PoisonError::into_inner));
    conclusion.exit_code()
}

/// What is to be built, by the oldest toolchain first.
fn plans(versions: &[&Toolchain]) -> Vec<Plan> {
    let all = is_all();
    let ends = [versions.first(), versions.last()];

    let mut plans = Vec::new();
    for &toolchain in versions {
        let usual = toolchain::usual() == Some(toolchain);
        for arch in [Arch::X86_64, Arch::Aarch64] {
            for mode in Mode::ALL {
                let common = ends.contains(&Some(&toolchain)) && COMMON.contains(&mode);
                if all || usual || common {
                    plans.push(Plan {
                        toolchain: toolchain.clone(),
                        arch,
                        mode,
                    });
                }
            }
        }
    }
    plans
}

fn is_all() -> bool {
    env::var("GOINSTR_MATRIX").is_ok_and(|set| set == "all")
}

fn minor(toolchain: &Toolchain) -> (u32, u32) {
    let mut parts = toolchain
        .version
        .split('.')
        .skip(1)
        .map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

fn trial(plan: Plan, newest: &'static Toolchain, table: &Arc<Mutex<Table>>) -> Trial {
    let table = Arc::clone(table);
    let name = plan.to_string();
    if let Some(why) = plan.impossible() {
        for stripping in plan.strippings() {
            push(
                &table,
                Row {
                    form: Form::of(&plan, stripping),
                    outcome: Outcome::Skipped(why),
                },
            );
        }
        return Trial::test(name, || Ok(())).with_ignored_flag(true);
    }
    Trial::test(name, move || {
        let mut faults = Vec::new();
        let twin = plan.build()?;
        let truth = truth::read(&newest.go, &twin)?;
        if !plan.mode.is_as_meant(plan.arch, &truth) {
            return Err("the compiler made something else of the source: no test of it".into());
        }
        let returns = truth::returns_by_binutils(&twin, plan.arch);
        for stripping in plan.strippings() {
            let outcome = match plan.strip(&twin, stripping)? {
                Err(why) => Outcome::Skipped(why),
                Ok(binary) => {
                    let mut score = compare::compare(&binary, &truth, returns.as_ref())?;
                    score.faults.extend(compare::layouts(&twin, &binary)?);
                    faults.extend(
                        score
                            .faults
                            .iter()
                            .map(|fault| format!("{stripping}: {fault}")),
                    );
                    Outcome::Compared(score)
                }
            };
            push(
                &table,
                Row {
                    form: Form::of(&plan, stripping),
                    outcome,
                },
            );
        }
        told(faults)
    })
}

/// A program of a toolchain itself.
fn shipped_trial(program: Shipped, newest: &'static Toolchain, table: &Arc<Mutex<Table>>) -> Trial {
    let table = Arc::clone(table);
    Trial::test(program.to_string(), move || {
        let mut score = program.score(newest)?;
        let faults = std::mem::take(&mut score.faults);
        push(
            &table,
            Row {
                form: program.form(),
                outcome: Outcome::Compared(score),
            },
        );
        told(faults)
    })
}

fn prebuilt_trial(
    program: PathBuf,
    newest: Option<&'static Toolchain>,
    table: &Arc<Mutex<Table>>,
) -> Trial {
    let table = Arc::clone(table);
    let name = program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if name.starts_with("too-old-") {
        return Trial::test(name, move || {
            prebuilt::refused(&program).map_err(Failed::from)
        });
    }
    let Some(newest) = newest else {
        return Trial::test(name, || Ok(())).with_ignored_flag(true);
    };
    Trial::test(name.clone(), move || {
        let (binary, mut score) = prebuilt::check(&program, newest)?;
        let faults = std::mem::take(&mut score.faults);
        let form = Form {
            version: binary.go_version().unwrap_or("unknown").to_owned(),
            arch: binary.arch(),
            build: name,
            stripped: "as found".to_owned(),
        };
        push(
            &table,
            Row {
                form,
                outcome: Outcome::Compared(score),
            },
        );
        told(faults)
    })
}

/// The end of a trial: the first few of the differences, if there are any.
fn told(mut faults: Vec<String>) -> Result<(), Failed> {
    if faults.is_empty() {
        return Ok(());
    }
    let count = faults.len();
    faults.truncate(20);
    Err(format!("{count} differences, of which\n{}", faults.join("\n")).into())
}

fn push(table: &Mutex<Table>, row: Row) {
    table
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(row);
}
