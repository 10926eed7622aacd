//! Any bytes as a record of the ring buffer: an event that speaks of functions that there are, or none.
//!
//! Input: one byte (how many functions there are), the record.

use goinstr::event::{Event, decode};

pub fn ring_record(input: &[u8]) {
    let Some((&functions, record)) = input.split_first() else {
        return;
    };
    let Ok(event) = decode(record, functions.into()) else {
        return;
    };
    let there_is = |function: u32| assert!(function < functions.into(), "a function of nobody's");
    match event {
        Event::Call(call, beside) | Event::Unbinned(call, beside) | Event::Begun(call, beside) => {
            there_is(call.func);
            if call.parent != u32::MAX {
                there_is(call.parent);
            }
            if let Some(captured) = beside.captured {
                assert!(captured.data.len() < record.len(), "more than was there");
            }
        }
        Event::Stack(stack) => {
            assert_eq!(stack.addresses.len(), stack.offsets.len());
            assert!(
                stack.addresses.len() * 12 < record.len(),
                "more than was there"
            );
        }
        Event::Chain(chain) => chain.callers.into_iter().for_each(there_is),
    }
}
