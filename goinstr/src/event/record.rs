//! One record of the ring buffer, checked.

use goinstr_common::capture::{HEADER_BYTES, TAKEN_ENTRY, TAKEN_EXIT};
use goinstr_common::record::{
    CallRecord, KIND_BEGUN, KIND_CALL, KIND_UNBINNED, NO_PARENT, OUTCOME_RETURNED, OUTCOME_UNWOUND,
};
use goinstr_common::state::{StateTimes, StatesRecord};
use thiserror::Error;

use super::chain::{self, ChainEvent};
use super::stack::{self, StackEvent};

/// A record that says what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A finished call that somebody wants to see.
    Call(CallRecord, Beside),
    /// A finished call whose duration is in no histogram of the kernel.
    Unbinned(CallRecord, Beside),
    /// A call that has just begun: its function, goroutines, process and beginning are known.
    Begun(CallRecord, Beside),
    /// Where a call was that is told of next, or may be.
    Stack(StackEvent),
    /// The measured calls around a call that is told of next, or may be.
    Chain(ChainEvent),
}

/// What is told of a call beside its duration, as far as it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// What it did.
    pub states: Option<StateTimes>,
    /// What was read of its arguments and results.
    pub captured: Option<RawCapture>,
}

/// Arguments and results as the kernel program copied them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawCapture {
    /// The steps at the entry that found nothing to read, a bit each; `None`: none was taken.
    pub entry_failed: Option<u64>,
    /// The same at the return.
    pub exit_failed: Option<u64>,
    /// The bytes.
    pub data: Vec<u8>,
}

/// Bytes that are no record of ours. Never seen; a reader must survive them all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadRecord {
    /// It has another length.
    #[error("a record of {0} bytes")]
    Length(usize),
    /// Its kind is none we know.
    #[error("a record of kind {0}")]
    Kind(u32),
    /// It speaks of a function that is not in the plan.
    #[error("a record of function {0}")]
    Function(u32),
    /// It has more parts than there can be.
    #[error("a record of {0} parts")]
    Count(usize),
    /// Its outcome is none we know.
    #[error("a record with outcome {0}")]
    Outcome(u32),
}

/// Two words as one.
fn long(next: &mut impl FnMut() -> u32) -> u64 {
    let mut array = [0; 8];
    array[..4].copy_from_slice(&next().to_ne_bytes());
    array[4..].copy_from_slice(&next().to_ne_bytes());
    u64::from_ne_bytes(array)
}

/// The states that follow a call, where they are known.
fn states(next: &mut impl FnMut() -> u32) -> Option<StateTimes> {
    let mut times = StateTimes {
        runnable_ns: long(next),
        syscall_ns: long(next),
        ..StateTimes::default()
    };
    for ns in &mut times.waiting_ns {
        *ns = long(next);
    }
    (long(next) == 1).then_some(times)
}

/// What was read of arguments and results; `None` where the record's length is another than it says.
fn captured(next: &mut impl FnMut() -> u32, data: &[u8]) -> Option<RawCapture> {
    let (entry, exit) = (long(next), long(next));
    let (bytes, taken) = (next(), next());
    (bytes as usize == data.len()).then(|| RawCapture {
        entry_failed: (taken & TAKEN_ENTRY != 0).then_some(entry),
        exit_failed: (taken & TAKEN_EXIT != 0).then_some(exit),
        data: data.to_vec(),
    })
}

