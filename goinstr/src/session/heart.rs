//! Shows the dead man's switch that goinstr does its work.
//!
//! A thread gives the signs of life, and only while each part that is at work has shown itself within its time: the
//! loop that sees Ctrl-C, the target's end and `--duration`, and the guard. A goinstr that is stopped as a whole gives
//! none anyway. It beats from the look before arming on until the last site is out.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{clock::monotonic_ns, dead_man::Switch};
use crate::attach::urgent;

/// How often a sign of life is given.
const BEAT: Duration = Duration::from_millis(300);
/// How long goinstr may give none before it counts as dead.
const SILENCE: Duration = Duration::from_secs(3);

/// The signs of life; they end when it is dropped, and the switch with them.
#[derive(Debug, Default)]
pub(super) struct Heart {
    parts: Arc<Parts>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Parts {
    signs: Mutex<Vec<Arc<Shown>>>,
    ended: AtomicBool,
}

/// When a part has shown itself last.
#[derive(Debug)]
struct Shown {
    /// As goinstr's last words name it.
    name: &'static str,
    /// ns of `CLOCK_MONOTONIC`; 0: it rests, and may be silent.
    at_ns: AtomicU64,
    silence: Duration,
}

/// A part that is at work. Dropped, it rests.
#[derive(Debug)]
pub(super) struct Sign(Arc<Shown>);

impl Heart {
    /// Beats for `switch` from now on; without one it does nothing.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn start(switch: Option<Switch>) -> io::Result<Self> {
        let mut heart = Self::default();
        if let Some(mut switch) = switch {
            let parts = Arc::clone(&heart.parts);
            switch.beat(SILENCE);
            let work = move || beat(&mut switch, &parts);
            heart.thread = Some(thread::Builder::new().name("heart".into()).spawn(work)?);
        }
        Ok(heart)
    }

    /// A part whose silence for so long is goinstr's own; it rests until it shows itself.
    pub fn part(&self, name: &'static str, silence: Duration) -> Sign {
        let shown = Arc::new(Shown {
            name,
            at_ns: AtomicU64::new(0),
            silence,
        });
        self.parts.signs().push(Arc::clone(&shown));
        Sign(shown)
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.parts.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Sign {
    /// Shows that the part is at work.
    pub fn show(&self) {
        self.0.at_ns.store(monotonic_ns().max(1), Ordering::Relaxed);
    }

    /// From here on it may be silent: what it does takes as long as it takes.
    pub fn rest(&self) {
        self.0.at_ns.store(0, Ordering::Relaxed);
    }
}

impl Drop for Sign {
    fn drop(&mut self) {
        self.rest();
    }
}

impl Parts {
    fn signs(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Shown>>> {
        self.signs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A part that is at work and has not shown itself in time.
    fn silent(&self, now_ns: u64) -> Option<Arc<Shown>> {
        let signs = self.signs();
        signs.iter().find(|shown| !shown.is_live(now_ns)).cloned()
    }
}

impl Shown {
    fn is_live(&self, now_ns: u64) -> bool {
        let at = self.at_ns.load(Ordering::Relaxed);
        // It may have shown itself since `now_ns` was read.
        at == 0 || Duration::from_nanos(now_ns.saturating_sub(at)) < self.silence
    }
}

fn beat(switch: &mut Switch, parts: &Parts) {
    // The busier the machine is, the more it matters.
    urgent();
    let mut told = false;
    while !parts.ended.load(Ordering::Relaxed) {
        match parts.silent(monotonic_ns()) {
            None => switch.beat(SILENCE),
            // Whoever finds goinstr killed is to know why.
            Some(part) if !told => {
                told = true;
                let (name, silence) = (part.name, part.silence);
                log::error!("{name} has not moved for {silence:?}; unless it does, goinstr ends");
            }
            Some(_) => {}
        }
        thread::park_timeout(BEAT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_part_that_is_silent_for_too_long_ends_the_signs() {
        let heart = Heart::start(None).unwrap();
        let parts = &heart.parts;
        let main = heart.part("the loop", Duration::from_secs(10));
        let guard = heart.part("the guard", Duration::from_secs(5));
        // Nobody is at work yet.
        assert!(parts.silent(u64::MAX).is_none());
        main.show();
        guard.show();
        let now = monotonic_ns();
        assert!(parts.silent(now + 4 * SECOND).is_none());
        assert!(
            parts.silent(now + 6 * SECOND).is_some(),
            "the guard is silent"
        );
        guard.rest();
        assert!(parts.silent(now + 9 * SECOND).is_none());
        assert!(
            parts.silent(now + 11 * SECOND).is_some(),
            "the loop is silent"
        );
        main.show();
        assert!(parts.silent(now + 9 * SECOND).is_none());
        drop(main);
        assert!(
            parts.silent(u64::MAX).is_none(),
            "who is gone is not waited for"
        );
    }

    #[test]
    fn a_sign_that_comes_after_the_clock_was_read_is_one() {
        let heart = Heart::default();
        let main = heart.part("the loop", Duration::from_secs(10));
        let before = monotonic_ns();
        main.show();
        assert!(heart.parts.silent(before.saturating_sub(SECOND)).is_none());
    }
}
