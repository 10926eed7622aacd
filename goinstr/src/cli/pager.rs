//! The user's pager, where people read more than a screenful.
//!
//! It is run as it is named, by no shell: `$PAGER` is words, parted and quoted as a shell's are, and whatever else a shell
//! would see in it is part of a word.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};

/// A pager that is running. Dropping it waits until the user has quit it.
#[derive(Debug)]
pub(super) struct Pager(Child);

impl Pager {
    /// Starts `$PAGER`, else `less -FRX` (which ends at once if all fits the screen).
    /// `None` where there is none: the caller writes to stdout.
    pub fn start() -> Option<Self> {
        let words = words(std::env::var("PAGER").ok().as_deref())?;
        let (program, arguments) = words.split_first()?;
        let mut command = Command::new(program);
        let command = command.args(arguments).stdin(Stdio::piped());
        match command.spawn() {
            Ok(child) => Some(Self(child)),
            Err(error) => {
                log::info!("no pager: can't run {program}: {error}");
                None
            }
        }
    }
}

/// The program and its arguments; `None`: none is wanted, or it can't be told which.
fn words(pager: Option<&str>) -> Option<Vec<String>> {
    let Some(pager) = pager.filter(|pager| !pager.trim().is_empty()) else {
        return Some(vec!["less".to_owned(), "-FRX".to_owned()]);
    };
    let Some(words) = shlex::split(pager) else {
        log::warn!("no pager: a quotation mark in PAGER is never closed: {pager}");
        return None;
    };
    (words != ["cat"]).then_some(words)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pager_is_words_and_nothing_else() {
        let of = |pager| words(pager).map(|words| words.join("|"));
        for none in [None, Some(""), Some("  ")] {
            assert_eq!(of(none).as_deref(), Some("less|-FRX"));
        }
        assert_eq!(of(Some("bat --plain")).as_deref(), Some("bat|--plain"));
        assert_eq!(
            of(Some("less -P 'a b' c\\ d")).as_deref(),
            Some("less|-P|a b|c d")
        );
        let shell = of(Some("cat>$HOME/x;`id`|sh &"));
        assert_eq!(shell.as_deref(), Some("cat>$HOME/x;`id`|sh|&"));
        for none in [" cat ", "less 'x"] {
            assert_eq!(of(Some(none)), None);
        }
    }
}
