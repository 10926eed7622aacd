//! The rules by which hits become calls.
//!
//! Stacks grow down and unwind from the top, so whatever opens or returns at some depth tells that
//! everything deeper is over. `runtime.recovery` and `runtime.Goexit` tell the same at the moment
//! it happens.

use core::arch::asm;

use aya_ebpf::{
    EbpfContext as _,
    helpers::{
        bpf_get_attach_cookie, bpf_get_current_pid_tgid, bpf_ktime_get_ns, bpf_probe_read_user,
    },
    programs::ProbeContext,
};
use aya_log_ebpf::debug;
use goinstr_common::{
    control::{PHASE_ARMING, PHASE_BETWEEN, PHASE_RECORDING},
    cookie,
    counter::{self, Lost},
    standing::Standing,
};

use crate::{
    capture, config, count,
    goroutine::{self, Goroutine, Place},
    maps, regs,
    ret::Return,
    shadow::{Shadow, unwind},
    standing, stat, walk,
};

#[inline(always)]
fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_ns() }
}

/// The phase, where this process is measured at all and has begun to be.
#[inline(always)]
pub fn phase(process: u64) -> Option<u32> {
    let phase = maps::CONTROL.get(0)?.phase;
    if phase == PHASE_ARMING {
        return None;
    }
    let tgid = (process >> 32) as u32;
    let target = config::target_tgid();
    (target == 0 || tgid == target).then_some(phase)
}

/// Whether durations are not measured just now. What is still on the shadow stacks may be over then.
#[inline(always)]
fn between(phase: u32) -> bool {
    if config::windows() == 0 {
        return false;
    }
    let mut phase = u64::from(phase);
    // SAFETY: changes nothing. It keeps the optimizer from asking for the phase first: the verifier knows the
    // setting, and would follow both phases to the end.
    unsafe { asm!("{phase} += 0", phase = inout(reg) phase) };
    phase == u64::from(PHASE_BETWEEN)
}

/// A hit of an entry site.
#[inline(always)]
pub fn enter(ctx: &ProbeContext) {
    let process = bpf_get_current_pid_tgid();
    let Some(phase) = phase(process) else { return };
    // SAFETY: the context is this program's own.
    let cookie = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) };
    let func = cookie::func(cookie);
    let standing = standing::of(cookie);
    if standing == Standing::Idle {
        return;
    }
    if between(phase) {
        stat::count_entry(func);
        stat::count_lost(Lost::NotTimed);
        return;
    }
    let recording = phase == PHASE_RECORDING;
    let place = Place::of(ctx, process);
    // A loop back to the first byte is found out before anything is counted.
    if cookie & cookie::REENTERS != 0
        && let Ok(place) = &place
        && is_open(place, process, func)
    {
        if standing == Standing::Current {
            stat::count(counter::REENTRIES);
        }
        return;
    }
    if standing == Standing::Superseded {
        if recording && let Ok(place) = &place {
            enter_superseded(ctx, place, process, cookie);
        }
        return;
    }
    if recording {
        stat::count_entry(func);
        count::note_caller(ctx, func);
    }
    if let Err(lost) = place.and_then(|place| open(ctx, &place, process, cookie, recording)) {
        if recording {
            stat::count_lost(lost);
        }
        debug!(ctx, "entry of function {} lost: {}", func, lost.name());
    }
}

/// A hit through a link that is about to go. The newer link's program ran just before and has
/// opened the call, unless it came before its generation was current: then no call of that
/// generation can be open at this place.
#[inline(always)]
fn enter_superseded(ctx: &ProbeContext, place: &Place, process: u64, cookie: u64) {
    let current = cookie::generation(cookie).wrapping_add(1);
    let opened = Shadow::find(&place.key, process)
        .and_then(|shadow| shadow.top())
        .is_some_and(|top| {
            // SAFETY: a live map element.
            let top = unsafe { &*top };
            top.offset == place.offset
                && top.func == cookie::func(cookie)
                && top.generation == u16::from(current)
        });
    // What the newer one lost is lost to both, and counted once.
    if !opened && open(ctx, place, process, cookie, true).is_ok() {
        stat::count_entry(cookie::func(cookie));
    }
}

/// Whether a call of `func` is open at just this place.
#[inline(always)]
fn is_open(place: &Place, process: u64, func: u32) -> bool {
    let Some(shadow) = Shadow::find(&place.key, process) else {
        return false;
    };
    shadow.belong_to(place.goid, now);
    // Calls of functions that were shed may be over, and must not stand between this one and the hit.
    if shadow.top_is_shed() {
        unwind(&shadow, u64::MAX, now());
    }
    let Some(top) = shadow.top() else {
        return false;
    };
    // SAFETY: a live map element.
    unsafe { (*top).offset == place.offset && (*top).func == func }
}

#[inline(always)]
fn open(
    ctx: &ProbeContext,
    place: &Place,
    process: u64,
    cookie: u64,
    recording: bool,
) -> Result<(), Lost> {
    let shadow = if recording {
        Shadow::find_or_create(place, process)?
    } else {
        // Nothing opens any more; but what this entry shows to be over must not be paired later.
        match Shadow::find(&place.key, process) {
            Some(shadow) => shadow,
            None => return Ok(()),
        }
    };
    shadow.belong_to(place.goid, now);
    if let Some(top) = shadow.top()
        // SAFETY: a live map element.
        && (unsafe { (*top).offset } >= place.offset || shadow.top_is_shed())
    {
        unwind(&shadow, place.offset, now());
    }
    if recording {
        if capture::wanted() {
            capture::at_entry(ctx, &place.key, shadow.depth(), cookie::func(cookie));
        }
        shadow.push(place.offset, cookie, now)
    } else {
        Ok(())
    }
}

