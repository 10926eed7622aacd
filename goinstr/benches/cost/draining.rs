//! A thread that empties the ring buffer while calls are timed, as goinstr does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};
use goinstr::{attach::Kernel, event::Reader};

/// The thread, and how it is told to end.
pub struct Draining {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Draining {
    /// Empties the buffer of a measurement of one function.
    pub fn start(kernel: &mut Kernel, ring_bytes: u32) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut reader = Reader::new(kernel.take_ring()?, 1, ring_bytes);
        let stopping = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut records = 0;
            while !stopping.load(Ordering::Relaxed) {
                records += reader.drain(Duration::MAX, |_| ()).records;
                thread::sleep(reader.pause());
            }
            records + reader.drain(Duration::MAX, |_| ()).records
        });
        Ok(Self { stop, thread })
    }

    /// Takes the last ones; how many records came in all.
    pub fn end(self) -> Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().ok().context("the reader panicked")
    }
}
