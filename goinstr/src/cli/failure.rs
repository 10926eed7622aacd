//! How a run ends that doesn't end well: what is printed, and the exit code.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::plan::PlanError;

/// Why a command ended early.
#[derive(Debug)]
pub(super) enum Failure {
    /// The command line is wrong, or asks for help: clap knows what to print.
    Usage(clap::Error),
    /// It failed.
    Failed(String),
    /// Nothing could be measured.
    NothingMeasurable(String),
    /// A limit that the user set is broken.
    LimitBroken(String),
    /// The reader of our output has closed it: it has seen enough.
    ReaderGone,
}

impl Failure {
    /// A failure with its one line: what, on what, what to do next.
    pub fn failed(line: impl fmt::Display) -> Self {
        Self::Failed(line.to_string())
    }

    /// An error of writing to `what`.
    pub fn writing(what: impl fmt::Display, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            io::ErrorKind::StorageFull => Self::failed(format_args!(
                "can't write to {what}: the disk is full; make room or use another --output-file"
            )),
            _ => Self::failed(format_args!("can't write to {what}: {error}")),
        }
    }

    /// Prints it and gives its exit code (the contract's: 0 done, 1 failed, 2 wrong, 3 nothing).
    pub fn report(self) -> ExitCode {
        match self {
            Self::Usage(error) => {
                // Help goes to stdout, whose reader may have gone.
                let _ = error.print();
                u8::try_from(error.exit_code()).map_or(ExitCode::from(2), ExitCode::from)
            }
            Self::Failed(line) => {
                eprintln!("goinstr: {}", single(&line));
                ExitCode::from(1)
            }
            Self::NothingMeasurable(line) => {
                eprintln!("goinstr: {}", single(&line));
                ExitCode::from(3)
            }
            Self::LimitBroken(line) => {
                eprintln!("goinstr: {}", single(&line));
                ExitCode::from(4)
            }
            Self::ReaderGone => ExitCode::SUCCESS,
        }
    }
}

/// One line, whatever names of the target's own choosing are in it.
fn single(line: &str) -> String {
    crate::sink::visible(line.trim_end()).into_owned()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) => error.fmt(f),
            Self::Failed(line) | Self::NothingMeasurable(line) | Self::LimitBroken(line) => {
                f.write_str(line)
            }
            Self::ReaderGone => f.write_str("the reader of the output has gone"),
        }
    }
}

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        Self::Usage(error)
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::NothingMeasurable { .. } => Self::NothingMeasurable(error.to_string()),
            _ => Self::failed(error),
        }
    }
}
