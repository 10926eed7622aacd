//! Bytes of the ring buffer → owned, checked events.

mod diagnostics;
mod record;
mod ring;

pub use diagnostics::Diagnostics;
pub use record::{BadRecord, Event, decode};
pub use ring::Reader;
