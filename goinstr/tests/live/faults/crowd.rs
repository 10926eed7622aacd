//! More than fits: processes without end, more goroutines than there is room for.

use std::{
    fs,
    process::{Command, Stdio},
};

use anyhow::{Result, ensure};

use super::{Fault, Times, times};
use crate::{
    Test, goroutine,
    support::{
        build::{self, Build},
        measurement::Measurement,
        process::spawn,
    },
};

/// Processes for each of `GOINSTR_FAULTS`: a hundred of those are four thousand.
const PROCESSES: u64 = 40;

pub fn tests() -> Vec<Test> {
    vec![
        Fault {
            name: "many_short_lived_processes",
            what: "short-lived processes of the same executable (`--exe`)",
            times: Times::Chances(PROCESSES),
            result: "every call of every process counted",
        }
        .test(short_lived),
        Fault {
            name: "more_goroutines_than_room",
            what: "more goroutines than there is room for",
            times: Times::Once,
            result: "`table_full`, every entry counted, the ledger balances",
        }
        .test(table_full),
    ]
}

/// Every call of every process that runs the file, however short it lives.
fn short_lived() -> Result<()> {
    // Each child of steady: a load of a thousand rounds, as its source says.
    const ROUNDS: u64 = 1000;
    let pairs = PROCESSES / 2 * times()?;
    // A file of its own: other tests run steady too.
    let folder = tempfile::tempdir_in(build::scratch())?;
    let exe = folder.path().join("short-lived");
    fs::copy(Build::of("steady").executable()?, &exe)?;
    let functions = [
        "main.load",
        "main.outer",
        "main.work",
        "main.fail",
        "main.ignore",
    ];
    let measurement = Measurement::start_file(&exe, &functions)?;
    for _ in 0..pairs {
        let mut children = Vec::new();
        for _ in 0..2 {
            let mut child = Command::new(&exe);
            children.push(spawn(child.arg("child").stdin(Stdio::null()))?);
        }
        for mut child in children {
            ensure!(child.wait()?.success(), "a child was harmed");
        }
    }
    let report = measurement.interrupt()?;
    ensure!(report.ledger.lost_in_all() == 0, "{:?}", report.ledger);
    for function in functions {
        let loads = 2 * pairs;
        let calls = report.function(function)?.calls;
        let expected = if function == "main.load" {
            loads
        } else {
            loads * ROUNDS
        };
        ensure!(
            calls == expected,
            "{function}: counted {calls}, true {expected}: {:?}",
            report.ledger
        );
    }
    Ok(())
}

/// More goroutines than a small program at its start makes room for: what does not fit is counted.
fn table_full() -> Result<()> {
    let ledger = goroutine::born("150000")?.report.ledger;
    ensure!(
        ledger.lost.get("table_full") > Some(&0),
        "it was not full, so this proves nothing: {ledger:?}"
    );
    Ok(())
}
