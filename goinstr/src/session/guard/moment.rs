//! Counts of one moment.
//!
//! A rate is hits by time. Between a look at the clock and one at the hits anything may take the CPU, for as long
//! as a second (a task of a real-time class, a hypervisor): hits of a second taken for those of a twentieth of
//! it would make the calmest function look loud.

/// How far apart the looks at the clock before and after may be, in ns: a tenth of the guard's interval.
const APART_NS: u64 = 5_000_000;
/// How often it is tried; the last counts as it is.
const ATTEMPTS: usize = 5;

/// What `read` reads, and when: by `now`, in ns.
pub(super) fn at_a_moment<T>(now: impl Fn() -> u64, mut read: impl FnMut() -> T) -> (u64, T) {
    let mut attempt = || {
        let before = now();
        let read = read();
        (before, read, now())
    };
    let mut last = attempt();
    for _ in 1..ATTEMPTS {
        if last.2.saturating_sub(last.0) <= APART_NS {
            break;
        }
        last = attempt();
    }
    let (before, read, after) = last;
    (before.midpoint(after), read)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A clock that others' turns on the CPU move on, and a count of a thousand hits a second.
    struct Machine {
        now: Cell<u64>,
        /// ns that pass before each reading.
        stolen: Cell<u64>,
    }

    impl Machine {
        fn hits(&self) -> u64 {
            self.now.set(self.now.get() + self.stolen.take());
            self.now.get() / 1_000_000
        }
    }

    #[test]
    fn hits_belong_to_the_time_they_are_read_with() {
        let machine = Machine {
            now: Cell::new(1_000_000_000),
            stolen: Cell::new(900_000_000),
        };
        let (at, hits) = at_a_moment(|| machine.now.get(), || machine.hits());
        assert_eq!((at, hits), (1_900_000_000, 1_900));
    }

    #[test]
    fn where_it_is_never_quick_the_last_reading_counts() {
        let now = Cell::new(0);
        let mut readings = 0;
        let (at, nth) = at_a_moment(
            || now.get(),
            || {
                now.set(now.get() + 2 * APART_NS);
                readings += 1;
                readings
            },
        );
        assert_eq!(nth, ATTEMPTS);
        let last = 2 * APART_NS * ATTEMPTS as u64;
        assert!(last - 2 * APART_NS < at && at < last, "{at}");
    }
}
