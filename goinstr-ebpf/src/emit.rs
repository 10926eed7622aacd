//! Writes records to the ring buffer.

use aya_ebpf::bindings::BPF_RB_NO_WAKEUP;
use goinstr_common::record::CallRecord;

use crate::maps;

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
