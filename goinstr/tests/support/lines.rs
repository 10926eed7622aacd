//! A child's output, line by line, with a limit to the time that anyone waits for it.

use std::{
    io::{BufRead as _, BufReader, Read},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// The lines that a child prints. A thread reads them, so that the child never blocks.
pub struct Lines {
    whose: String,
    received: Receiver<String>,
    /// All lines so far.
    pub seen: Vec<String>,
}

impl Lines {
    /// Reads `output` to its end. `whose` names it in errors.
    pub fn of(whose: impl Into<String>, output: impl Read + Send + 'static) -> Self {
        let (sender, received) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            whose: whose.into(),
            received,
            seen: Vec::new(),
        }
    }

    /// Waits for a line that `wanted` accepts.
    pub fn wait_for(
        &mut self,
        what: &str,
        timeout: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.received.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if wanted(&line) {
                        return Ok(line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => bail!(
                    "waited {timeout:?} in vain for {what} from {}; it last said: {}",
                    self.whose,
                    self.tail()
                ),
                Err(RecvTimeoutError::Disconnected) => bail!(
                    "{} ended its output without {what}; it last said: {}",
                    self.whose,
                    self.tail()
                ),
            }
        }
    }

    /// Waits for the end of the output.
    pub fn wait_for_end(&mut self, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.received.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => bail!(
                    "waited {timeout:?} in vain for {} to end its output; it last said: {}",
                    self.whose,
                    self.tail()
                ),
            }
        }
    }

    /// How many have come; does not wait.
    pub fn so_far(&mut self) -> usize {
        self.seen.extend(self.received.try_iter());
        self.seen.len()
    }

    /// What came first: a Go program that dies gives its reason before its goroutines.
    pub fn beginning(&self) -> String {
        let to = self.seen.len().min(30);
        self.seen[..to].join("\n")
    }

    /// The last lines, for an error.
    pub fn tail(&self) -> String {
        let from = self.seen.len().saturating_sub(5);
        match &self.seen[from..] {
            [] => "nothing".to_owned(),
            lines => lines.join("\n"),
        }
    }
}
