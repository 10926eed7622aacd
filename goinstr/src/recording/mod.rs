//! A measurement in a file, and played back from it.
//!
//! In: what a [`Sink`](crate::sink::Sink) receives. Out: the same, later. The file is described in
//! `docs/recording.md`: zstd frames of whole NDJSON lines, those of `attach --output json` and some
//! of its own, one or more frames an interval, so that whatever ends goinstr leaves all but the last
//! second readable.

mod error;
mod frames;
mod line;
mod record;
mod replay;
mod words;

pub use error::RecordingError;
pub use record::RecordingSink;
pub use replay::{Played, play};
