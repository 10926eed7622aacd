//! Whoever is killed, and whenever.

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::{Fault, Times, Watched, attaching, busy, some_time, survives, times};
use crate::{
    Test,
    support::{
        build::Build, case::Measured, dice::Dice, measurement::Measurement, process::Target, text,
    },
};

pub fn tests() -> Vec<Test> {
    vec![
        Fault {
            name: "goinstr_killed_at_random_moments",
            what: "goinstr killed within its first 1.5 s, at random",
            times: Times::Chances(1),
            result: "target unharmed, measured again afterwards",
        }
        .test(goinstr_killed),
        Fault {
            name: "target_killed_at_random_moments",
            what: "target killed within goinstr's first 1.5 s, at random",
            times: Times::Chances(1),
            result: "goinstr ends by itself: report, or one line",
        }
        .test(target_killed),
        Fault {
            name: "both_killed_at_random_moments",
            what: "both killed, goinstr in its first 1.5 s",
            times: Times::Chances(1),
            result: "another process of the same file has its text unchanged",
        }
        .test(both_killed),
        Fault {
            name: "target_executes_at_random_moments",
            what: "target executes its file again within goinstr's first 1.5 s, at random",
            times: Times::Chances(1),
            result: "goinstr ends by itself: report, or one line; what the target became is unharmed",
        }
        .test(executes),
        Fault {
            name: "target_becomes_its_own_file_again",
            what: "target executes its own file again while it is measured",
            times: Times::Once,
            result: "noticed; the counts are the first program's, exactly",
        }
        .test(again),
    ]
}

fn goinstr_killed() -> Result<()> {
    let (mut target, exe) = busy(&[])?;
    let mut dice = Dice::new(1);
    for _ in 0..times()? {
        let goinstr = attaching(target.pid, &["main.*"])?;
        some_time(&mut dice);
        survives(goinstr, &mut target, &exe)?;
    }
    // It counts on, and so does the next goinstr.
    let args = ["main.work", "--interval", "100ms"];
    let mut measurement = Measurement::start(target.pid, &args)?;
    measurement.wait_for_calls("main.work", 1)?;
    target.go()?;
    target.truth()?;
    let report = measurement.interrupt()?;
    ensure!(report.ledger.lost_in_all() == 0, "{:?}", report.ledger);
    target.release()
}

/// However far goinstr has come, it ends by itself: with a report whose books balance, or with one
/// line that says that the process has gone.
fn target_killed() -> Result<()> {
    let mut dice = Dice::new(2);
    for _ in 0..times()? {
        let (mut target, _) = busy(&[])?;
        let goinstr = Watched::attaching(target.pid, &["main.*"])?;
        some_time(&mut dice);
        target.signal(Signal::KILL)?;
        target.exit()?;
        if let Some(report) = goinstr.ends_by_itself()? {
            let end = report.ledger.end;
            ensure!(end == "target_exit", "ended by {end}");
        }
    }
    Ok(())
}

fn both_killed() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let mut dice = Dice::new(3);
    // Shares the file's pages, and so would show what is left in them.
    let mut other = Target::start(&exe, &[""; 0])?;
    for _ in 0..times()? {
        let mut target = Target::start(&exe, &[""; 0])?;
        target.go()?;
        let mut goinstr = attaching(target.pid, &["main.*"])?;
        some_time(&mut dice);
        target.signal(Signal::KILL)?;
        goinstr.kill()?;
        goinstr.wait()?;
        target.exit()?;
    }
    text::wait_until_original(other.pid, &exe)?;
    other.go()?;
    other.wait_for("progress")?;
    other.go()?;
    other.truth()?;
    other.release()
}

/// The same file, executed anew by the same process, is another program: goinstr ends by itself,
/// with the counts of the first.
fn again() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let mut target = Target::start(&exe, &["again"])?;
    let functions = ["main.outer", "main.work", "main.fail", "main.ignore"];
    let measurement = Measurement::start(target.pid, &functions)?;
    target.go()?;
    target.wait_for("progress")?;
    target.go()?;
    let mut truth = target.truth()?;
    // It is the new image that says so.
    target.wait_for("ready ")?;
    let report = measurement.finish()?;
    ensure!(
        report.ledger.end == "target_exit",
        "ended by {}",
        report.ledger.end
    );
    text::wait_until_original(target.pid, &exe)?;
    ensure!(target.alive()?, "what the target became did not survive");
    truth
        .functions
        .retain(|name, _| functions.contains(&name.as_str()));
    Measured { report, truth }.agree(&[])
}

/// By execve(2) at some moment of goinstr's life: the same pid, another program.
fn executes() -> Result<()> {
    let mut dice = Dice::new(4);
    for _ in 0..times()? {
        let (mut target, exe) = busy(&["again"])?;
        // It may find nothing but the new program, and that goes on.
        let args = ["--duration", "3s", "main.*"];
        let goinstr = Watched::attaching(target.pid, &args)?;
        some_time(&mut dice);
        target.go()?;
        target.truth()?;
        // It is the new image that says so.
        target.wait_for("ready ")?;
        goinstr.ends_by_itself()?;
        text::wait_until_original(target.pid, &exe)?;
        ensure!(target.alive()?, "what the target became did not survive");
    }
    Ok(())
}
