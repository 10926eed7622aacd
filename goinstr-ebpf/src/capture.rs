//! Reads arguments and results, where they are asked for.
//!
//! Each open call has an element of its own in the map `CAPTURED`, by its shadow stack and its place
//! on it: only the thread that runs the goroutine touches it, so that a program that preempts this one
//! changes nothing of it. The element is the record that goes into the ring buffer when the call has
//! ended. What a step does is in `goinstr_common::capture`.

use core::{ffi::c_void, slice};

use aya_ebpf::{
    bindings::{BPF_NOEXIST, BPF_RB_NO_WAKEUP},
    helpers::{bpf_loop, generated},
    programs::ProbeContext,
};
use goinstr_common::{
    capture::{
        Captured, DATA_BYTES, HEADER_BYTES, MAX_STEPS, NO_COUNT, REGISTERS, Recipe, STEP_BYTES,
        TAKEN_ENTRY, TAKEN_EXIT,
    },
    counter,
    record::{CallRecord, KIND_UNBINNED},
    shadow::{ChunkKey, ShadowKey},
    state::Clock,
};

use crate::{config, maps, regs, sieve, stat, state};

/// The key of an open call's element.
#[inline(always)]
fn key(stack: &ShadowKey, index: u32) -> ChunkKey {
    ChunkKey {
        stack: *stack,
        chunk: index,
        pad: 0,
    }
}

/// What is read of a function's calls; `None`: nothing.
#[inline(always)]
fn recipe(func: u32) -> Option<Recipe> {
    let recipe = maps::RECIPES.get(func)?;
    (recipe.bytes != 0).then_some(*recipe)
}

/// Reads the arguments of the call that is about to open at `index`; of one that can't match nothing is kept.
#[inline(never)]
pub fn at_entry(ctx: &ProbeContext, stack: &ShadowKey, index: u32, func: u32) {
    let Some(recipe) = recipe(func) else { return };
    let key = key(stack, index);
    let Some(empty) = maps::EMPTY_CAPTURED.get(0) else {
        return;
    };
    // What a call left behind that was given up must not be taken for this one's.
    let _ = maps::CAPTURED.remove(key);
    if maps::CAPTURED
        .insert(key, empty, u64::from(BPF_NOEXIST))
        .is_err()
    {
        stat::count(counter::UNCAPTURED);
        return;
    }
    let Some(captured) = maps::CAPTURED.get_ptr_mut(key) else {
        return;
    };
    // SAFETY: a live map element.
    unsafe {
        (*captured).bytes = recipe.bytes;
        (*captured).taken = TAKEN_ENTRY;
        note_registers(ctx, captured, 0, regs::stack_pointer(ctx));
        (*captured).entry_failed = run(captured, recipe.entry, recipe.entry_steps);
        if sieve::wanted() && !sieve::passes(captured, recipe.entry_sieve) {
            let _ = maps::CAPTURED.remove(key);
        }
    }
}

/// Reads the results of the call that returns, which is open at `index`; of one that doesn't match nothing is
/// kept.
#[inline(never)]
pub fn at_return(ctx: &ProbeContext, stack: &ShadowKey, index: u32, func: u32, sp: u64) {
    let Some(recipe) = recipe(func) else { return };
    let key = key(stack, index);
    let Some(captured) = maps::CAPTURED.get_ptr_mut(key) else {
        return;
    };
    // SAFETY: a live map element.
    unsafe {
        // Asked for once more where a stack goes before the call.
        if sieve::wanted() && config::stacks() != 0 && (*captured).taken & TAKEN_EXIT != 0 {
            return;
        }
        (*captured).taken |= TAKEN_EXIT;
        note_registers(ctx, captured, recipe.exit_at, sp);
        (*captured).exit_failed = run(captured, recipe.exit, recipe.exit_steps);
        if sieve::wanted() && !sieve::passes(captured, recipe.exit_sieve) {
            let _ = maps::CAPTURED.remove(key);
        }
    }
}

/// Copies the registers to `at` in the data.
///
/// # Safety
/// `captured` is a live map element.
#[inline(always)]
unsafe fn note_registers(ctx: &ProbeContext, captured: *mut Captured, at: u32, sp: u64) {
    // Bounded, so that the verifier sees that all of them stay in the element.
    let at = at as usize & (DATA_BYTES - 8);
    // SAFETY: there is room for a step behind the data, which is more than the registers.
    unsafe {
        let to = (&raw mut (*captured).data)
            .cast::<u8>()
            .add(at)
            .cast::<u64>();
        regs::arguments(ctx, to);
        *to.add(REGISTERS) = sp;
    }
}

