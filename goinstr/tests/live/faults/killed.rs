//! Whoever is killed, and whenever.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::{Fault, Times, Watched, busy, guarding, one_of_both, some_time, survives, times};
use crate::{
    Test,
    budget::patterns,
    support::{
        build::Build,
        case::Measured,
        dice::Dice,
        measurement::Measurement,
        process::{Target, patience},
        text,
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
            name: "target_ends_at_random_moments",
            what: "target ends in good order within goinstr's first 1.5 s, at random",
            times: Times::Chances(1),
            result: "goinstr ends by itself: report, or one line",
        }
        .test(target_ends),
        Fault {
            name: "goinstr_killed_while_it_sheds",
            what: "goinstr killed while it takes functions that became loud out",
            times: Times::Chances(1),
            result: "the text is the file's again",
        }
        .test(shedding),
        Fault {
            name: "target_becomes_its_own_file_again",
            what: "target executes its own file again while it is measured",
            times: Times::Once,
            result: "noticed; the counts are the first program's, exactly",
        }
        .test(again),
    ]
}

/// With the guard every other time.
fn watched(turn: u64, pid: u32, args: &[&str]) -> Result<Watched> {
    match turn % 2 {
        0 => Watched::attaching(pid, args),
        _ => guarding(pid, args),
    }
}

fn goinstr_killed() -> Result<()> {
    let (mut target, exe) = busy(&[])?;
    let mut dice = Dice::new(1);
    for turn in 0..times()? {
        let goinstr = one_of_both(turn, target.pid, &["main.*"])?;
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
    for turn in 0..times()? {
        let (mut target, _) = busy(&[])?;
        let goinstr = watched(turn, target.pid, &["main.*"])?;
        some_time(&mut dice);
        target.signal(Signal::KILL)?;
        target.exit()?;
        goinstr.ends_with_its_target()?;
    }
    Ok(())
}

/// The same where the target comes to its own end.
fn target_ends() -> Result<()> {
    let mut dice = Dice::new(8);
    for turn in 0..times()? {
        let (mut target, _) = busy(&[])?;
        let goinstr = watched(turn, target.pid, &["main.*"])?;
        some_time(&mut dice);
        target.go()?;
        target.truth()?;
        target.release()?;
        goinstr.ends_with_its_target()?;
    }
    Ok(())
}

/// From the moment on at which it tells of the first function that goes.
fn shedding() -> Result<()> {
    let exe = Build::of("spurt").executable()?;
    let mut dice = Dice::new(9);
    for _ in 0..times()? {
        let mut target = Target::start(&exe, &[""; 0])?;
        let mut args = vec!["--max-overhead", "10", "*", "!runtime.*", "!time.*"];
        args.extend(patterns());
        let mut goinstr = guarding(target.pid, &args)?;
        goinstr.session()?;
        target.go()?;
        target.go()?;
        let shed = |line: &str| line.contains(r#""reason":"over_budget""#);
        goinstr
            .lines
            .wait_for("a function that is shed", patience(), shed)?;
        thread::sleep(Duration::from_millis(dice.below(400)));
        goinstr.killed(&mut target, &exe)?;
        target.signal(Signal::KILL)?;
        target.exit()?;
    }
    Ok(())
}

fn both_killed() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let mut dice = Dice::new(3);
    // Shares the file's pages, and so would show what is left in them.
    let mut other = Target::start(&exe, &[""; 0])?;
    for turn in 0..times()? {
        let mut target = Target::start(&exe, &[""; 0])?;
        target.go()?;
        let mut goinstr = one_of_both(turn, target.pid, &["main.*"])?;
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
    for turn in 0..times()? {
        let (mut target, exe) = busy(&["again"])?;
        // It may find nothing but the new program, and that goes on.
        let args = ["--duration", "3s", "main.*"];
        let goinstr = watched(turn, target.pid, &args)?;
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
