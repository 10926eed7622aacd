//! Where a single call was: its Go stack.

use std::sync::Arc;

use crate::binary::{SourceFrame, WalkedStack};

/// When a call was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackAt {
    /// At its return.
    Return,
    /// Where it waited longest.
    Wait {
        /// For how long.
        waited_ns: u64,
    },
}

/// The Go stack of a single call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallStack {
    /// When.
    pub at: StackAt,
    stack: WalkedStack,
}

impl CallStack {
    /// A stack, where it has any functions.
    #[must_use]
    pub fn new(at: StackAt, stack: WalkedStack) -> Option<Self> {
        (!stack.places.is_empty()).then_some(Self { at, stack })
    }

    /// One that was read back.
    #[must_use]
    pub fn of_frames(at: StackAt, frames: Vec<SourceFrame>, cut: bool) -> Option<Self> {
        let places = match frames.is_empty() {
            true => Vec::new(),
            false => vec![Arc::from(frames)],
        };
        Self::new(at, WalkedStack { places, cut })
    }

    /// How long it waited there, where it did.
    #[must_use]
    pub fn waited_ns(&self) -> Option<u64> {
        match self.at {
            StackAt::Return => None,
            StackAt::Wait { waited_ns } => Some(waited_ns),
        }
    }

    /// The functions, innermost first.
    pub fn frames(&self) -> impl Iterator<Item = &SourceFrame> {
        self.stack.places.iter().flat_map(|place| place.iter())
    }

    /// Whether functions are missing on the outside.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.stack.cut
    }
}
