//! Stdout or a pipe while something is measured: whoever writes never waits for whoever reads.
//!
//! A reader that stops reading (a pager, a stopped process) fills the pipe. A measurement that
//! waited for it would see neither Ctrl-C nor the end of the target, with its probes in place. So a
//! thread does the writing; what it has not written yet is kept, up to a bound.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Bytes that are kept for a slow reader. Beyond, the measurement ends: nobody is looking.
const KEPT: usize = 16 << 20;
/// How long a reader may read nothing after Ctrl-C.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is on its way to a reader. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Delivery(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    /// Bytes in `waiting`, and in what is being written.
    bytes: usize,
    failed: Option<io::ErrorKind>,
}

impl Delivery {
    /// To stdout.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn to_stdout() -> io::Result<Self> {
        Self::to(io::stdout())
    }

    /// To whatever it is.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn to(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let delivery = Self(Arc::clone(&shared));
        // Never joined: it may be stuck for as long as the reader likes.
        let work = move || {
            let delivery = Self(shared);
            while let Some(bytes) = delivery.next() {
                let written = out.write_all(&bytes).and_then(|()| out.flush());
                let mut state = delivery.state();
                state.bytes -= bytes.len();
                if let Err(error) = written {
                    state.failed = Some(error.kind());
                }
                delivery.0.changed.notify_all();
            }
        };
        thread::Builder::new().spawn(work)?;
        Ok(delivery)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Vec<u8>> {
        let mut state = self.state();
        loop {
            if state.failed.is_some() {
                return None;
            }
            if let Some(bytes) = state.waiting.pop_front() {
                return Some(bytes);
            }
            state = self
                .0
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until everything is written. `hurry`: the user wants to go, so a reader that reads
    /// nothing for some seconds is given up; what it did not read goes to stderr, in its last lines.
    pub fn finish(&self, hurry: bool) -> io::Result<()> {
        if !hurry {
            // Nothing is armed any more, and the signals that ended a measurement end us again.
            default_signals();
        }
        let mut state = self.state();
        loop {
            if let Some(kind) = state.failed {
                return Err(kind.into());
            }
            if state.bytes == 0 {
                return Ok(());
            }
            let left = state.bytes;
            let (now, timeout) = self
                .0
                .changed
                .wait_timeout(state, PATIENCE)
                .unwrap_or_else(PoisonError::into_inner);
            state = now;
            if timeout.timed_out() && hurry && state.bytes == left {
                tell_last_lines(&state);
                return Err(stuck());
            }
        }
    }
}

#[cfg(test)]
impl Delivery {
    /// Whether nothing waits any more.
    pub(super) fn is_empty(&self) -> bool {
        self.state().bytes == 0
    }
}

impl Write for Delivery {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        if let Some(kind) = state.failed {
            return Err(kind.into());
        }
        if state.bytes + bytes.len() > KEPT {
            return Err(stuck());
        }
        state.bytes += bytes.len();
        state.waiting.push_back(bytes.to_vec());
        self.0.changed.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.state().failed {
            Some(kind) => Err(kind.into()),
            None => Ok(()),
        }
    }
}

fn stuck() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "its reader has stopped reading, so the rest was given up; have it written to a file",
    )
}

/// The last lines that nobody read: the ledger is among them.
fn tell_last_lines(state: &State) {
    const LINES: usize = 6;
    let text: Vec<u8> = state.waiting.iter().flatten().copied().collect();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    // Escapes for a terminal that stdout is, and stderr is not, say nothing there.
    if !io::stdout().is_terminal() {
        for line in &lines[lines.len().saturating_sub(LINES)..] {
            log::warn!("not read: {line}");
        }
    }
}

/// Back to what signals do to a program that asks for nothing.
fn default_signals() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: sets a disposition, and no handler of ours.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipe() -> (io::PipeReader, Delivery) {
        let (reader, writer) = io::pipe().unwrap();
        (reader, Delivery::to(writer).unwrap())
    }

    #[test]
    fn writing_never_waits_and_everything_arrives_in_order() {
        use std::io::Read as _;
        let (mut reader, mut delivery) = pipe();
        let line = [b'x'; 1000];
        // More than a pipe holds, and nobody reads.
        for _ in 0..1000 {
            delivery.write_all(&line).unwrap();
        }
        delivery.write_all(b"end").unwrap();
        let read = thread::spawn(move || {
            let mut all = vec![0; 1_000_003];
            reader.read_exact(&mut all).map(|()| all)
        });
        delivery.finish(true).unwrap();
        let all = read.join().unwrap().unwrap();
        assert!(all.ends_with(b"xend") && all.len() == 1_000_003);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (_reader, mut delivery) = pipe();
        let block = vec![0; 1 << 20];
        let error = (0..40).find_map(|_| delivery.write_all(&block).err());
        assert_eq!(error.unwrap().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_reader_that_has_gone_is_told() {
        let (reader, mut delivery) = pipe();
        drop(reader);
        let gone = (0..1000).find_map(|_| {
            thread::sleep(Duration::from_millis(5));
            delivery.write_all(b"line\n").err()
        });
        assert_eq!(gone.unwrap().kind(), io::ErrorKind::BrokenPipe);
        let error = delivery.finish(true).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
