//! Bytes of the ring buffer → owned, checked events.

mod record;
mod ring;

pub use record::{BadRecord, Event, decode};
pub use ring::Reader;