/// What the loop of [`run`] works on.
struct Run {
    captured: *mut Captured,
    first: u32,
    failed: u64,
}

/// Goes through `steps` steps from `first` on; those that found nothing to read, a bit each.
#[inline(always)]
fn run(captured: *mut Captured, first: u32, steps: u32) -> u64 {
    let mut run = Run {
        captured,
        first,
        failed: 0,
    };
    // SAFETY: the callback has the signature that the helper calls, and gets what it expects.
    unsafe {
        bpf_loop(
            steps.min(MAX_STEPS),
            step as *mut c_void,
            (&raw mut run).cast(),
            0,
        );
    }
    run.failed
}

/// One step.
unsafe extern "C" fn step(number: u32, context: *mut c_void) -> i64 {
    // SAFETY: `run` passes its own.
    let run = unsafe { &mut *context.cast::<Run>() };
    let Some(step) = maps::STEPS.get(run.first.wrapping_add(number)) else {
        return 1;
    };
    // SAFETY: a live map element; all offsets are bounded below its size.
    let data = unsafe { (&raw mut (*run.captured).data).cast::<u8>() };
    // SAFETY: as above.
    let word = |at: u32| unsafe { *data.add(at as usize & (DATA_BYTES - 8)).cast::<u64>() };
    let address = word(step.address);
    if address == 0 {
        return 0;
    }
    let mut size = step.most;
    if step.count != NO_COUNT {
        // A length is the target's own word, and may be anything.
        let count = word(step.count).min(STEP_BYTES as u64) as u32;
        size = size.min(count.wrapping_mul(step.each));
    }
    let to = step.to as usize & (DATA_BYTES - 8);
    // SAFETY: the helper checks the source; the destination has room for a step behind any offset.
    let read = unsafe {
        generated::bpf_probe_read_user(
            data.add(to).cast(),
            size & (STEP_BYTES as u32 - 1),
            address.wrapping_add(u64::from(step.add)) as *const c_void,
        )
    };
    if read != 0 {
        run.failed |= 1 << (number & 63);
    }
    0
}

/// Whether anything is kept of what was read of the call that is open at `index`.
#[inline(always)]
pub fn is_there(stack: &ShadowKey, index: u32) -> bool {
    maps::CAPTURED.get_ptr(key(stack, index)).is_some()
}

/// Forgets what was read of the call that was open at `index`.
#[inline(always)]
pub fn forget(stack: &ShadowKey, index: u32) {
    let _ = maps::CAPTURED.remove(key(stack, index));
}

/// Writes the record of a finished call with what was read of it, where that may match; `None`: nothing was
/// read. `Some(false)`: there is no room.
#[inline(always)]
pub fn emit(
    stack: &ShadowKey,
    index: u32,
    record: &CallRecord,
    clock: Option<*mut Clock>,
) -> Option<bool> {
    let Some(captured) = maps::CAPTURED.get_ptr_mut(key(stack, index)) else {
        return (sieve::wanted() && keeps_back(record)).then_some(true);
    };
    // SAFETY: live map elements.
    unsafe {
        (*captured).call = *record;
        (*captured).states_known = u64::from(clock.is_some());
        if let Some(clock) = clock {
            state::copy_last(clock, &raw mut (*captured).times);
        }
        let bytes = (*captured).bytes & (DATA_BYTES as u32 * 2 - 1);
        let bytes = u64::from(bytes.min(DATA_BYTES as u32)) + HEADER_BYTES as u64;
        let written: &[u8] = slice::from_raw_parts(captured.cast(), bytes as usize);
        let sent = maps::CALLS.output::<[u8]>(written, u64::from(BPF_RB_NO_WAKEUP));
        Some(sent.is_ok())
    }
}

/// Whether nothing is told of a call of which nothing was read, or kept: it doesn't match. Counts it.
#[inline(always)]
fn keeps_back(record: &CallRecord) -> bool {
    // The only way to userspace that the call's duration has.
    if record.kind == KIND_UNBINNED {
        return false;
    }
    stat::count(counter::KEPT_BACK);
    true
}

/// Whether anything is read of calls.
#[inline(always)]
pub fn wanted() -> bool {
    config::captures() != 0
}
