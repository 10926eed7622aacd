//! Every Go version, every form of binary, both architectures: are all functions found, and is
//! every site the right one? Held against what each toolchain's own tools say of the unstripped
//! twin (`truth`), and printed as a table.
//!
//! By default the toolchain on PATH in every form and the oldest and newest ones in the commonest
//! forms; with `GOINSTR_MATRIX=all` all toolchains in all forms. Without any Go nothing is tested,
//! and that is said. What can't be built here is ignored and counted as such.

#[path = "../support/toolchain.rs"]
#[expect(dead_code, reason = "shared with the live tests, which ask more of it")]
mod toolchain;

mod compare;
mod form;
mod table;
mod truth;

use std::{
    env,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use libtest_mimic::{Arguments, Trial};

use form::{Mode, Plan};
use goinstr::binary::Arch;
use table::{Outcome, Row, Table};
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
    let conclusion = libtest_mimic::run(&arguments, trials);
    println!("{}", table.lock().unwrap_or_else(PoisonError::into_inner));
    conclusion.exit_code()
}

/// What is to be built, by the oldest toolchain first.
fn plans(versions: &[&Toolchain]) -> Vec<Plan> {
    let all = env::var("GOINSTR_MATRIX").is_ok_and(|set| set == "all");
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
                    plan: plan.clone(),
                    stripping,
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
        let returns = truth::returns_by_binutils(&twin, plan.arch);
        for stripping in plan.strippings() {
            let outcome = match plan.strip(&twin, stripping)? {
                Err(why) => Outcome::Skipped(why),
                Ok(binary) => {
                    let score = compare::compare(&binary, &truth, returns.as_ref())?;
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
                    plan: plan.clone(),
                    stripping,
                    outcome,
                },
            );
        }
        if faults.is_empty() {
            return Ok(());
        }
        let count = faults.len();
        faults.truncate(20);
        Err(format!("{count} differences, of which\n{}", faults.join("\n")).into())
    })
}

fn push(table: &Mutex<Table>, row: Row) {
    table
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(row);
}
