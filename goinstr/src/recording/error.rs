//! Why a recording can't be played back.

use std::io;

use thiserror::Error;

/// Why a recording can't be played back. Damage after its beginning is none: what comes before it
/// is played, and [`Played::damage`](super::Played) tells.
#[derive(Debug, Error)]
pub enum RecordingError {
    /// It is something else.
    #[error("{reason}: not a recording of `goinstr record`")]
    NotARecording {
        /// What its beginning is.
        reason: String,
    },
    /// A later goinstr wrote it.
    #[error(
        "a recording of version {found}, of which this goinstr reads up to {known}: use a newer goinstr"
    )]
    TooNew {
        /// The recording's version.
        found: u32,
        /// The latest that is known here.
        known: u32,
    },
    /// It could not be read.
    #[error("can't read it: {0}")]
    Read(io::Error),
    /// What it was played to could not be written.
    #[error("can't write the report: {0}")]
    Write(io::Error),
}
