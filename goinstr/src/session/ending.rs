//! What ends a measurement: time, a signal, the target.

use std::{io, os::fd::OwnedFd, time::Duration};

use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep_until, timeout},
};

use super::SessionError;
use crate::{
    aggregate::End,
    target::{Process, Target},
};

/// Registers a pidfd with the event loop.
fn watch(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is one open descriptor, the same one as long as the `AsyncFd` owns it.
    unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }.map_err(io::Error::from)
}

/// Waits for the end.
pub(super) struct Ending {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    exit: Option<AsyncFd<OwnedFd>>,
    deadline: Option<Instant>,
    /// A signal has come: that is not taken back.
    told: bool,
}

impl Ending {
    /// Takes over the signals, and watches the target where it is one process.
    pub fn of(target: &Target) -> Result<Self, SessionError> {
        let pidfd = target.process().map(Process::pidfd).transpose()?;
        Self::new(pidfd).map_err(SessionError::Runtime)
    }

    fn new(pidfd: Option<OwnedFd>) -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            exit: pidfd.map(watch).transpose()?,
            deadline: None,
            told: false,
        })
    }

    /// Ends when `duration` from now is over.
    pub fn after(&mut self, duration: Option<Duration>) {
        self.deadline = duration.and_then(|duration| Instant::now().checked_add(duration));
    }

    /// Whether a signal has come.
    pub async fn is_wanted(&mut self) -> bool {
        let looked = timeout(Duration::from_millis(1), self.wait()).await;
        matches!(looked, Ok(End::Signal))
    }

    /// Waits. May be dropped and called again, also after the end has come.
    pub async fn wait(&mut self) -> End {
        if self.told {
            return End::Signal;
        }
        let exit = async {
            match &self.exit {
                // A pidfd is readable from the process's exit on, for ever.
                Some(pidfd) => drop(pidfd.readable().await),
                None => std::future::pending().await,
            }
        };
        let deadline = async {
            match self.deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let end = tokio::select! {
            _ = self.interrupt.recv() => End::Signal,
            _ = self.terminate.recv() => End::Signal,
            _ = self.hangup.recv() => End::Signal,
            () = exit => End::TargetExit,
            () = deadline => End::Duration,
        };
        self.told = end == End::Signal;
        end
    }
}