/// Decodes one record. `functions` is the number of functions in the plan.
pub fn decode(bytes: &[u8], functions: usize) -> Result<Event, BadRecord> {
    if stack::is_stack(bytes) {
        return stack::decode(bytes).map(Event::Stack);
    }
    if chain::is_chain(bytes) {
        return chain::decode(bytes, functions).map(Event::Chain);
    }
    let mut words = bytes.chunks_exact(4).map(|word| {
        let mut array = [0; 4];
        array.copy_from_slice(word);
        u32::from_ne_bytes(array)
    });
    let data = bytes.get(HEADER_BYTES..);
    let with_states = bytes.len() == size_of::<StatesRecord>() || data.is_some();
    if bytes.len() != size_of::<CallRecord>() && !with_states {
        return Err(BadRecord::Length(bytes.len()));
    }
    let mut next = || words.next().unwrap_or_default();
    let (kind, func) = (next(), next());
    let (goid, start_ns) = (long(&mut next), long(&mut next));
    let (duration_ns, self_ns) = (long(&mut next), long(&mut next));
    let mut record = CallRecord {
        kind,
        func,
        goid,
        start_ns,
        duration_ns,
        self_ns,
        parent: next(),
        depth: next(),
        outcome: next(),
        tgid: next(),
        tid: next(),
        pad: next(),
        parent_goid: 0,
        corrected_ns: 0,
    };
    record.parent_goid = long(&mut next);
    record.corrected_ns = long(&mut next);
    let states = with_states.then(|| states(&mut next)).flatten();
    let captured = match data {
        Some(data) => Some(captured(&mut next, data).ok_or(BadRecord::Length(bytes.len()))?),
        None => None,
    };
    let beside = Beside { states, captured };
    if func as usize >= functions {
        return Err(BadRecord::Function(func));
    }
    if record.parent != NO_PARENT && record.parent as usize >= functions {
        return Err(BadRecord::Function(record.parent));
    }
    if !matches!(record.outcome, OUTCOME_RETURNED | OUTCOME_UNWOUND) {
        return Err(BadRecord::Outcome(record.outcome));
    }
    match kind {
        KIND_CALL => Ok(Event::Call(record, beside)),
        KIND_UNBINNED => Ok(Event::Unbinned(record, beside)),
        KIND_BEGUN => Ok(Event::Begun(record, beside)),
        other => Err(BadRecord::Kind(other)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(record: &CallRecord) -> [u8; size_of::<CallRecord>()] {
        // SAFETY: a wire type without padding.
        unsafe { std::mem::transmute(*record) }
    }

    fn some_record() -> CallRecord {
        CallRecord {
            kind: KIND_CALL,
            func: 3,
            goid: 1 << 40,
            start_ns: u64::MAX - 1,
            duration_ns: 0x0102_0304_0506_0708,
            self_ns: 5,
            parent: NO_PARENT,
            depth: 7,
            outcome: OUTCOME_UNWOUND,
            tgid: 10,
            tid: 11,
            pad: 0,
            parent_goid: 1 << 41,
            corrected_ns: 1 << 33,
        }
    }

    #[test]
    fn every_field_arrives() {
        let record = some_record();
        assert_eq!(
            decode(&bytes(&record), 4),
            Ok(Event::Call(record, Beside::default()))
        );
        let record = CallRecord {
            kind: KIND_UNBINNED,
            parent: 3,
            ..record
        };
        assert_eq!(
            decode(&bytes(&record), 4),
            Ok(Event::Unbinned(record, Beside::default()))
        );
        let record = CallRecord {
            kind: KIND_BEGUN,
            ..record
        };
        assert_eq!(
            decode(&bytes(&record), 4),
            Ok(Event::Begun(record, Beside::default()))
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let with = |change: fn(&mut CallRecord)| {
            let mut record = some_record();
            change(&mut record);
            decode(&bytes(&record), 4)
        };
        assert_eq!(with(|r| r.func = 4), Err(BadRecord::Function(4)));
        assert_eq!(with(|r| r.parent = 4), Err(BadRecord::Function(4)));
        assert_eq!(with(|r| r.kind = 9), Err(BadRecord::Kind(9)));
        assert_eq!(with(|r| r.outcome = 2), Err(BadRecord::Outcome(2)));
        assert_eq!(
            decode(&bytes(&some_record())[..79], 4),
            Err(BadRecord::Length(79))
        );
        assert_eq!(decode(&[], 4), Err(BadRecord::Length(0)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), functions in 0usize..10) {
            let _ = decode(&bytes, functions);
        }
    }
}
