//! What goroutines with open calls do: follows the state changes of the Go runtime.
//!
//! `runtime.casgstatus(gp, old, new)` makes most changes; where the runtime changes the status
//! itself (system calls since Go 1.26, coroutines) other sites tell. Each change of a goroutine is
//! seen by the thread that makes it, one after the other, so a clock is never shared.

use core::arch::asm;

use aya_ebpf::{
    EbpfContext as _,
    bindings::BPF_NOEXIST,
    helpers::{
        bpf_get_attach_cookie, bpf_get_current_pid_tgid, bpf_ktime_get_ns, bpf_probe_read_kernel,
        bpf_probe_read_user,
    },
    programs::{ProbeContext, RawTracePointContext},
};
use goinstr_common::{
    control::PHASE_RECORDING,
    shadow::ShadowKey,
    state::{
        COOKIE_ARGUMENT, COOKIE_STATE, COOKIE_STEPPED, Clock, RUNNABLE, RUNNING, STATE_FRAMES,
        SYSCALL, StateTimes, Thread, WAIT_SLOTS, WAITING,
    },
};

use crate::{atomic, bounded::bounded, call, config, goroutine, maps, regs, stat, walk};

/// `runtime.g.atomicstatus` (Go's `src/runtime/runtime2.go`), which has the bit `_Gscan` beside.
const G_RUNNABLE: u32 = 1;
const G_RUNNING: u32 = 2;
const G_SYSCALL: u32 = 3;
const G_WAITING: u32 = 4;

/// The states of a thread that is off its CPU and could run have none of these bits.
const BLOCKED_BITS: u64 = 0xff;

#[inline(always)]
fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_ns() }
}

/// The clock of a goroutine that has one; system stacks have none.
#[inline(always)]
fn find(key: &ShadowKey) -> Option<*mut Clock> {
    if key.tid != 0 {
        return None;
    }
    maps::CLOCKS.get_ptr_mut(key)
}

/// Counts a hit, whether it concerns a goroutine that is followed or not: it costs the same.
#[inline(always)]
fn count_hit(process: u64, cookie: u64) {
    if call::phase(process) == Some(PHASE_RECORDING) {
        stat::count_hit(cookie & COOKIE_STEPPED != 0);
    }
}

/// Entry of `runtime.casgstatus(gp, old, new)`.
#[inline(always)]
pub fn status(ctx: &ProbeContext) {
    let process = bpf_get_current_pid_tgid();
    // SAFETY: the context is this program's own.
    count_hit(process, unsafe { bpf_get_attach_cookie(ctx.as_ptr()) });
    let g = regs::first_argument(ctx);
    let Some(clock) = find(&key(g, process)) else {
        return;
    };
    let to = match regs::third_argument(ctx) as u32 {
        G_RUNNABLE => RUNNABLE,
        G_RUNNING => RUNNING,
        G_SYSCALL => SYSCALL,
        G_WAITING => WAITING,
        _ => return,
    };
    if config::told_wait_ns() != u64::MAX
        && let Some(of) = waited(clock, g, process, to)
    {
        walk::parked(g, &of);
    }
    change(clock, g, process, to);
}

/// A site where the state in its cookie begins.
#[inline(always)]
pub fn site(ctx: &ProbeContext) {
    let process = bpf_get_current_pid_tgid();
    // SAFETY: the context is this program's own.
    let cookie = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) };
    count_hit(process, cookie);
    let (argument, own) = (opaque(regs::first_argument(ctx)), opaque(regs::g(ctx)));
    let g = if cookie & COOKIE_ARGUMENT != 0 {
        argument
    } else {
        own
    };
    if let Some(clock) = find(&key(g, process)) {
        let to = (cookie & COOKIE_STATE) as u32;
        if config::told_wait_ns() != u64::MAX
            && cookie & COOKIE_ARGUMENT == 0
            && let Some(of) = waited(clock, g, process, to)
        {
            walk::at_resumption(ctx, &of);
        }
        change(clock, g, process, to);
    }
}

/// A wait that is over with this change, where its stack is to be told of: it is the longest in one of
/// the open calls, and was not noted as such yet.
#[inline(always)]
fn waited(clock: *mut Clock, g: u64, process: u64, to: u32) -> Option<walk::Of> {
    // SAFETY: a live map element.
    unsafe {
        let (state, open) = ((*clock).state, (*clock).open);
        let over = (state == WAITING || state == SYSCALL) && to != WAITING && to != SYSCALL;
        if open == 0 || !over {
            return None;
        }
        let since = (*clock).since_ns;
        let waited = now().saturating_sub(since);
        if waited < config::told_wait_ns() {
            return None;
        }
        // Those of calls that are not open are set anew when one opens.
        let mut longest = false;
        for index in 0..STATE_FRAMES {
            let told = (&raw mut (*clock).told_ns).cast::<u64>().add(index);
            if *told < waited {
                *told = waited;
                longest |= (index as u32) < open;
            }
        }
        longest.then(|| walk::Of {
            goid: goroutine::goid(g),
            start: since,
            waited,
            tgid: (process >> 32) as u32,
        })
    }
}

