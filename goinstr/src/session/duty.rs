//! Durations for part of the time: opens and closes the windows in which returns are armed.
//!
//! In a thread of its own, because arming and disarming wait for the kernel.

use std::{
    io,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::Instant,
};

use super::config::Duty;
use crate::attach::Windows;

/// Windows that come and go.
pub(super) struct Windowing {
    /// Dropped to end it.
    stop: Sender<()>,
    thread: JoinHandle<Windows>,
}

impl Windowing {
    /// Begins with a window.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn start(mut windows: Windows, duty: Duty) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let goes_on = move |time| stopped.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
        let work = move || {
            loop {
                let began = Instant::now();
                if let Err(error) = windows.open() {
                    log::error!("durations are no longer measured: {error}");
                    windows.close();
                    return windows;
                }
                if !goes_on(duty.period * duty.percent / 100) {
                    return windows;
                }
                windows.close();
                if !goes_on(duty.period.saturating_sub(began.elapsed())) {
                    return windows;
                }
            }
        };
        let thread = thread::Builder::new().spawn(work)?;
        Ok(Self { stop, thread })
    }

    /// Ends counting. What comes back keeps returns armed that are.
    pub fn end(self) -> Windows {
        drop(self.stop);
        let windows = self.thread.join();
        let windows = windows.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        windows.end();
        windows
    }
}
