//! Walks a goroutine's stack by its frame pointers, for calls that are told of.
//!
//! In: registers at a place where the frame of the function that runs is gone or not yet there (a
//! return, an entry), or those that the runtime saved of a goroutine that waits. Out: a
//! [`StackRecord`] in the ring buffer. Go keeps frame pointers on amd64 and arm64 alike: the word at
//! one is the caller's, the word above it the return address (Go's `src/cmd/internal/obj/x86/obj6.go`
//! and `arm64/obj7.go`).

use core::{arch::asm, ffi::c_void};

use aya_ebpf::{
    bindings::BPF_RB_NO_WAKEUP,
    helpers::{bpf_loop, bpf_probe_read_user},
    programs::ProbeContext,
};
use goinstr_common::{
    counter,
    stack::{FIRST_RETURNS, KIND_RETURN_STACK, KIND_WAIT_STACK, STACK_FRAMES, StackRecord},
};

use crate::{
    bounded::bounded, capture, chain, config, goroutine::Place, maps, regs, shadow::Shadow, sieve,
    stat,
};

/// What a stack is of.
pub struct Of {
    pub goid: u64,
    /// When the call opened or the wait began.
    pub start: u64,
    /// How long it waited; 0 of a call.
    pub waited: u64,
    pub tgid: u32,
}

/// Beside the function that returns: another program has made the return already, so that its
/// instruction is no longer known.
pub const MADE: u64 = 1 << 32;

/// The same value, of which the verifier doesn't know that it is: what it finds out about a copy that
/// a function was called with, it would hold for known of this one, and follow the rest of the program
/// once for each case.
#[inline(always)]
pub fn unlinked(mut value: u64) -> u64 {
    // SAFETY: changes nothing but the register.
    unsafe { asm!("{value} &= -1", value = inout(reg) value) };
    value
}

/// Tells where the call is that returns, if it is long enough. `func` may be with [`MADE`].
///
/// Apart from what closes the call, and before it: the verifier follows each way through that, and
/// would follow it once more for each way through this.
#[inline(never)]
pub fn at_return(ctx: &ProbeContext, process: u64, end: u64, sp: u64, func: u64) {
    let Ok(place) = Place::at(ctx, sp, process) else {
        return;
    };
    let Some(shadow) = Shadow::find(&place.key, process) else {
        return;
    };
    let Some(top) = shadow.top() else { return };
    // SAFETY: a live map element.
    let (offset, opened, start) = unsafe { ((*top).offset, (*top).func, (*top).start_ns) };
    // What is left of the time after the correction may be less: then userspace drops the stack.
    let short = end.saturating_sub(start) < config::slower_than_ns();
    if short || offset != place.offset || opened != func as u32 || !shadow.is_of(place.goid) {
        return;
    }
    if sieve::wanted() {
        let index = shadow.depth() - 1;
        capture::at_return(ctx, &place.key, index, func as u32, sp);
        if !capture::is_there(&place.key, index) {
            return;
        }
    }
    let of = Of {
        goid: place.goid,
        start,
        waited: 0,
        tgid: place.key.tgid,
    };
    if config::chains() != 0 {
        chain::tell(&shadow, &of);
    }
    if config::stacks() == 0 {
        return;
    }
    let first = if func & MADE != 0 {
        0
    } else {
        regs::instruction(ctx)
    };
    let hi = place.offset + sp;
    from_registers(ctx, KIND_RETURN_STACK, first, sp, hi, &of);
}

/// Tells where this goroutine waited, at a place of the runtime that it has come to since: that of
/// an entry or a return.
#[inline(never)]
pub fn at_resumption(ctx: &ProbeContext, of: &Of) {
    let stack = regs::g(ctx) as *const [u64; 2];
    // SAFETY: the helper checks the address.
    let Ok([lo, hi]) = (unsafe { bpf_probe_read_user(stack) }) else {
        return;
    };
    let sp = regs::stack_pointer(ctx);
    if sp <= lo || sp > hi {
        return;
    }
    from_registers(ctx, KIND_WAIT_STACK, regs::instruction(ctx), sp, hi, of);
}

