//! Where data goes and how it is to look there.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, Timespec};

use super::args::{self, Color, Format};
use super::delivery::Delivery;
use super::failure::Failure;
use super::rotation::{Rotated, Rotation};
use crate::aggregate::End;
use crate::session::SessionError;

/// What `--output`, `--output-file` and `--color` mean together.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub format: Format,
    file: Option<PathBuf>,
    /// Bytes after which another file is begun, and how many are kept.
    rotation: Option<(u64, u32)>,
    color: Color,
}

impl Output {
    pub fn new(typed: args::Output, color: Color) -> Self {
        Self {
            format: typed.output,
            file: typed.output_file,
            rotation: None,
            color,
        }
    }

    /// In files of a bounded size, if that was asked for.
    pub fn rotated(self, rotation: &Rotation) -> Self {
        Self {
            rotation: rotation.rotate.map(|size| (size, rotation.keep)),
            ..self
        }
    }

    /// Opens what is to be written to. Done before anything else is, so that a path that
    /// can't be written costs nothing.
    pub fn open(&self) -> Result<Destination, Failure> {
        match &self.file {
            None => Ok(Destination::Stdout(io::stdout())),
            Some(path) => {
                let opened = match self.rotation {
                    None => File::create(path).map(Destination::File),
                    Some((size, keep)) => {
                        Rotated::create(path, size, keep).map(Destination::Rotated)
                    }
                };
                opened.map_err(|error| {
                    Failure::failed(format_args!(
                        "can't create the output file {}: {error}; give a path that can be written",
                        path.display()
                    ))
                })
            }
        }
    }

    /// The same for a measurement, which must not wait for a reader. A terminal reads by itself, and
    /// what is drawn there goes to it directly.
    pub fn open_unwaiting(&self) -> Result<Destination, Failure> {
        let opened = match self.open()? {
            Destination::Stdout(_) if !self.is_terminal() => {
                Delivery::to_stdout().map(Destination::ToStdout)
            }
            Destination::File(file) => Destination::unwaiting(file),
            other => Ok(other),
        };
        opened.map_err(|error| Failure::failed(SessionError::Thread(error)))
    }

    /// How a measurement to `delivery` ended: what it could not write, and what nobody read.
    pub fn delivered(
        &self,
        delivery: Option<&Delivery>,
        end: Result<End, SessionError>,
    ) -> Result<(), Failure> {
        if let Err(SessionError::Output(error)) = &end {
            return Err(Failure::writing(self.name(), error));
        }
        // What was told before an error is not to be lost with it.
        let hurry = !matches!(end, Ok(End::Duration | End::TargetExit));
        let written = delivery.map_or(Ok(()), |delivery| delivery.finish(hurry));
        match end {
            Err(
                error @ (SessionError::OverBudget { .. } | SessionError::RootsOverBudget { .. }),
            ) => Err(Failure::NothingMeasurable(error.to_string())),
            Err(error) => Err(Failure::failed(error)),
            Ok(_) => written.map_err(|error| Failure::writing(self.name(), &error)),
        }
    }

    /// What to call it in an error.
    pub fn name(&self) -> String {
        self.file
            .as_ref()
            .map_or_else(|| "stdout".to_owned(), |path| path.display().to_string())
    }

    /// Whether people see it as it is written.
    pub fn is_terminal(&self) -> bool {
        self.file.is_none() && io::stdout().is_terminal()
    }

    /// Whether to use colours (<https://no-color.org>).
    pub fn color(&self) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                self.is_terminal() && !refused && !dumb
            }
        }
    }
}

/// An opened destination.
#[derive(Debug)]
pub(super) enum Destination {
    Stdout(io::Stdout),
    /// To stdout, without waiting for its reader.
    ToStdout(Delivery),
    File(File),
    /// To a file that somebody reads, likewise.
    ToReader(Delivery),
    Rotated(Rotated),
}

impl Destination {
    /// A file for a measurement: where it is a pipe or a terminal, whose reader may stop, nobody waits for that.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn unwaiting(file: File) -> io::Result<Self> {
        let is_pipe = file.metadata().is_ok_and(|data| data.file_type().is_fifo());
        match is_pipe || file.is_terminal() {
            true => Delivery::to(file).map(Self::ToReader),
            false => Ok(Self::File(file)),
        }
    }

    /// What has to be finished in the end, where it does not write by itself.
    pub fn delivery(&self) -> Option<Delivery> {
        match self {
            Self::ToStdout(delivery) | Self::ToReader(delivery) => Some(delivery.clone()),
            Self::Stdout(_) | Self::File(_) | Self::Rotated(_) => None,
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::ToStdout(delivery) | Self::ToReader(delivery) => delivery.write(bytes),
            Self::File(file) => file.write(bytes),
            Self::Rotated(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => {
                stdout.flush()?;
                reader_is_there(stdout)
            }
            Self::ToStdout(delivery) => {
                delivery.flush()?;
                reader_is_there(&io::stdout())
            }
            Self::ToReader(delivery) => delivery.flush(),
            Self::File(file) => file.flush(),
            Self::Rotated(file) => file.flush(),
        }
    }
}

/// An error if stdout is a pipe whose reader has gone. A measurement writes nothing for long
/// times, and must not go on for nobody.
fn reader_is_there(stdout: &io::Stdout) -> io::Result<()> {
    let mut poll = [PollFd::new(stdout, PollFlags::empty())];
    rustix::event::poll(&mut poll, Some(&Timespec::default()))?;
    if poll.iter().any(|fd| fd.revents().contains(PollFlags::ERR)) {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::attach::AttachError;

    /// The ledger of a measurement that ends with an error is on its way when the error is known.
    #[test]
    fn what_was_written_before_an_error_arrives() {
        let typed = args::Output {
            output: Format::default(),
            output_file: None,
        };
        let output = Output::new(typed, Color::Never);
        let (mut reader, writer) = io::pipe().unwrap();
        let mut delivery = Delivery::to(writer).unwrap();
        // More than a pipe holds: delivered only as far as it is read.
        delivery.write_all(&[b'x'; 1_000_000]).unwrap();
        let read = std::thread::spawn(move || {
            let mut all: Vec<u8> = Vec::new();
            let mut part = vec![0; 4096];
            while all.len() < 1_000_000 {
                let length = reader.read(&mut part).unwrap();
                all.extend(&part[..length]);
            }
        });
        let end = Err(AttachError::HolderGone.into());
        assert!(output.delivered(Some(&delivery), end).is_err());
        assert!(delivery.is_empty());
        read.join().unwrap();
    }
}
