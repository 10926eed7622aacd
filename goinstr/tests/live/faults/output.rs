//! Outputs that take nothing.

use std::{
    os::fd::AsFd,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;

use super::{Fault, Times, attaching, held::changed, signal, unharmed, wait};
use crate::{
    Test,
    support::{
        build::Build,
        lines::Lines,
        process::{Target, patience},
        report::Ledger,
        text,
    },
};

pub fn tests() -> Vec<Test> {
    vec![
        Fault {
            name: "a_full_disk_ends_it_and_the_books_are_told",
            what: "output file on a full disk (`/dev/full`)",
            times: Times::Once,
            result: "exit 1, one line; the books on stderr balance",
        }
        .test(disk_full),
        Fault {
            name: "a_reader_that_stops_reading_does_not_hold_it",
            what: "a reader that stops reading and keeps the pipe open",
            times: Times::Once,
            result: "Ctrl-C takes the probes out at once; the ledger goes to stderr",
        }
        .test(reader_stops),
    ]
}

/// `/dev/full` takes nothing.
fn disk_full() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    target.go()?;
    let args = ["--output-file", "/dev/full", "--interval", "50ms", "main.*"];
    let mut goinstr = attaching(target.pid, &args)?;
    let mut errors = Lines::of("goinstr", goinstr.stderr.take().context("stderr")?);
    let status = wait(&mut goinstr)?;
    errors.wait_for_end(patience())?;
    let told = errors.seen.join("\n");
    ensure!(status.code() == Some(1), "ended with {status}: {told}");
    ensure!(
        told.contains("the disk is full") && told.contains("/dev/full"),
        "{told}"
    );
    balanced(&told)?;
    unharmed(target, &exe)
}

/// Waits until so many bytes wait in a pipe for its reader.
pub fn wait_until_it_holds(pipe: impl AsFd, bytes: u64) -> Result<()> {
    let deadline = Instant::now() + patience();
    while rustix::io::ioctl_fionread(&pipe)? < bytes {
        ensure!(Instant::now() < deadline, "the pipe is never full");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// A pipe that stays open and is never read.
fn reader_stops() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    target.go()?;
    let mut goinstr = attaching(target.pid, &["--interval", "50ms", "main.*"])?;
    let unread = goinstr.stdout.take().context("stdout")?;
    rustix::pipe::fcntl_setpipe_size(&unread, 4096)?;
    let mut errors = Lines::of("goinstr", goinstr.stderr.take().context("stderr")?);
    changed(target.pid, &exe, |bytes| bytes > 0)?;
    // A page has room for some lines; at the next interval there is more to write than that.
    wait_until_it_holds(&unread, 1000)?;
    thread::sleep(Duration::from_secs(1));
    signal(&goinstr, Signal::INT)?;
    // Whatever nobody reads: the probes go at once.
    text::wait_until_original(target.pid, &exe)?;
    let status = wait(&mut goinstr)?;
    errors.wait_for_end(patience())?;
    let told = errors.seen.join("\n");
    ensure!(status.code() == Some(1), "ended with {status}: {told}");
    ensure!(told.contains("stopped reading"), "{told}");
    let ledger = told
        .lines()
        .filter_map(|line| line.split_once("not read: ").map(|(_, line)| line))
        .find(|line| line.contains(r#""type":"ledger""#))
        .with_context(|| format!("no ledger: {told}"))?;
    let ledger: Ledger = serde_json::from_str(ledger)?;
    ensure!(
        ledger.entries
            == ledger.returned + ledger.unwound + ledger.in_flight + ledger.lost_in_all(),
        "{ledger:?}"
    );
    drop(unread);
    unharmed(target, &exe)
}

/// `the books: N calls began = A returned + B unwound + C in flight + D lost`.
fn balanced(told: &str) -> Result<()> {
    let books = told
        .lines()
        .find_map(|line| line.split_once("the books: ").map(|(_, books)| books))
        .with_context(|| format!("no books: {told}"))?;
    let numbers: Vec<u64> = books
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [entries, parts @ ..] = &numbers[..] else {
        bail!("no numbers: {books}");
    };
    ensure!(
        parts.len() >= 4 && *entries == parts[..4].iter().sum::<u64>(),
        "{books}"
    );
    Ok(())
}
