//! A bar on stderr for what takes longer than a second, where a person sees it.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is done within this time shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// How far a piece of work is.
pub(super) struct Progress {
    bar: ProgressBar,
    began: Instant,
    shown: Cell<bool>,
    wanted: bool,
}

impl Progress {
    /// Of work on so many bytes.
    pub fn of_bytes(what: &'static str, bytes: u64) -> Self {
        let style = "{msg} {wide_bar} {bytes}/{total_bytes} {eta}";
        Self::new(ProgressBar::hidden().with_message(what), style, Some(bytes))
    }

    /// Of work whose end nobody knows.
    pub fn of_unknown(what: &'static str) -> Self {
        Self::new(
            ProgressBar::hidden().with_message(what),
            "{spinner} {msg} {elapsed}",
            None,
        )
    }

    fn new(bar: ProgressBar, style: &str, length: Option<u64>) -> Self {
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        if let Some(length) = length {
            bar.set_length(length);
        }
        Self {
            bar,
            began: Instant::now(),
            shown: Cell::new(false),
            wanted: std::io::stderr().is_terminal(),
        }
    }

    /// So much more is done.
    pub fn advance(&self, by: u64) {
        self.bar.inc(by);
        if self.wanted && !self.shown.get() && self.began.elapsed() > PATIENCE {
            self.shown.set(true);
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Does work during which nothing can be told, with a sign of life where it takes long.
    pub fn during<T>(self, work: impl FnOnce() -> T) -> T {
        if !self.wanted {
            return work();
        }
        std::thread::scope(|scope| {
            let (done, is_done) = std::sync::mpsc::channel::<()>();
            let bar = self.bar.clone();
            scope.spawn(move || {
                use std::sync::mpsc::RecvTimeoutError::Timeout;
                if is_done.recv_timeout(PATIENCE) == Err(Timeout) {
                    bar.set_draw_target(ProgressDrawTarget::stderr());
                    while is_done.recv_timeout(Duration::from_millis(100)) == Err(Timeout) {
                        bar.tick();
                    }
                    bar.finish_and_clear();
                }
            });
            let result = work();
            drop(done);
            result
        })
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
