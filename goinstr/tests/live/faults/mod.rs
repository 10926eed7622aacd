//! What goes wrong around a measurement: kills at random moments, outputs that take nothing, files
//! that are replaced, tables that are full. After each: the target unharmed and its text its own,
//! the ledger balanced or the loss named. That nothing is left in the kernel is checked at the end
//! of all live tests.
//!
//! `GOINSTR_FAULTS` is how often each is tried that depends on chance; into the file
//! `GOINSTR_FAULTS_TABLE` each writes its row (`cargo xtask faults`).

mod alive;
mod crowd;
mod environment;
mod file;
mod frozen;
mod held;
mod killed;
mod output;
mod watched;

use std::{
    env,
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Test,
    support::{
        build::Build,
        dice::Dice,
        measurement::goinstr,
        process::{Target, patience},
        text,
    },
    test,
};
use watched::Watched;

pub fn tests() -> Vec<Test> {
    let groups = [
        killed::tests(),
        held::tests(),
        alive::tests(),
        output::tests(),
        file::tests(),
        crowd::tests(),
        environment::tests(),
        frozen::tests(),
    ];
    groups.into_iter().flatten().collect()
}

/// A fault as the table has it: what is done, how often, what has to come of it.
struct Fault {
    name: &'static str,
    what: &'static str,
    times: Times,
    result: &'static str,
}

/// How often it is tried.
#[derive(Clone, Copy)]
enum Times {
    Once,
    /// As often as `GOINSTR_FAULTS` says, times this.
    Chances(u64),
}

impl Fault {
    /// The test that tries it and, asked for the table, writes the row.
    fn test(self, run: impl FnOnce() -> Result<()> + Send + 'static) -> Test {
        test(format!("faults::{}", self.name), move || {
            let outcome = run();
            if let Some(table) = env::var_os("GOINSTR_FAULTS_TABLE") {
                let tried = match self.times {
                    Times::Once => 1,
                    Times::Chances(each) => each * times()?,
                };
                let result = match &outcome {
                    Ok(()) => self.result.to_owned(),
                    Err(error) => format!("FAILED: {error:#}").replace('\n', " "),
                };
                let mut table = OpenOptions::new().append(true).create(true).open(table)?;
                // One write, so that rows of tests that run at once stay whole.
                table.write_all(format!("| {} | {tried} | {result} |\n", self.what).as_bytes())?;
            }
            outcome
        })
    }
}

/// How often what depends on chance is tried.
fn times() -> Result<u64> {
    Ok(env::var("GOINSTR_FAULTS").map_or(Ok(3), |text| text.parse())?)
}

/// A goinstr at some point of its life.
fn attaching(pid: u32, args: &[&str]) -> Result<Child> {
    spawn(&mut attach(pid, &[&["--no-guard"], args].concat()))
}

/// The same, every other time as users have it: with the guard, which looks before it arms.
fn one_of_both(turn: u64, pid: u32, args: &[&str]) -> Result<Child> {
    match turn % 2 {
        0 => attaching(pid, args),
        _ => spawn(&mut attach(pid, args)),
    }
}

/// One with the guard, whose output is read.
fn guarding(pid: u32, args: &[&str]) -> Result<Watched> {
    Watched::of(attach(pid, args))
}

fn attach(pid: u32, args: &[&str]) -> Command {
    let mut command = Command::new(goinstr());
    command
        .args(["attach", "--output", "json", "--pid"])
        .arg(pid.to_string())
        .args(args);
    command
}

fn spawn(command: &mut Command) -> Result<Child> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("can't run goinstr")
}

fn signal(child: &Child, signal: Signal) -> Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.context("a pid that is none")?, signal).context("can't signal goinstr")
}

fn wait(child: &mut Child) -> Result<ExitStatus> {
    let deadline = Instant::now() + patience();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            bail!("waited {:?} in vain for goinstr to end", patience());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Some moment: while goinstr reads the file, calibrates, loads, arms or measures.
fn some_time(dice: &mut Dice) {
    thread::sleep(Duration::from_millis(dice.below(1500)));
}

/// `steady` in the midst of its load, and its executable.
fn busy(args: &[&str]) -> Result<(Target, PathBuf)> {
    let exe = Build::of("steady").executable()?;
    let mut target = Target::start(&exe, args)?;
    target.go()?;
    target.wait_for("progress")?;
    Ok((target, exe))
}

/// Kills goinstr; the target goes on, with the text of its file.
fn survives(mut goinstr: Child, target: &mut Target, exe: &Path) -> Result<()> {
    goinstr.kill()?;
    goinstr.wait()?;
    text::wait_until_original(target.pid, exe)?;
    ensure!(target.alive()?, "the target did not survive");
    Ok(())
}

fn unharmed(mut target: Target, exe: &Path) -> Result<()> {
    text::wait_until_original(target.pid, exe)?;
    ensure!(target.alive()?, "the target did not survive");
    target.go()?;
    target.truth()?;
    target.release()
}
