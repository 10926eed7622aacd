//! Drains the ring buffer.
//!
//! The kernel side never wakes the reader, so it is drained by time: often while much comes, rarely
//! while little does.

use std::time::{Duration, Instant};

use aya::maps::{MapData, RingBuf};

use super::record::{Event, decode};

/// Bytes of the kernel's header before each record.
const HEADER_BYTES: usize = 8;
/// Records begin at multiples of so many bytes.
const ALIGNMENT: usize = 8;
/// Pauses between two drains: the shortest and the longest.
const PAUSES: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_millis(100);

/// Records between two looks at the clock: what is done with one takes microseconds.
const BETWEEN_LOOKS: usize = 16;

/// What came of a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Events that were handed over.
    pub records: usize,
    /// Room that they had taken in the buffer.
    pub bytes: usize,
    /// Whether nothing was left.
    pub emptied: bool,
}

/// Reads events of one measurement.
pub struct Reader {
    ring: RingBuf<MapData>,
    functions: usize,
    /// In bytes.
    capacity: usize,
    pause: Duration,
    /// The last drain was over before the buffer was empty.
    behind: bool,
    bad: u64,
}

impl Reader {
    /// A reader of a ring buffer of `bytes` bytes, for a plan of `functions` functions.
    #[must_use]
    pub fn new(ring: RingBuf<MapData>, functions: usize, bytes: u32) -> Self {
        Self {
            ring,
            functions,
            capacity: bytes as usize,
            pause: *PAUSES.start(),
            behind: false,
            bad: 0,
        }
    }

    /// Hands over the events that are there, at most a buffer full of them, and for about so long at most: a full buffer
    /// may be the work of many seconds, and whoever reads it has others to see to.
    pub fn drain(&mut self, most: Duration, mut take: impl FnMut(Event)) -> Drained {
        // None: longer than there is time.
        let end = Instant::now().checked_add(most);
        let mut records = 0;
        let mut bytes = 0;
        let mut emptied = false;
        // Bounded, so that a fast target can't keep the caller here for ever.
        while bytes < self.capacity {
            if records % BETWEEN_LOOKS == BETWEEN_LOOKS - 1
                && end.is_some_and(|end| Instant::now() >= end)
            {
                break;
            }
            let Some(record) = self.ring.next() else {
                emptied = true;
                break;
            };
            records += 1;
            bytes += taken(record.len());
            match decode(&record, self.functions) {
                Ok(event) => take(event),
                Err(error) => {
                    self.bad += 1;
                    log::error!(
                        "the ring buffer holds {error}; goinstr and its kernel program do not belong together"
                    );
                }
            }
        }
        self.pause = if emptied {
            next_pause(self.pause, bytes, self.capacity)
        } else {
            *PAUSES.start()
        };
        self.behind = !emptied;
        Drained {
            records,
            bytes,
            emptied,
        }
    }

    /// How long to wait until the next drain; zero: there is more.
    #[must_use]
    pub fn pause(&self) -> Duration {
        if self.behind {
            Duration::ZERO
        } else {
            self.pause
        }
    }

    /// Bytes that can be in the buffer.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Records that could not be decoded.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.bad
    }
}

/// Bytes that a record of `length` bytes takes in the buffer.
fn taken(length: usize) -> usize {
    length.next_multiple_of(ALIGNMENT) + HEADER_BYTES
}

/// Shorter while the buffer was over an eighth full, so that a rate that grows eightfold between
/// two drains still finds room; longer while it was almost empty.
fn next_pause(pause: Duration, bytes: usize, capacity: usize) -> Duration {
    let next = if bytes > capacity / 8 {
        pause / 4
    } else if bytes < capacity / 64 {
        pause * 2
    } else {
        pause
    };
    next.clamp(*PAUSES.start(), *PAUSES.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the kernel lays them out (kernel/bpf/ringbuf.c, `__bpf_ringbuf_reserve`).
    #[test]
    fn a_record_takes_its_header_and_whole_words() {
        assert_eq!(taken(88), 96);
        assert_eq!(taken(89), 104);
        assert_eq!(taken(1), 16);
    }

    #[test]
    fn the_pause_follows_the_rate_and_keeps_its_bounds() {
        let mut pause = *PAUSES.start();
        for _ in 0..20 {
            pause = next_pause(pause, 0, 1000);
        }
        assert_eq!(pause, *PAUSES.end());
        assert_eq!(next_pause(pause, 100, 1000), pause);
        assert!(next_pause(pause, 200, 1000) < pause);
        for _ in 0..20 {
            pause = next_pause(pause, 1000, 1000);
        }
        assert_eq!(pause, *PAUSES.start());
    }
}