/// Keeps the optimizer from choosing between two places of the context instead of their values,
/// which the verifier doesn't allow.
#[inline(always)]
fn opaque(mut value: u64) -> u64 {
    // SAFETY: changes nothing.
    unsafe { asm!("{value} += 0", value = inout(reg) value) };
    value
}

#[inline(always)]
fn key(g: u64, process: u64) -> ShadowKey {
    ShadowKey {
        g,
        tgid: (process >> 32) as u32,
        tid: 0,
    }
}

#[inline(always)]
fn change(clock: *mut Clock, g: u64, process: u64, to: u32) {
    // SAFETY: a live map element.
    unsafe {
        if (*clock).open == 0 {
            return;
        }
        settle(clock, g, process, now());
        begin(clock, process, to);
    }
}

/// Adds the time since the last change to the state that the goroutine was in.
///
/// # Safety
/// `clock` is a live map element.
#[inline(always)]
unsafe fn settle(clock: *mut Clock, g: u64, process: u64, now: u64) {
    // SAFETY: by this function's own contract.
    unsafe {
        let elapsed = now.saturating_sub((*clock).since_ns);
        (*clock).since_ns = now;
        match (*clock).state {
            RUNNING => {
                // Its thread may have lost the CPU meanwhile.
                if let Some(thread) = thread(process) {
                    let runnable = (*thread)
                        .runnable_ns
                        .saturating_sub((*clock).thread_runnable_ns)
                        .min(elapsed);
                    let blocked = (*thread)
                        .blocked_ns
                        .saturating_sub((*clock).thread_blocked_ns)
                        .min(elapsed - runnable);
                    (*clock).totals.runnable_ns += runnable;
                    (*clock).totals.syscall_ns += blocked;
                }
            }
            RUNNABLE => (*clock).totals.runnable_ns += elapsed,
            WAITING => {
                let slot = wait_slot(g) as usize & (WAIT_SLOTS - 1);
                let word = (&raw mut (*clock).totals.waiting_ns)
                    .cast::<u64>()
                    .add(slot);
                *word += elapsed;
            }
            _ => (*clock).totals.syscall_ns += elapsed,
        }
    }
}

/// # Safety
/// `clock` is a live map element.
#[inline(always)]
unsafe fn begin(clock: *mut Clock, process: u64, state: u32) {
    // SAFETY: by this function's own contract.
    unsafe {
        (*clock).state = state;
        if state == RUNNING
            && let Some(thread) = thread(process)
        {
            (*clock).thread_runnable_ns = (*thread).runnable_ns;
            (*clock).thread_blocked_ns = (*thread).blocked_ns;
        }
    }
}

/// This thread's times off its CPU, which are followed from the first time on that they are asked for.
#[inline(always)]
fn thread(process: u64) -> Option<*mut Thread> {
    if config::follow_threads() == 0 {
        return None;
    }
    let tid = process as u32;
    if let Some(thread) = maps::THREADS.get_ptr_mut(tid) {
        return Some(thread);
    }
    // Not from the stack, of which the programs that end calls have no byte to spare.
    let new = maps::EMPTY_THREAD.get(0)?;
    let _ = maps::THREADS.insert(tid, new, u64::from(BPF_NOEXIST));
    maps::THREADS.get_ptr_mut(tid)
}

/// The slot of the reason for which the goroutine at `g` waits, or has just waited: some versions of
/// the runtime write it after they have changed the status.
#[inline(always)]
fn wait_slot(g: u64) -> u32 {
    let field = (g + u64::from(config::waitreason_offset())) as *const u8;
    // SAFETY: the helper checks the address.
    let reason = unsafe { bpf_probe_read_user(field) }.unwrap_or(0);
    maps::WAIT_SLOT.get(u32::from(reason)).copied().unwrap_or(0)
}

