//! A stack of the ring buffer, checked.

use goinstr_common::stack::{
    FIRST_RETURNS, KIND_RETURN_STACK, KIND_WAIT_STACK, STACK_FRAMES, StackRecord,
};

use super::BadRecord;
use super::bytes::{long, word};

/// What a stack is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackOf {
    /// A call that is about to return.
    Return,
    /// A wait of so many ns.
    Wait {
        /// How long.
        ns: u64,
    },
}

/// A stack as the kernel program walked it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackEvent {
    /// What it is of.
    pub of: StackOf,
    /// Process, as the initial pid namespace numbers it.
    pub tgid: u32,
    /// `runtime.g.goid`; 0 on a system stack.
    pub goid: u64,
    /// When the call opened or the wait began, ns of `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// Whether the first address is a return address.
    pub first_returns: bool,
    /// See [`StackRecord::addresses`].
    pub addresses: Vec<u64>,
    /// See [`StackRecord::offsets`], as many as there are addresses.
    pub offsets: Vec<u32>,
}

/// Whether the record is one of these.
pub(super) fn is_stack(bytes: &[u8]) -> bool {
    let kind = word(bytes, 0);
    kind == KIND_RETURN_STACK || kind == KIND_WAIT_STACK
}

/// Decodes one.
pub(super) fn decode(bytes: &[u8]) -> Result<StackEvent, BadRecord> {
    if bytes.len() != size_of::<StackRecord>() {
        return Err(BadRecord::Length(bytes.len()));
    }
    let count = word(bytes, 4) as usize;
    if count > STACK_FRAMES {
        return Err(BadRecord::Count(count));
    }
    let duration = long(bytes, std::mem::offset_of!(StackRecord, duration_ns));
    let flags = word(bytes, std::mem::offset_of!(StackRecord, flags));
    let addresses = std::mem::offset_of!(StackRecord, addresses);
    let offsets = std::mem::offset_of!(StackRecord, offsets);
    Ok(StackEvent {
        of: match word(bytes, 0) {
            KIND_WAIT_STACK => StackOf::Wait { ns: duration },
            _ => StackOf::Return,
        },
        tgid: word(bytes, std::mem::offset_of!(StackRecord, tgid)),
        goid: long(bytes, std::mem::offset_of!(StackRecord, goid)),
        start_ns: long(bytes, std::mem::offset_of!(StackRecord, start_ns)),
        first_returns: flags & FIRST_RETURNS != 0,
        addresses: (0..count)
            .map(|index| long(bytes, addresses + 8 * index))
            .collect(),
        offsets: (0..count)
            .map(|index| word(bytes, offsets + 4 * index))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of `count` addresses, each its index, from a place 8 bytes below the one before.
    fn record(count: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [KIND_WAIT_STACK, count] {
            bytes.extend(word.to_ne_bytes());
        }
        for long in [7_u64, 1_000, 20] {
            bytes.extend(long.to_ne_bytes());
        }
        for word in [3_u32, FIRST_RETURNS] {
            bytes.extend(word.to_ne_bytes());
        }
        for index in 0..STACK_FRAMES as u64 {
            bytes.extend(index.to_ne_bytes());
        }
        for index in 0..STACK_FRAMES as u32 {
            bytes.extend((1_000 - 8 * index).to_ne_bytes());
        }
        bytes
    }

    #[test]
    fn every_field_arrives_and_no_more_addresses_than_there_are() {
        assert!(is_stack(&record(3)));
        let event = decode(&record(3)).expect("a stack");
        let expected = StackEvent {
            of: StackOf::Wait { ns: 20 },
            tgid: 3,
            goid: 7,
            start_ns: 1_000,
            first_returns: true,
            addresses: vec![0, 1, 2],
            offsets: vec![1_000, 992, 984],
        };
        assert_eq!(event, expected);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(decode(&record(65)), Err(BadRecord::Count(65)));
        assert_eq!(decode(&record(3)[..800]), Err(BadRecord::Length(800)));
        assert!(!is_stack(&[]));
    }
}
