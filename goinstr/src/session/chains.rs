//! Which measured calls are around a call that is told of.
//!
//! In: chains, which come before the calls that they are of. Out: a call's callers. A call that was not
//! told of after all leaves its chain behind, until the next of its goroutine.

use std::collections::HashMap;

use goinstr_common::record::{CallRecord, NO_PARENT};

use super::left_behind::drop_older;
use crate::event::ChainEvent;

/// Goroutines whose chains are kept at most.
const GOROUTINES: usize = 1 << 16;

/// The chains of calls that have not been told of yet.
#[derive(Debug, Default)]
pub(super) struct Chains(HashMap<(u32, u64), ChainEvent>);

impl Chains {
    /// Keeps a chain until its call comes.
    pub fn take(&mut self, chain: ChainEvent) {
        if self.0.len() >= GOROUTINES {
            drop_older(&mut self.0, |chain| chain.start_ns);
        }
        self.0.insert((chain.tgid, chain.goid), chain);
    }

    /// The functions of the calls around a call, innermost first, as far as they are known: up to 16, or
    /// none.
    pub fn of(&mut self, call: &CallRecord) -> Vec<u32> {
        match call.depth {
            0 => Vec::new(),
            1 if call.parent != NO_PARENT => vec![call.parent],
            _ => self
                .0
                .remove(&(call.tgid, call.goid))
                .filter(|chain| chain.start_ns == call.start_ns)
                .map_or(Vec::new(), |chain| chain.callers),
        }
    }
}
