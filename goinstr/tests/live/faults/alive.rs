//! A goinstr that does not come to its end: it is stopped, or its loop is held up, or whoever it needs is stopped, or
//! it may start nothing any more.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Signal, kill_process};

use super::{
    Fault, Times, Watched, busy, guarding,
    held::{changed, children},
    output::wait_until_it_holds,
    signal, unharmed, wait,
};
use crate::{
    Test,
    budget::{loud_in_turn, patterns},
    support::{
        build::Build,
        cgroup::{Group, Limit},
        lines::Lines,
        measurement::{Measurement, goinstr},
        process::{Target, patience},
        report::Report,
        text,
    },
};

pub fn tests() -> Vec<Test> {
    vec![
        Fault {
            name: "stopped_in_the_look_before_arming",
            what: "goinstr stopped (SIGSTOP) in the look before arming",
            times: Times::Once,
            result: "it is killed by its dead man's switch; the text is the file's again",
        }
        .test(stopped),
        Fault {
            name: "interrupted_in_the_look_before_arming",
            what: "Ctrl-C in the look before arming",
            times: Times::Once,
            result: "exit 0, a report of nothing; the text is the file's again",
        }
        .test(interrupted),
        Fault {
            name: "its_loop_is_held_up",
            what: "the loop that sees Ctrl-C held up for ever, by a tracer, while all else goes on",
            times: Times::Once,
            result: "it is killed by its dead man's switch; the text is the file's again",
        }
        .test(held_up),
        Fault {
            name: "holder_stopped_and_interrupted",
            what: "the process that holds the probes stopped (SIGSTOP), then Ctrl-C",
            times: Times::Once,
            result: "it is made to go on; exit 0, the books balance; the text is the file's again",
        }
        .test(holder_stopped),
        Fault {
            name: "holder_stopped_and_goinstr_killed",
            what: "the process that holds the probes stopped (SIGSTOP), then goinstr killed",
            times: Times::Once,
            result: "it is made to go on; the text is the file's again",
        }
        .test(holder_stopped_and_killed),
        Fault {
            name: "no_more_processes",
            what: "no further process or thread allowed (`pids.max`) before functions are shed",
            times: Times::Once,
            result: "they are shed; the books balance; the text is the file's again",
        }
        .test(no_more_processes)
        .unless(Limit::Processes.obstacle()),
        Fault {
            name: "no_process_at_all",
            what: "no process or thread but goinstr's own allowed (`pids.max`)",
            times: Times::Once,
            result: "exit 1, one line; nothing is armed",
        }
        .test(no_process)
        .unless(Limit::OneProcess.obstacle()),
        Fault {
            name: "interrupted_behind_a_full_ring",
            what: "Ctrl-C while calls that take seconds to write wait in the ring buffer",
            times: Times::Once,
            result: "the probes go at once; all that was recorded is written after that",
        }
        .test(behind),
        Fault {
            name: "a_recording_into_a_pipe_that_nobody_reads",
            what: "`goinstr record` into a pipe that is never read, its stdout another",
            times: Times::Once,
            result: "Ctrl-C takes the probes out at once; exit 1",
        }
        .test(unread_recording),
    ]
}

/// One whose look before arming has begun. Its target calls too little for the look to end early.
fn looking() -> Result<(Watched, Target, std::path::PathBuf)> {
    let exe = Build::of("steady").executable()?;
    let target = Target::start(&exe, &[""; 0])?;
    let goinstr = guarding(target.pid, &["main.outer"])?;
    changed(target.pid, &exe, |bytes| bytes > 0)?;
    Ok((goinstr, target, exe))
}

fn stopped() -> Result<()> {
    let (mut goinstr, target, exe) = looking()?;
    signal(&goinstr.goinstr, Signal::STOP)?;
    ensure!(
        text::changed_bytes(target.pid, &exe)? > 0,
        "it was stopped too late"
    );
    text::wait_until_original(target.pid, &exe)?;
    let status = goinstr.end()?;
    let said = goinstr.errors.tail();
    ensure!(said.contains("it stopped answering"), "{status}: {said}");
    ensure!(goinstr.lines.seen.is_empty(), "{:?}", goinstr.lines.seen);
    begins(target, &exe)
}

fn interrupted() -> Result<()> {
    let (mut goinstr, target, exe) = looking()?;
    signal(&goinstr.goinstr, Signal::INT)?;
    let status = goinstr.end()?;
    let said = goinstr.errors.tail();
    ensure!(
        status.success() && said.contains("nothing was measured"),
        "{status}: {said}"
    );
    let report = Report::parse(&goinstr.lines.seen)?;
    let ledger = report.ledger;
    ensure!(
        ledger.end == "signal" && ledger.entries == 0 && report.functions.is_empty(),
        "{ledger:?}"
    );
    text::wait_until_original(target.pid, &exe)?;
    begins(target, &exe)
}

/// A tracer stops its first thread, and no other.
fn held_up() -> Result<()> {
    let (target, exe) = busy(&[])?;
    let mut goinstr = guarding(target.pid, &["--max-overhead", "100", "main.outer"])?;
    goinstr.session()?;
    ensure!(text::changed_bytes(target.pid, &exe)? > 0, "no probes");
    let thread = goinstr.goinstr.id().cast_signed();
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: requests without memory, for a process of our own.
    let seized = unsafe {
        libc::ptrace(libc::PTRACE_SEIZE, thread, none, none) == 0
            && libc::ptrace(libc::PTRACE_INTERRUPT, thread, none, none) == 0
    };
    ensure!(
        seized,
        "can't trace it: {}",
        std::io::Error::last_os_error()
    );
    text::wait_until_original(target.pid, &exe)?;
    // Its tracer hears of it first, and that it is dead after that.
    let status = goinstr.end()?;
    let said = goinstr.errors.tail();
    ensure!(said.contains("it stopped answering"), "{status}: {said}");
    unharmed(target, &exe)
}

