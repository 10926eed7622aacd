//! Bytes of the ring buffer → owned, checked events.

mod bytes;
mod chain;
mod diagnostics;
mod record;
mod ring;
mod stack;

pub use chain::ChainEvent;
pub use diagnostics::Diagnostics;
pub use record::{BadRecord, Beside, Event, RawCapture, decode};
pub use ring::{Drained, Reader};
pub use stack::{StackEvent, StackOf};
