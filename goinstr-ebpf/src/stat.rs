//! Counters and per-function totals.
//!
//! Everything is added atomically although stripes are mostly one CPU's own: a uprobe program can
//! be preempted by another one on the same CPU, and a lost update would be a wrong count.

use core::ptr;

use aya_ebpf::helpers::bpf_get_smp_processor_id;
use goinstr_common::{counter::Lost, hits, stat::FuncStat};

use crate::{
    atomic::{self, add},
    config, maps,
};

/// Tries to raise a maximum before giving up. A try only fails when another call raised it
/// between two instructions, so three in a row don't happen; the verifier wants an end, and each
/// try is a branch more in the loop that unwinds.
const RAISE_TRIES: u32 = 3;

/// Adds one to a counter of `goinstr_common::counter`.
#[inline(always)]
pub fn count(counter: u32) {
    count_so_many(counter, 1);
}

#[inline(always)]
fn count_so_many(counter: u32, number: u32) {
    if let Some(word) = maps::COUNTERS.get_ptr_mut(counter) {
        // SAFETY: an element of a map of u64.
        unsafe { add(word, u64::from(number)) };
    }
}

/// Counts so many lost calls.
#[inline(always)]
pub fn count_all_lost(reason: Lost, calls: u32) {
    count_so_many(reason.index(), calls);
}

/// Counts a hit of a site that is in no function's count.
#[inline(always)]
pub fn count_hit(stepped: bool) {
    let kind = if stepped {
        hits::STEPPED
    } else {
        hits::EMULATED
    };
    // SAFETY: the helper has no preconditions.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    if let Some(count) = maps::HIT_COUNTS.get_ptr_mut(cpu * hits::STRIDE + kind) {
        // SAFETY: an element of a map of u64.
        unsafe { add(count, 1) };
    }
}

/// A counter of `goinstr_common::counter`.
#[inline(always)]
pub fn read(counter: u32) -> u64 {
    // SAFETY: an element of a map of u64, always valid.
    maps::COUNTERS
        .get_ptr(counter)
        .map_or(0, |word| unsafe { ptr::read_volatile(word) })
}

/// Counts a lost call.
#[inline(always)]
pub fn count_lost(reason: Lost) {
    count(reason.index());
}

/// The totals of a function on this CPU's stripe.
#[inline(always)]
pub fn of(func: u32) -> Option<*mut FuncStat> {
    let mask = config::stripe_mask();
    // SAFETY: the helper has no preconditions.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let stripe = cpu & mask;
    maps::STATS.get_ptr_mut(func * (mask + 1) + stripe)
}

/// Counts a call's beginning.
#[inline(always)]
pub fn count_entry(func: u32) {
    if let Some(stat) = of(func) {
        // SAFETY: an element of `STATS`.
        unsafe { add(&raw mut (*stat).entries, 1) };
    }
}

/// Counts a call's end, and nothing else of it.
#[inline(always)]
pub fn count_end(func: u32, returned: bool) {
    if let Some(stat) = of(func) {
        add_end(stat, returned);
    }
}

#[inline(always)]
fn add_end(stat: *mut FuncStat, returned: bool) {
    // SAFETY: an element of `STATS`.
    unsafe {
        if returned {
            add(&raw mut (*stat).returned, 1);
        } else {
            add(&raw mut (*stat).unwound, 1);
        }
    }
}

/// Counts a finished call.
#[inline(always)]
pub fn count_finished(func: u32, returned: bool, duration: u64, self_ns: u64, corrected: u64) {
    let Some(stat) = of(func) else { return };
    add_end(stat, returned);
    // SAFETY: an element of `STATS`.
    unsafe {
        add(&raw mut (*stat).total_ns, duration);
        add(&raw mut (*stat).self_ns, self_ns);
        if corrected != 0 {
            add(&raw mut (*stat).corrected_ns, corrected);
        }
        raise(&raw mut (*stat).max_ns, duration);
        raise(&raw mut (*stat).min_inverted, u64::MAX - duration);
    }
}

/// Raises a maximum.
#[inline(always)]
unsafe fn raise(word: *mut u64, value: u64) {
    // SAFETY: `word` points into a map element.
    unsafe {
        let mut seen = ptr::read_volatile(word);
        for _ in 0..RAISE_TRIES {
            if value <= seen {
                return;
            }
            let before = atomic::compare_exchange(word, seen, value);
            if before == seen {
                return;
            }
            seen = before;
        }
    }
}