/// The process that holds the probes of a measurement, stopped.
fn with_stopped_holder() -> Result<(Watched, Target, std::path::PathBuf)> {
    let (target, exe) = busy(&[])?;
    let mut goinstr = Watched::attaching(target.pid, &["main.*"])?;
    goinstr.session()?;
    let holders = children(goinstr.goinstr.id(), &["uprobe-holder"])?;
    ensure!(holders.len() == 1, "holders: {holders:?}");
    for holder in holders {
        kill_process(holder, Signal::STOP)?;
    }
    Ok((goinstr, target, exe))
}

fn holder_stopped() -> Result<()> {
    let (mut goinstr, target, exe) = with_stopped_holder()?;
    signal(&goinstr.goinstr, Signal::INT)?;
    goinstr.ends_well()?;
    text::wait_until_original(target.pid, &exe)?;
    unharmed(target, &exe)
}

fn holder_stopped_and_killed() -> Result<()> {
    let (goinstr, mut target, exe) = with_stopped_holder()?;
    goinstr.killed(&mut target, &exe)?;
    unharmed(target, &exe)
}

/// As many as there are may be, and not one more, once it measures.
fn no_more_processes() -> Result<()> {
    let group = Group::limited(Limit::Processes, "goinstr-pids")?;
    let exe = Build::of("spurt").executable()?;
    let target = Target::start(&exe, &[""; 0])?;
    let mut args = vec!["--max-overhead", "10"];
    args.extend(patterns());
    let measurement = Measurement::start_by(group.command(goinstr()), target.pid, &args)?;
    group.close()?;
    let (_, report) = loud_in_turn(&exe, target, measurement)?;
    let ledger = report.ledger;
    let shed = ledger.lost.get("shed").copied().unwrap_or(0);
    ensure!(shed == ledger.lost_in_all(), "lost otherwise: {ledger:?}");
    Ok(())
}

fn no_process() -> Result<()> {
    let group = Group::limited(Limit::OneProcess, "goinstr-pid")?;
    let (target, exe) = busy(&[])?;
    let mut command = group.command(goinstr());
    command
        .args(["attach", "--output", "json", "--pid"])
        .arg(target.pid.to_string())
        .arg("main.*");
    let mut goinstr = Watched::of(command)?;
    let status = goinstr.end()?;
    let errors = &goinstr.errors.seen;
    ensure!(
        status.code() == Some(1) && errors.len() == 1 && errors[0].starts_with("goinstr: "),
        "{status}: {}",
        goinstr.errors.tail()
    );
    text::wait_until_original(target.pid, &exe)?;
    unharmed(target, &exe)
}

/// It is stopped while its target calls, shorter than its dead man's switch waits.
fn behind() -> Result<()> {
    let exe = Build::of("spurt").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let mut trace = Command::new(goinstr());
    trace
        .args(["trace", "--no-guard", "--output", "json", "--pid"])
        .arg(target.pid.to_string())
        .args(["--stack", "--args", "--ring-size", "131072"])
        .args(patterns());
    let mut trace = Watched::of(trace)?;
    trace.session()?;
    signal(&trace.goinstr, Signal::STOP)?;
    for _ in 0..6 {
        target.go()?;
    }
    thread::sleep(Duration::from_secs(2));
    signal(&trace.goinstr, Signal::CONT)?;
    signal(&trace.goinstr, Signal::INT)?;
    text::wait_until_original(target.pid, &exe)?;
    let written = trace.lines.so_far();
    trace.ends_well()?;
    let all = trace.lines.seen.len();
    ensure!(
        written < all / 4,
        "{written} of {all} lines were written before the probes went"
    );
    target.go()?;
    target.truth()?;
    target.release()
}

/// Both outputs are pipes which stay open and are never read.
fn unread_recording() -> Result<()> {
    let (target, exe) = busy(&[])?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("recording");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU)?;
    // Read and write, so that neither side waits for the other to open it.
    let unread = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&path)?;
    rustix::pipe::fcntl_setpipe_size(&unread, 4096)?;
    let mut goinstr = recording(target.pid, &path)?;
    let stdout = goinstr.stdout.take().context("stdout")?;
    rustix::pipe::fcntl_setpipe_size(&stdout, 4096)?;
    let mut errors = Lines::of("goinstr", goinstr.stderr.take().context("stderr")?);
    changed(target.pid, &exe, |bytes| bytes > 0)?;
    // Each second some hundreds of calls are recorded: the pipe has no room for the next frame.
    wait_until_it_holds(&unread, 3000)?;
    thread::sleep(Duration::from_secs(2));
    signal(&goinstr, Signal::INT)?;
    text::wait_until_original(target.pid, &exe)?;
    let status = wait(&mut goinstr)?;
    errors.wait_for_end(patience())?;
    let told = errors.tail();
    ensure!(
        status.code() == Some(1)
            && told.contains("the recording")
            && told.contains("stopped reading"),
        "{status}: {told}"
    );
    unharmed(target, &exe)
}

fn recording(pid: u32, path: &Path) -> Result<Child> {
    Command::new(goinstr())
        .args(["record", "--output", "json", "--no-guard", "-o"])
        .arg(path)
        .arg("--pid")
        .arg(pid.to_string())
        .args(["/^main\\./", "/^runtime\\.[a-c]/"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("can't run goinstr")
}

/// A target that has not begun goes on to its end.
fn begins(mut target: Target, exe: &Path) -> Result<()> {
    target.go()?;
    target.wait_for("progress")?;
    unharmed(target, exe)
}
