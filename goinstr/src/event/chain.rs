//! The calls around a call, from the ring buffer, checked.

use std::mem::offset_of;

use goinstr_common::chain::{CHAIN_CALLERS, ChainRecord, KIND_CHAIN};

use super::BadRecord;
use super::bytes::{long, word};

/// The measured calls around a call that is about to return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainEvent {
    /// Process, as the initial pid namespace numbers it.
    pub tgid: u32,
    /// `runtime.g.goid`; 0 on a system stack.
    pub goid: u64,
    /// When the call opened, ns of `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// Their functions' indices in the plan, innermost first: 16 at most.
    pub callers: Vec<u32>,
}

/// Whether the record is one of these.
pub(super) fn is_chain(bytes: &[u8]) -> bool {
    word(bytes, 0) == KIND_CHAIN
}

/// Decodes one. `functions` is the number of functions in the plan.
pub(super) fn decode(bytes: &[u8], functions: usize) -> Result<ChainEvent, BadRecord> {
    if bytes.len() != size_of::<ChainRecord>() {
        return Err(BadRecord::Length(bytes.len()));
    }
    let count = word(bytes, offset_of!(ChainRecord, count)) as usize;
    if count > CHAIN_CALLERS {
        return Err(BadRecord::Count(count));
    }
    let funcs = offset_of!(ChainRecord, funcs);
    let callers = (0..count).map(|index| word(bytes, funcs + 4 * index));
    let callers: Vec<u32> = callers.collect();
    match callers.iter().find(|&&caller| caller as usize >= functions) {
        Some(&unknown) => Err(BadRecord::Function(unknown)),
        None => Ok(ChainEvent {
            tgid: word(bytes, offset_of!(ChainRecord, tgid)),
            goid: long(bytes, offset_of!(ChainRecord, goid)),
            start_ns: long(bytes, offset_of!(ChainRecord, start_ns)),
            callers,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_functions_of_the_plan_call() {
        let mut bytes = Vec::new();
        for word in [KIND_CHAIN, 2] {
            bytes.extend(word.to_ne_bytes());
        }
        for long in [7_u64, 1_000, 3] {
            bytes.extend(long.to_ne_bytes());
        }
        for caller in 1..=CHAIN_CALLERS as u32 {
            bytes.extend(caller.to_ne_bytes());
        }
        let expected = ChainEvent {
            tgid: 3,
            goid: 7,
            start_ns: 1_000,
            callers: vec![1, 2],
        };
        assert_eq!(decode(&bytes, 3), Ok(expected));
        assert_eq!(decode(&bytes, 2), Err(BadRecord::Function(2)));
        bytes[4] = 17;
        assert_eq!(decode(&bytes, 20), Err(BadRecord::Count(17)));
        assert_eq!(decode(&bytes[..90], 20), Err(BadRecord::Length(90)));
    }
}