/// A hit of a return.
#[inline(always)]
pub fn leave(ctx: &ProbeContext) {
    let end = now();
    let process = bpf_get_current_pid_tgid();
    let Some(phase) = phase(process) else { return };
    // SAFETY: the context is this program's own.
    let cookie = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) };
    let standing = standing::of(cookie);
    if standing == Standing::Idle {
        return;
    }
    let func = cookie::func(cookie);
    let returning = Return::of(ctx, cookie);
    let sp = returning.stack_pointer(ctx);
    if config::stacks() != 0 || config::chains() != 0 {
        let [process, end, sp, func] =
            [process, end, sp, returning.function(func)].map(walk::unlinked);
        walk::at_return(ctx, process, end, sp, func);
    }
    let unmatched = match Place::at(ctx, sp, process) {
        Ok(place) => close(ctx, &place, sp, (process, func), end),
        Err(_) => Some(counter::LOST_RETURNS),
    };
    // Through a link that is about to go, a return without an open call is one that the newer link's
    // program has just closed.
    if let Some(counter) = unmatched
        && standing == Standing::Current
        && phase == PHASE_RECORDING
    {
        stat::count(counter);
    }
    returning.make(ctx);
}

/// The counter for a return on a stack without a shadow: from before recording, unless stacks have
/// been refused a shadow.
#[inline(always)]
fn unknown_stack() -> u32 {
    if stat::read(Lost::TableFull.index()) == 0 {
        counter::ORPHAN_RETURNS
    } else {
        counter::LOST_RETURNS
    }
}

/// Closes the call that returns; the counter for a return without an open call.
#[inline(always)]
fn close(
    ctx: &ProbeContext,
    place: &Place,
    sp: u64,
    (process, func): (u64, u32),
    end: u64,
) -> Option<u32> {
    let Some(shadow) = Shadow::find(&place.key, process) else {
        return Some(unknown_stack());
    };
    shadow.belong_to(place.goid, || end);
    let mut top = shadow.top();
    // One loop for what is deeper and for what was shed: the verifier follows each on its own.
    if let Some(frame) = top
        // SAFETY: a live map element.
        && (unsafe { (*frame).offset } > place.offset || shadow.top_is_shed())
    {
        unwind(&shadow, place.offset + 1, end);
        top = shadow.top();
    }
    let Some(frame) = top else {
        return Some(counter::ORPHAN_RETURNS);
    };
    // SAFETY: a live map element.
    let (offset, opened) = unsafe { ((*frame).offset, (*frame).func) };
    if offset != place.offset {
        // A call outside this one is open, so this one began while recording: its entry was lost.
        return Some(counter::LOST_RETURNS);
    }
    let own = opened == func;
    if capture::wanted() && own {
        capture::at_return(ctx, &place.key, shadow.depth() - 1, func, sp);
    }
    shadow.pop(end, own);
    (!own).then_some(counter::LOST_RETURNS)
}

/// Entry of `runtime.recovery(gp)`, on g0: ends the calls deeper than the frame that recovered.
#[inline(always)]
pub fn recover(ctx: &ProbeContext) {
    let process = bpf_get_current_pid_tgid();
    let Some(phase) = phase(process) else { return };
    stat::count(counter::UNWIND_HITS);
    if between(phase) {
        return;
    }
    let gp = regs::first_argument(ctx);
    let Ok(goroutine) = Goroutine::read(gp) else {
        return;
    };
    let Some(shadow) = Shadow::find(&goroutine::key(gp, goroutine.goid, process), process) else {
        return;
    };
    let Some(sp) = recovering_sp(gp) else { return };
    if sp <= goroutine.lo || sp > goroutine.hi {
        return;
    }
    shadow.belong_to(goroutine.goid, now);
    // The frames that the recovering one called begin at its stack pointer or below. But a Goexit
    // is not left: where one runs deeper than the recovering frame, it goes on with the deferred
    // functions of the frames around it, and these are not over yet.
    let limit = (goroutine.hi - sp).max(shadow.goexit_offset());
    unwind(&shadow, limit, now());
}

/// The stack pointer of the frame whose deferred function recovered.
#[inline(always)]
fn recovering_sp(gp: u64) -> Option<u64> {
    let field = gp + u64::from(config::recovery_g_offset());
    // SAFETY: the helper checks the addresses.
    unsafe {
        let word: u64 = bpf_probe_read_user(field as *const u64).ok()?;
        if config::recovery_in_panic() == 0 {
            return Some(word);
        }
        bpf_probe_read_user((word + u64::from(config::recovery_sp_offset())) as *const u64).ok()
    }
}

/// Entry of `runtime.Goexit`.
#[inline(always)]
pub fn goexit_entry(ctx: &ProbeContext) {
    // A goroutine without open calls has none that could be ended too early.
    if let Some((place, shadow)) = exiting(ctx) {
        shadow.set_goexit_offset(place.offset);
    }
}

/// The last call in `runtime.Goexit`: all calls of the goroutine are over.
#[inline(always)]
pub fn goexit(ctx: &ProbeContext) {
    if let Some((_, shadow)) = exiting(ctx) {
        unwind(&shadow, 0, now());
        shadow.set_goexit_offset(0);
    }
}

/// A hit in `runtime.Goexit`, where it concerns a measured goroutine with a shadow stack.
#[inline(always)]
fn exiting(ctx: &ProbeContext) -> Option<(Place, Shadow)> {
    let process = bpf_get_current_pid_tgid();
    let phase = phase(process)?;
    stat::count(counter::UNWIND_HITS);
    if between(phase) {
        return None;
    }
    let place = Place::of(ctx, process).ok()?;
    let shadow = Shadow::find(&place.key, process)?;
    shadow.belong_to(place.goid, now);
    Some((place, shadow))
}
