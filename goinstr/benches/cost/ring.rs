//! The ring buffer and its reader, faster than probes can fill it.
//!
//! A call takes two traps, so no probed program makes a million records a second on two CPUs. Here a kernel
//! program that the kernel runs in a loop writes them (`flood.rs`), as the measuring programs do: without
//! waking the reader. What reads them is what `attach --aggregate ring` has: [`Reader`] and [`Aggregator`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use goinstr::{
    aggregate::Aggregator,
    event::{Event, Reader},
};

use crate::{flood::Flood, rounds::median};

const ROUNDS: usize = 5;
/// How long each is filled.
const FILLED: Duration = Duration::from_secs(2);
/// Records written in one go where they come at a pace.
const STEP: u32 = 5_000;
/// Records written in one go where they come as fast as they can.
const BATCH: u32 = 100_000;
/// Bytes of the buffer: what `--ring-size` is unless it is said, and four times that.
const SIZES: [u32; 2] = [4 << 20, 16 << 20];

/// How fast it is filled.
#[derive(Clone, Copy)]
enum Pace {
    /// So many records a second.
    PerSecond(u32),
    Unbounded,
}

impl Pace {
    const ALL: [Self; 3] = [
        Self::PerSecond(1_000_000),
        Self::PerSecond(2_000_000),
        Self::Unbounded,
    ];

    fn name(self) -> String {
        match self {
            Self::PerSecond(records) => format!("{} million a second", records / 1_000_000),
            Self::Unbounded => "as fast as one CPU writes".to_owned(),
        }
    }
}

/// What became of the records of a round.
struct Passed {
    /// Per second.
    written: f64,
    /// Per second, decoded and added.
    read: f64,
    /// Share of the written that found no room.
    lost: f64,
    /// Share of one CPU that the reader used.
    reader: f64,
}

/// Fills the buffer at each pace, in turn.
pub fn run() -> Result<()> {
    println!(
        "{ROUNDS} rounds of {} s each, interleaved; medians. Read is decoded and added to a distribution\n",
        FILLED.as_secs()
    );
    println!("     MiB   written/s      read/s    lost   reader's CPU");
    let mut rounds: Vec<Vec<Passed>> = Vec::new();
    for _ in 0..ROUNDS {
        let ways = SIZES
            .iter()
            .flat_map(|size| Pace::ALL.iter().map(|pace| (*size, *pace)));
        rounds.push(
            ways.map(|(size, pace)| pass(size, pace))
                .collect::<Result<_>>()?,
        );
    }
    let ways = SIZES
        .iter()
        .flat_map(|size| Pace::ALL.iter().map(|pace| (*size, *pace)));
    for (way, (size, pace)) in ways.enumerate() {
        let of =
            |figure: fn(&Passed) -> f64| median(rounds.iter().map(|round| figure(&round[way])));
        println!(
            "{:>8} {:>11.0} {:>11.0} {:>6.2}% {:>9.0}%     {}",
            size >> 20,
            of(|passed| passed.written),
            of(|passed| passed.read),
            of(|passed| passed.lost) * 100.0,
            of(|passed| passed.reader) * 100.0,
            pace.name()
        );
    }
    Ok(())
}

/// Fills a buffer at a pace while it is read.
fn pass(bytes: u32, pace: Pace) -> Result<Passed> {
    let flood = Flood::new(bytes)?;
    let mut reader = Reader::new(flood.ring()?, 1, bytes);
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    let draining = thread::spawn(move || {
        let mut aggregator = Aggregator::new(1);
        let mut read = 0u64;
        let used = cpu_time();
        let mut drain = |reader: &mut Reader| {
            reader.drain(Duration::MAX, |event| {
                if let Event::Call(call, _) = event {
                    aggregator.add_call(&call);
                    read += 1;
                }
            })
        };
        while !stopping.load(Ordering::Relaxed) {
            drain(&mut reader);
            thread::sleep(reader.pause());
        }
        while !drain(&mut reader).emptied {}
        (read, cpu_time() - used, reader.bad())
    });
    let begun = Instant::now();
    let mut written = 0u64;
    while begun.elapsed() < FILLED {
        let step = match pace {
            Pace::PerSecond(rate) => {
                let due = Duration::from_secs_f64(written as f64 / f64::from(rate));
                thread::sleep(due.saturating_sub(begun.elapsed()));
                STEP
            }
            Pace::Unbounded => BATCH,
        };
        flood.write(step)?;
        written += u64::from(step);
    }
    let took = begun.elapsed();
    stop.store(true, Ordering::Relaxed);
    let (read, used, bad) = draining.join().ok().context("the reader panicked")?;
    let lost = flood.lost()?;
    // A figure of records that are not accounted for would be worth nothing.
    ensure!(
        read + lost == written && bad == 0,
        "of {written} records {read} were read, {lost} lost, {bad} bad"
    );
    Ok(Passed {
        written: written as f64 / took.as_secs_f64(),
        read: read as f64 / took.as_secs_f64(),
        lost: lost as f64 / written as f64,
        reader: used.as_secs_f64() / took.as_secs_f64(),
    })
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
