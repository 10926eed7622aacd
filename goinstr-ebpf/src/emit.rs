//! Writes records to the ring buffer.

use core::ptr;

use aya_ebpf::bindings::BPF_RB_NO_WAKEUP;
use goinstr_common::{
    record::CallRecord,
    state::{Clock, StatesRecord},
};

use crate::{maps, state};

/// Writes one record; false when there is no room.
///
/// Never wakes the reader: a wake-up per record costs more than the record, and the reader drains by time.
#[inline(always)]
pub fn call(record: CallRecord) -> bool {
    let Some(mut entry) = maps::CALLS.reserve::<CallRecord>(0) else {
        return false;
    };
    entry.write(record);
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
    true
}

/// Writes one record with the states of the call that `clock` has followed last.
#[inline(always)]
pub fn call_with_states(record: CallRecord, clock: Option<*mut Clock>) -> bool {
    let Some(mut entry) = maps::CALLS.reserve::<StatesRecord>(0) else {
        return false;
    };
    let to = entry.as_mut_ptr();
    // SAFETY: the record was reserved as a whole; a clock is a live map element.
    unsafe {
        (*to).call = record;
        (*to).known = u64::from(clock.is_some());
        match clock {
            Some(clock) => state::copy_last(clock, &raw mut (*to).times),
            None => {
                let times = (&raw mut (*to).times).cast::<u64>();
                for word in 0..size_of_val(&(*to).times) / 8 {
                    // One by one: a call of memset takes 32 bytes of the stack that older kernels give.
                    ptr::write_volatile(times.add(word), 0);
                }
            }
        }
    }
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
    true
}
