//! Drains the ring buffer.
//!
//! The kernel side never wakes the reader, so it is drained by time: often while much comes, rarely
//! while little does.

use std::time::Duration;

use aya::maps::{MapData, RingBuf};
use goinstr_common::record::CallRecord;

use super::record::{Event, decode};

/// Bytes a record takes in the ring buffer: itself and the kernel's header.
const RECORD_BYTES: usize = size_of::<CallRecord>() + 8;
/// Pauses between two drains: the shortest and the longest.
const PAUSES: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_millis(100);

/// Reads events of one measurement.
pub struct Reader {
    ring: RingBuf<MapData>,
    functions: usize,
    capacity: usize,
    pause: Duration,
    bad: u64,
}

impl Reader {
    /// A reader of a ring buffer of `bytes` bytes, for a plan of `functions` functions.
    #[must_use]
    pub fn new(ring: RingBuf<MapData>, functions: usize, bytes: u32) -> Self {
        Self {
            ring,
            functions,
            capacity: bytes as usize / RECORD_BYTES,
            pause: *PAUSES.start(),
            bad: 0,
        }
    }

    /// Hands over every event that is there, at most a buffer full of them; their number.
    pub fn drain(&mut self, mut take: impl FnMut(Event)) -> usize {
        let mut seen = 0;
        // Bounded, so that a fast target can't keep the caller here for ever.
        while seen < self.capacity {
            let Some(record) = self.ring.next() else {
                break;
            };
            seen += 1;
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
        self.pause = next_pause(self.pause, seen, self.capacity);
        seen
    }

    /// How long to wait until the next drain.
    #[must_use]
    pub fn pause(&self) -> Duration {
        self.pause
    }

    /// Records that could not be decoded.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.bad
    }
}

/// Shorter while the buffer was over an eighth full, so that a rate that grows eightfold between
/// two drains still finds room; longer while it was almost empty.
fn next_pause(pause: Duration, seen: usize, capacity: usize) -> Duration {
    let next = if seen > capacity / 8 {
        pause / 4
    } else if seen < capacity / 64 {
        pause * 2
    } else {
        pause
    };
    next.clamp(*PAUSES.start(), *PAUSES.end())
}

#[cfg(test)]
mod tests {
    use super::*;

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
