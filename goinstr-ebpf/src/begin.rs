//! Each call as it begins, where nobody asks for its end.
//!
//! In: hits of entry sites that each call passes once. Out: the function's number of entries, and a record
//! without a duration, with the arguments where they are asked for. No call is followed, no return armed.

use aya_ebpf::{
    EbpfContext as _,
    helpers::{bpf_get_attach_cookie, bpf_get_current_pid_tgid, bpf_ktime_get_ns},
    programs::ProbeContext,
};
use goinstr_common::{
    control::PHASE_RECORDING,
    cookie, counter,
    record::{CallRecord, KIND_BEGUN, NO_PARENT},
    shadow::ShadowKey,
};

use crate::{
    call, capture, config, emit,
    goroutine::{self, Place},
    regs, stat,
};

/// A hit of an entry site.
#[inline(always)]
pub fn begin(ctx: &ProbeContext) {
    let process = bpf_get_current_pid_tgid();
    if call::phase(process) != Some(PHASE_RECORDING) {
        return;
    }
    // SAFETY: the context is this program's own.
    let func = cookie::func(unsafe { bpf_get_attach_cookie(ctx.as_ptr()) });
    stat::count_entry(func);
    // On a system stack with a goroutine's g in the register it is of no goroutine.
    let goid = Place::of(ctx, process).map_or(0, |place| place.goid);
    let parent_goid = match (goid, config::parent_goid_offset()) {
        (0, _) | (_, 0) => 0,
        _ => goroutine::parent_goid(regs::g(ctx)),
    };
    let (tgid, tid) = ((process >> 32) as u32, process as u32);
    let record = CallRecord {
        kind: KIND_BEGUN,
        func,
        goid,
        // SAFETY: the helper has no preconditions.
        start_ns: unsafe { bpf_ktime_get_ns() },
        parent: NO_PARENT,
        tgid,
        tid,
        parent_goid,
        ..CallRecord::default()
    };
    if !sent(ctx, &record) {
        stat::count(counter::DROPPED_RECORDS);
    }
}

/// Writes the record, with the arguments where they are asked for, unless these can't match; false: there is no room.
#[inline(always)]
fn sent(ctx: &ProbeContext, record: &CallRecord) -> bool {
    if !capture::wanted() {
        return emit::call(*record);
    }
    // The thread's own element: it is in one probe at a time. No stack has this key, for no g is at 0.
    let thread = ShadowKey {
        g: 0,
        tgid: record.tgid,
        tid: record.tid,
    };
    capture::at_entry(ctx, &thread, 0, record.func);
    let sent = capture::emit(&thread, 0, record, None);
    capture::forget(&thread, 0);
    sent.unwrap_or_else(|| emit::call(*record))
}
