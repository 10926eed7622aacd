//! Counting alone: what a hit does where nobody asks how long calls take.
//!
//! In: hits of entry sites that each call passes once. Out: the function's number of entries and,
//! where asked for, who called. No goroutine is looked up and no call followed, so this needs no
//! site at the function's returns.

use aya_ebpf::{
    EbpfContext as _,
    bindings::BPF_NOEXIST,
    helpers::{bpf_get_attach_cookie, bpf_get_current_pid_tgid},
    programs::ProbeContext,
};
use goinstr_common::{
    caller::{CallerKey, UNREADABLE},
    control::PHASE_RECORDING,
    cookie,
};

use crate::{atomic, call, config, maps, regs, stat};

/// A hit of an entry site.
#[inline(always)]
pub fn count(ctx: &ProbeContext) {
    if call::phase(bpf_get_current_pid_tgid()) != Some(PHASE_RECORDING) {
        return;
    }
    // SAFETY: the context is this program's own.
    let func = cookie::func(unsafe { bpf_get_attach_cookie(ctx.as_ptr()) });
    stat::count_entry(func);
    note_caller(ctx, func);
}

/// Counts a call for its caller, where callers are asked for.
///
/// A caller without room in the table is in none of its counts, which then add up to less than the
/// function's calls: userspace tells the rest as unknown.
#[inline(always)]
pub fn note_caller(ctx: &ProbeContext, func: u32) {
    if config::count_callers() == 0 {
        return;
    }
    let key = CallerKey {
        func,
        pad: 0,
        // From the site and not from zero: so it is the same wherever the program was loaded.
        distance: regs::return_address(ctx).map_or(UNREADABLE, |address| {
            address.wrapping_sub(regs::instruction(ctx))
        }),
    };
    let calls = maps::CALLERS.get_ptr_mut(key).or_else(|| {
        // Another CPU may have been first.
        let _ = maps::CALLERS.insert(key, 0, u64::from(BPF_NOEXIST));
        maps::CALLERS.get_ptr_mut(key)
    });
    if let Some(calls) = calls {
        // SAFETY: a live element of `CALLERS`; elements are never deleted.
        unsafe { atomic::add(calls, 1) };
    }
}
