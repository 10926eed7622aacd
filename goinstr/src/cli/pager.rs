//! The user's pager, where people read more than a screenful.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};

/// A pager that is running. Dropping it waits until the user has quit it.
#[derive(Debug)]
pub(super) struct Pager(Child);

impl Pager {
    /// Starts `$PAGER`, else `less -FRX` (which ends at once if all fits the screen).
    /// `None` where there is none: the caller writes to stdout.
    pub fn start() -> Option<Self> {
        let chosen = std::env::var("PAGER")
            .ok()
            .filter(|pager| !pager.trim().is_empty());
        let mut command = match &chosen {
            Some(pager) if pager == "cat" => return None,
            // As git and man do: PAGER may hold arguments.
            Some(pager) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", pager]);
                shell
            }
            None => {
                let mut less = Command::new("less");
                less.arg("-FRX");
                less
            }
        };
        command.stdin(Stdio::piped()).spawn().ok().map(Self)
    }
}

impl Write for Pager {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0.stdin {
            Some(stdin) => stdin.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0.stdin {
            Some(stdin) => stdin.flush(),
            None => Ok(()),
        }
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        // Its end of file, or it waits for more for ever.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