/// A traced call opens as the one at `index` of its goroutine.
#[inline(always)]
pub fn open(key: &ShadowKey, process: u64, index: u32) {
    if key.tid != 0 {
        return;
    }
    let clock = match find(key) {
        Some(clock) => clock,
        None => {
            let Some(empty) = maps::EMPTY_CLOCK.get(0) else {
                return;
            };
            let _ = maps::CLOCKS.insert(key, empty, u64::from(BPF_NOEXIST));
            let Some(clock) = find(key) else { return };
            clock
        }
    };
    // SAFETY: a live map element.
    unsafe {
        let now = now();
        if (*clock).open == 0 {
            (*clock).since_ns = now;
        } else {
            settle(clock, key.g, process, now);
        }
        // It runs this.
        begin(clock, process, RUNNING);
        (*clock).open = index + 1;
        if (index as usize) < STATE_FRAMES {
            let frame = (&raw mut (*clock).frames)
                .cast::<[u64; WORDS]>()
                .add(bounded::<STATE_FRAMES>(index.into()));
            let totals = (&raw const (*clock).totals).cast::<[u64; WORDS]>();
            *frame = *totals;
            if config::told_wait_ns() != u64::MAX {
                *(&raw mut (*clock).told_ns)
                    .cast::<u64>()
                    .add(bounded::<STATE_FRAMES>(index.into())) = 0;
            }
        }
    }
}

/// Words of a `StateTimes`.
const WORDS: usize = WAIT_SLOTS + 2;

/// The call at `index` of its goroutine ends at `end`: how long it did not run, as far as that is
/// known; the single times are in the clock's `last`.
#[inline(always)]
pub fn close(key: &ShadowKey, process: u64, index: u32, end: u64) -> Option<(*mut Clock, u64)> {
    let clock = find(key)?;
    // SAFETY: a live map element.
    unsafe {
        let followed = (*clock).open > index;
        if followed {
            settle(clock, key.g, process, end);
            begin(clock, process, RUNNING);
        }
        (*clock).open = index;
        if !followed || index as usize >= STATE_FRAMES {
            return None;
        }
        let frame = (&raw const (*clock).frames)
            .cast::<[u64; WORDS]>()
            .add(bounded::<STATE_FRAMES>(index.into()))
            .cast::<u64>();
        let totals = (&raw const (*clock).totals).cast::<u64>();
        let last = (&raw mut (*clock).last).cast::<u64>();
        let mut sum = 0;
        for word in 0..WORDS {
            let time = *totals.add(word) - *frame.add(word);
            *last.add(word) = time;
            sum += time;
        }
        Some((clock, sum))
    }
}

/// Copies the times of the call that ended last.
///
/// # Safety
/// `clock` and `to` are valid and aligned.
#[inline(always)]
pub unsafe fn copy_last(clock: *mut Clock, to: *mut StateTimes) {
    // SAFETY: by this function's own contract; both have so many words.
    unsafe {
        let from = (&raw const (*clock).last).cast::<u64>();
        let to = to.cast::<u64>();
        for word in 0..WORDS {
            *to.add(word) = *from.add(word);
        }
    }
}

/// Adds the times of the call that ended last to its function's.
#[inline(always)]
pub fn add_up(clock: *mut Clock, func: u32, duration: u64) {
    let Some(sum) = maps::STATE_SUMS.get_ptr_mut(func) else {
        return;
    };
    // SAFETY: live map elements.
    unsafe {
        atomic::add(&raw mut (*sum).calls, 1);
        atomic::add(&raw mut (*sum).total_ns, duration);
        let last = (&raw const (*clock).last).cast::<u64>();
        let times = (&raw mut (*sum).times).cast::<u64>();
        for word in 0..WORDS {
            let time = *last.add(word);
            if time != 0 {
                atomic::add(times.add(word), time);
            }
        }
    }
}

/// The raw tracepoint `sched_switch(preempt, prev, next, prev_state)` (since Linux 5.18): this thread
/// leaves its CPU, another takes it.
#[inline(always)]
pub fn switch(ctx: &RawTracePointContext) {
    let previous = bpf_get_current_pid_tgid() as u32;
    if let Some(thread) = maps::THREADS.get_ptr_mut(previous) {
        let state: u64 = ctx.arg(3);
        // SAFETY: a live map element, which only this thread's switches change.
        unsafe {
            (*thread).off_since_ns = now();
            (*thread).blocked = u64::from(state & BLOCKED_BITS != 0);
        }
    }
    let task: u64 = ctx.arg(2);
    let pid = (task + u64::from(config::task_pid_offset())) as *const u32;
    // SAFETY: the helper checks the address.
    let Ok(next) = (unsafe { bpf_probe_read_kernel(pid) }) else {
        return;
    };
    if let Some(thread) = maps::THREADS.get_ptr_mut(next) {
        // SAFETY: as above.
        unsafe {
            let since = (*thread).off_since_ns;
            if since == 0 {
                return;
            }
            (*thread).off_since_ns = 0;
            let off = now().saturating_sub(since);
            if (*thread).blocked == 0 {
                (*thread).runnable_ns += off;
            } else {
                (*thread).blocked_ns += off;
            }
        }
    }
}
