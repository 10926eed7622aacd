//! The kernel program's clock, and the wall clock beside it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Converts times of `CLOCK_MONOTONIC` to times since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    unix_less_monotonic: i128,
}

impl Clock {
    /// Compares both clocks now; a later step of the wall clock is not followed.
    pub fn now() -> Self {
        // Between two readings of the one: the closest pair of a few is taken.
        let pair = (0..5)
            .map(|_| {
                let before = nanos(ClockId::Monotonic);
                let unix = nanos(ClockId::Realtime);
                let after = nanos(ClockId::Monotonic);
                (after - before, unix - i128::midpoint(before, after))
            })
            .min();
        Self {
            unix_less_monotonic: pair.map_or(0, |(_, difference)| difference),
        }
    }

    /// Nanoseconds since the Unix epoch.
    pub fn unix_ns(self, monotonic_ns: u64) -> u64 {
        u64::try_from(i128::from(monotonic_ns) + self.unix_less_monotonic).unwrap_or(0)
    }
}

/// Now, in ns of `CLOCK_MONOTONIC`.
pub(super) fn monotonic_ns() -> u64 {
    u64::try_from(nanos(ClockId::Monotonic)).unwrap_or(0)
}

fn nanos(clock: ClockId) -> i128 {
    let time = clock_gettime(clock);
    i128::from(time.tv_sec) * Duration::from_secs(1).as_nanos().cast_signed()
        + i128::from(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_moment_has_the_same_time_on_both_clocks() {
        let clock = Clock::now();
        let before = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos();
        let moment = u128::from(clock.unix_ns(monotonic_ns()));
        let after = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos();
        let slack = Duration::from_millis(5).as_nanos();
        assert!(
            before <= moment + slack && moment <= after + slack,
            "{before} {moment} {after}"
        );
    }
}