#[inline(always)]
fn from_registers(ctx: &ProbeContext, kind: u32, first: u64, sp: u64, hi: u64, of: &Of) {
    let Some((second, place)) = regs::return_address_at(ctx, sp) else {
        return;
    };
    let offset = if place == 0 { 0 } else { (hi - place) as u32 };
    let start = Start {
        kind,
        flags: 0,
        first: (first, (hi - sp) as u32),
        second: Some((second, offset)),
        fp: regs::frame_pointer(ctx),
        sp,
        hi,
    };
    emit(&start, of);
}

/// Tells where the goroutine at `g`, which is parked and about to be woken, has waited.
#[inline(never)]
pub fn parked(g: u64, of: &Of) {
    let word = |offset: u32| {
        // SAFETY: the helper checks the address.
        unsafe { bpf_probe_read_user((g + u64::from(offset)) as *const u64) }
    };
    let (Ok(sp), Ok(pc), Ok(fp), Ok(hi)) = (
        word(config::sched_sp_offset()),
        word(config::sched_pc_offset()),
        word(config::sched_bp_offset()),
        word(8),
    ) else {
        return;
    };
    if sp >= hi {
        return;
    }
    let start = Start {
        kind: KIND_WAIT_STACK,
        flags: FIRST_RETURNS,
        first: (pc, (hi - sp) as u32),
        second: None,
        fp,
        sp,
        hi,
    };
    emit(&start, of);
}

/// Where a walk begins: addresses with their offsets from the stack's upper end.
struct Start {
    kind: u32,
    flags: u32,
    first: (u64, u32),
    second: Option<(u64, u32)>,
    fp: u64,
    sp: u64,
    hi: u64,
}

/// What the loop works on.
struct Walk {
    record: *mut StackRecord,
    fp: u64,
    /// No frame is deeper than the one before.
    least: u64,
    hi: u64,
}

#[inline(always)]
fn emit(start: &Start, of: &Of) {
    let Some(mut entry) = maps::CALLS.reserve::<StackRecord>(0) else {
        stat::count(counter::DROPPED_STACKS);
        return;
    };
    let record = entry.as_mut_ptr();
    let mut walk = Walk {
        record,
        fp: start.fp,
        // Where the architecture keeps the frame pointer just below the frame.
        least: start.sp - 8,
        hi: start.hi,
    };
    // SAFETY: the record was reserved as a whole; the callback has the signature that the helper
    // calls, and gets what it expects.
    unsafe {
        (*record).kind = start.kind;
        (*record).flags = start.flags;
        (*record).goid = of.goid;
        (*record).start_ns = of.start;
        (*record).duration_ns = of.waited;
        (*record).tgid = of.tgid;
        (*record).addresses[0] = start.first.0;
        (*record).offsets[0] = start.first.1;
        (*record).count = 1;
        if let Some((address, offset)) = start.second {
            (*record).addresses[1] = address;
            (*record).offsets[1] = offset;
            (*record).count = 2;
        }
        bpf_loop(
            STACK_FRAMES as u32 - 2,
            step as *mut c_void,
            (&raw mut walk).cast(),
            0,
        );
    }
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
}

/// Goes one frame outwards; 1 where that can't be.
unsafe extern "C" fn step(_: u32, context: *mut c_void) -> i64 {
    // SAFETY: `emit` passes its own.
    let walk = unsafe { &mut *context.cast::<Walk>() };
    let fp = walk.fp;
    // The outermost function was entered with 0.
    if fp < walk.least || fp & 7 != 0 || fp.saturating_add(16) > walk.hi {
        return 1;
    }
    // SAFETY: the helper checks the address.
    let Ok([next, address]) = (unsafe { bpf_probe_read_user(fp as *const [u64; 2]) }) else {
        return 1;
    };
    // SAFETY: a record that was reserved; the index is below the arrays' length.
    unsafe {
        let record = walk.record;
        // In the record, as in `chain`.
        let count = &raw mut (*record).count;
        let index = bounded::<STACK_FRAMES>((*count).into());
        *(&raw mut (*record).addresses).cast::<u64>().add(index) = address;
        *(&raw mut (*record).offsets).cast::<u32>().add(index) = (walk.hi - fp - 8) as u32;
        *count += 1;
    }
    walk.least = fp + 16;
    walk.fp = next;
    0
}
