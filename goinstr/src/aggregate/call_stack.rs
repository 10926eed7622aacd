//! Where a single call was: its Go stack.

use std::sync::Arc;

use crate::binary::{SourceFrame, WalkedStack};

/// The Go stack of a single call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallStack {
    /// How long it waited there, where it waited longest; `None`: it was seen at its return.
    pub waited_ns: Option<u64>,
    stack: WalkedStack,
}

impl CallStack {
    /// A stack, where it has any functions.
    #[must_use]
    pub fn new(waited_ns: Option<u64>, stack: WalkedStack) -> Option<Self> {
        (!stack.places.is_empty()).then_some(Self { waited_ns, stack })
    }

    /// One that was read back.
    #[must_use]
    pub fn of_frames(waited_ns: Option<u64>, frames: Vec<SourceFrame>, cut: bool) -> Option<Self> {
        let places = match frames.is_empty() {
            true => Vec::new(),
            false => vec![Arc::from(frames)],
        };
        Self::new(waited_ns, WalkedStack { places, cut })
    }

    /// The functions, innermost first.
    pub fn frames(&self) -> impl Iterator<Item = &SourceFrame> {
        self.stack.places.iter().flat_map(|place| place.iter())
    }

    /// Bytes of memory that it takes. The functions are shared with all stacks that have the same places.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.stack.places)
    }

    /// Whether functions are missing on the outside.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.stack.cut
    }
}
