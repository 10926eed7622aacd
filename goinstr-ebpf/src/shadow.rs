//! A goroutine's stack of open traced calls: push, look, close, unwind.
//!
//! Only the thread that runs a goroutine touches its shadow stack, so no frame is ever shared.

use core::{ffi::c_void, ptr};

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::bpf_loop};
use goinstr_common::{
    cookie,
    counter::{self, Lost},
    record::{CallRecord, KIND_CALL, KIND_UNBINNED, NO_PARENT, OUTCOME_RETURNED, OUTCOME_UNWOUND},
    shadow::{CHUNK_FRAMES, ChunkKey, Frame, HEAD_FRAMES, MAX_FRAMES, ShadowHead, ShadowKey},
    state::Clock,
};

use crate::{
    capture, config, emit,
    goroutine::{self, Place},
    histogram, maps, standing, stat, state,
};

/// One goroutine's shadow stack. `process` is `bpf_get_current_pid_tgid()`.
pub struct Shadow {
    head: *mut ShadowHead,
    key: ShadowKey,
    process: u64,
}

impl Shadow {
    /// The shadow stack of a place, if it has one.
    #[inline(always)]
    pub fn find(key: &ShadowKey, process: u64) -> Option<Self> {
        let head = maps::SHADOW.get_ptr_mut(key)?;
        Some(Self {
            head,
            key: *key,
            process,
        })
    }

    /// The shadow stack of a place, made if there is none.
    #[inline(always)]
    pub fn find_or_create(place: &Place, process: u64) -> Result<Self, Lost> {
        if let Some(found) = Self::find(&place.key, process) {
            return Ok(found);
        }
        let empty = maps::EMPTY_HEAD.get(0).ok_or(Lost::TableFull)?;
        // Another program can't have made it meanwhile, but a failed insert must not hide one.
        let _ = maps::SHADOW.insert(place.key, empty, u64::from(BPF_NOEXIST));
        Self::find(&place.key, process).ok_or(Lost::TableFull)
    }

    /// Number of open calls.
    #[inline(always)]
    pub fn depth(&self) -> u32 {
        // SAFETY: `head` is a live element of `SHADOW`.
        unsafe { (*self.head).depth }
    }

    /// Makes the stack `goid`'s: frames of another goroutine that had this `g` before are over.
    #[inline(always)]
    pub fn belong_to(&self, goid: u64, now: impl FnOnce() -> u64) {
        if config::windows() != 0 {
            self.belong_to_window();
        }
        // SAFETY: `head` is a live element of `SHADOW`.
        unsafe {
            if (*self.head).goid == goid {
                return;
            }
            if (*self.head).depth != 0 {
                stat::count(counter::STALE_FRAMES);
                unwind(self, 0, now());
            }
            (*self.head).goid = goid;
            (*self.head).goexit_offset = 0;
            if config::parent_goid_offset() != 0 {
                (*self.head).parent_goid = goroutine::parent_goid(self.key.g);
            }
        }
    }

    /// Whether the frames are `goid`'s.
    #[inline(always)]
    pub fn is_of(&self, goid: u64) -> bool {
        // SAFETY: `head` is a live element of `SHADOW`.
        unsafe { (*self.head).goid == goid }
    }

    /// Makes the stack the present window's: the returns of calls of an earlier one were not watched.
    ///
    /// A function of its own, because in line the verifier would follow it wherever a stack is looked at.
    #[inline(never)]
    fn belong_to_window(&self) {
        // SAFETY: the element of `CONTROL`; volatile, because userspace changes it.
        let window = maps::CONTROL.get_ptr(0).map_or(0, |control| unsafe {
            ptr::read_volatile(&raw const (*control).window)
        });
        // SAFETY: `head` is a live element of `SHADOW`.
        unsafe {
            if (*self.head).window == window {
                return;
            }
            (*self.head).window = window;
            if (*self.head).depth != 0 {
                stat::count_all_lost(Lost::WindowEnd, (*self.head).depth);
                (*self.head).depth = 0;
            }
        }
    }

    /// `stack.hi − SP` at the entry of the `runtime.Goexit` that runs; 0: none does.
    #[inline(always)]
    pub fn goexit_offset(&self) -> u64 {
        // SAFETY: `head` is a live element of `SHADOW`.
        unsafe { (*self.head).goexit_offset }
    }

    /// Notes the entry of a `runtime.Goexit`; 0: its end.
    #[inline(always)]
    pub fn set_goexit_offset(&self, offset: u64) {
        // SAFETY: `head` is a live element of `SHADOW`.
        unsafe { (*self.head).goexit_offset = offset };
    }

    /// The frame at `index`, which is below `MAX_FRAMES`.
    #[inline(always)]
    pub fn frame(&self, index: u32) -> Option<*mut Frame> {
        if index < HEAD_FRAMES {
            // SAFETY: `head` is a live element of `SHADOW`; the index is below the array's length.
            return Some(unsafe {
                (&raw mut (*self.head).frames)
                    .cast::<Frame>()
                    .add((index & (HEAD_FRAMES - 1)) as usize)
            });
        }
        let key = self.chunk_key(index);
        let chunk = maps::SHADOW_DEEP.get_ptr_mut(key)?;
        // SAFETY: a live element of `SHADOW_DEEP`; the index is below the array's length.
        Some(unsafe {
            (&raw mut (*chunk).frames)
                .cast::<Frame>()
                .add(((index - HEAD_FRAMES) & (CHUNK_FRAMES - 1)) as usize)
        })
    }

    #[inline(always)]
    fn chunk_key(&self, index: u32) -> ChunkKey {
        ChunkKey {
            stack: self.key,
            chunk: (index - HEAD_FRAMES) / CHUNK_FRAMES,
            pad: 0,
        }
    }

    /// The innermost open call.
    #[inline(always)]
    pub fn top(&self) -> Option<*mut Frame> {
        let depth = self.depth();
        if depth == 0 || depth > MAX_FRAMES {
            return None;
        }
        self.frame(depth - 1)
    }

    /// Opens a call. `now` is asked last, so that the program's own time is not in the call's.
    #[inline(always)]
    pub fn push(&self, offset: u64, cookie: u64, now: impl FnOnce() -> u64) -> Result<(), Lost> {
        let index = self.depth();
        if index >= MAX_FRAMES {
            return Err(Lost::StackFull);
        }
        let frame = match self.frame(index) {
            Some(frame) => frame,
            None => {
                let empty = maps::EMPTY_CHUNK.get(0).ok_or(Lost::TableFull)?;
                let _ =
                    maps::SHADOW_DEEP.insert(self.chunk_key(index), empty, u64::from(BPF_NOEXIST));
                self.frame(index).ok_or(Lost::TableFull)?
            }
        };
        if config::states() != 0 {
            state::open(&self.key, self.process, index);
        }
        // SAFETY: `frame` and `head` are live map elements.
        unsafe {
            (*frame).offset = offset;
            (*frame).child_ns = 0;
            (*frame).func = cookie::func(cookie);
            (*frame).stepped = u16::from(cookie & cookie::STEPPED != 0);
            (*frame).generation = u16::from(cookie::generation(cookie));
            (*frame).inner_cost_ns = 0;
            (*self.head).depth = index + 1;
            (*frame).start_ns = now();
        }
        Ok(())
    }

    /// Closes the innermost open call.
    #[inline(always)]
    pub fn pop(&self, end: u64, returned: bool) {
        let returned = if returned { RETURNED } else { 0 };
        let of_thread = if self.key.tid == 0 { 0 } else { OF_THREAD };
        let flags = returned | of_thread;
        shadow_pop(self.head, self.key.g, self.process, end, flags);
    }

    #[inline(always)]
    fn pop_here(&self, end: u64, returned: bool) {
        let depth = self.depth();
        if depth == 0 || depth > MAX_FRAMES {
            return;
        }
        let index = depth - 1;
        // SAFETY: `head` is a live element of `SHADOW`.
        unsafe { (*self.head).depth = index };
        let Some(frame) = self.frame(index) else {
            stat::count_lost(Lost::TableFull);
            return;
        };
        // SAFETY: frames are live map elements.
        let frame = unsafe { *frame };
        let mut clock = None;
        // Beside the clock and not within its option, where the optimizer reads it of a call that has none: the
        // verifier minds a register that nobody has written.
        let mut idle = 0;
        if config::states() != 0
            && let Some((of, time)) = state::close(&self.key, self.process, index, end)
        {
            (clock, idle) = (Some(of), time);
        }
        let (own, pair) = costs(&frame, returned);
        if !returned && standing::is_shed(frame.func) {
            self.drop_shed(index, &frame, pair);
            return;
        }
        let corrected = frame.inner_cost_ns + own;
        // What is left may be less than the costs' own noise; but no call is shorter than what is
        // inside it, so that exclusive times add up to the whole, nor than it was seen to wait.
        let duration = end
            .saturating_sub(frame.start_ns)
            .saturating_sub(corrected)
            .max(frame.child_ns)
            .max(idle);
        if let Some(clock) = clock {
            state::add_up(clock, frame.func, duration);
        }
        let mut parent = NO_PARENT;
        if index != 0
            && let Some(outer) = self.frame(index - 1)
        {
            // SAFETY: as above.
            unsafe {
                (*outer).child_ns += duration;
                (*outer).inner_cost_ns += frame.inner_cost_ns + pair;
                parent = (*outer).func;
            }
        }
        let finished = Finished {
            frame,
            depth: index,
            parent,
            duration,
            corrected,
            returned,
            clock,
        };
        self.finish(&finished);
        if capture::wanted() {
            capture::forget(&self.key, index);
        }
    }

    /// Gives up a call of a function that was shed: its return may have passed unseen. What was
    /// inside it was inside the calls around it as well.
    #[inline(always)]
    fn drop_shed(&self, index: u32, frame: &Frame, pair: u64) {
        if index != 0
            && let Some(outer) = self.frame(index - 1)
        {
            // SAFETY: frames are live map elements.
            unsafe {
                (*outer).child_ns += frame.child_ns;
                (*outer).inner_cost_ns += frame.inner_cost_ns + pair;
            }
        }
        stat::count_lost(Lost::Shed);
        if capture::wanted() {
            capture::forget(&self.key, index);
        }
    }

    /// Whether the innermost call is of a function that was shed.
    #[inline(always)]
    pub fn top_is_shed(&self) -> bool {
        standing::any_shed()
            && self
                .top()
                // SAFETY: a live map element.
                .is_some_and(|top| standing::is_shed(unsafe { (*top).func }))
    }

    /// Counts a finished call and tells of it where that was asked for.
    #[inline(always)]
    fn finish(&self, call: &Finished) {
        let func = call.frame.func;
        if config::counts_only() != 0 {
            stat::count_end(func, call.returned);
            return;
        }
        let self_ns = call.duration.saturating_sub(call.frame.child_ns);
        let record = |kind| CallRecord {
            kind,
            func,
            // SAFETY: `head` is a live element of `SHADOW`.
            goid: unsafe { (*self.head).goid },
            start_ns: call.frame.start_ns,
            duration_ns: call.duration,
            self_ns,
            parent: call.parent,
            depth: call.depth,
            outcome: if call.returned {
                OUTCOME_RETURNED
            } else {
                OUTCOME_UNWOUND
            },
            tgid: self.key.tgid,
            tid: self.process as u32,
            pad: 0,
            // SAFETY: as above.
            parent_goid: unsafe { (*self.head).parent_goid },
            corrected_ns: call.corrected,
        };
        let count = || {
            stat::count_finished(func, call.returned, call.duration, self_ns, call.corrected);
        };
        // One record in one place: what is in line twice has its variables on the stack twice.
        let carries_all = config::ring_carries_all() != 0;
        let mut kind = KIND_CALL;
        let mut wanted = carries_all;
        if !carries_all {
            count();
            wanted = config::report_slow() != 0 && call.duration >= config::slower_than_ns();
            if !histogram::add(func, call.duration) {
                kind = KIND_UNBINNED;
                wanted = true;
            }
        }
        if !wanted {
            return;
        }
        let captured = if capture::wanted() {
            capture::emit(&self.key, call.depth, &record(kind), call.clock)
        } else {
            None
        };
        let sent = match (captured, config::states()) {
            (Some(sent), _) => sent,
            (None, 0) => emit::call(record(kind)),
            (None, _) => emit::call_with_states(record(kind), call.clock),
        };
        match (sent, carries_all) {
            // The record is the call: without it the call is lost, and counted as such.
            (true, true) => count(),
            (false, true) => stat::count_lost(Lost::RingFull),
            (true, false) => {}
            (false, false) => stat::count(if kind == KIND_UNBINNED {
                counter::UNBINNED
            } else {
                counter::DROPPED_RECORDS
            }),
        }
    }
}

/// A flag of [`shadow_pop`]: the call returned; otherwise it was unwound.
const RETURNED: u64 = 1;
/// A flag of [`shadow_pop`]: the stack is a thread's own and no goroutine's.
const OF_THREAD: u64 = 2;

/// [`Shadow::pop`]; returns 0, because it has to return a number.
///
/// A global function, which the verifier goes through once and by itself, knowing nothing of its arguments. In
/// line, or as a function of the program's own, it would be followed for all that is known where a call ends: for
/// all programs that end calls and all that can be asked for, that is beyond the verifier's million instructions.
/// By itself it is a tenth of that and less.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn shadow_pop(head: *mut ShadowHead, g: u64, process: u64, end: u64, flags: u64) -> u64 {
    // Never: but of a global function's argument the verifier doesn't know that.
    if head.is_null() {
        return 0;
    }
    let tid = if flags & OF_THREAD == 0 {
        0
    } else {
        process as u32
    };
    let shadow = Shadow {
        head,
        key: ShadowKey {
            g,
            tgid: (process >> 32) as u32,
            tid,
        },
        process,
    };
    shadow.pop_here(end, flags & RETURNED != 0);
    0
}

/// A call that has just ended.
struct Finished {
    frame: Frame,
    /// Number of calls around it.
    depth: u32,
    /// Function of the innermost of them.
    parent: u32,
    duration: u64,
    /// What was taken off the duration.
    corrected: u64,
    returned: bool,
    /// Has its states, where they are known.
    clock: Option<*mut Clock>,
}

/// What the probes of a call add to its own duration, and to those of the calls around it.
#[inline(always)]
fn costs(frame: &Frame, returned: bool) -> (u64, u64) {
    let (own, pair) = if frame.stepped == 0 {
        (config::own_emulated_ns(), config::pair_emulated_ns())
    } else {
        (config::own_stepped_ns(), config::pair_stepped_ns())
    };
    let missing = if returned { 0 } else { config::exit_ns() };
    (u64::from(own), u64::from(pair.saturating_sub(missing)))
}

/// What the loop of [`unwind`] works on.
struct Unwinding {
    head: *mut ShadowHead,
    key: ShadowKey,
    process: u64,
    limit: u64,
    end: u64,
}

/// Ends, as unwound, every open call whose frame is at `limit` or deeper; and gives up those of
/// functions that were shed, as far as they are the innermost then.
///
/// A loop of the helper and not of the program's own: the verifier would follow the latter through
/// each possible frame, and gives up on far fewer than a shadow stack holds (Linux 5.17 has the helper).
#[inline(always)]
pub fn unwind(shadow: &Shadow, limit: u64, end: u64) {
    let mut unwinding = Unwinding {
        head: shadow.head,
        key: shadow.key,
        process: shadow.process,
        limit,
        end,
    };
    // SAFETY: the callback has the signature that the helper calls, and gets what it expects.
    unsafe {
        bpf_loop(
            MAX_FRAMES,
            unwind_one as *mut c_void,
            (&raw mut unwinding).cast(),
            0,
        );
    }
}

/// Ends the innermost open call, as unwound; 1 when it is not to be ended.
unsafe extern "C" fn unwind_one(_: u32, context: *mut c_void) -> i64 {
    // SAFETY: `unwind` passes its own.
    let unwinding = unsafe { &*context.cast::<Unwinding>() };
    let shadow = Shadow {
        head: unwinding.head,
        key: unwinding.key,
        process: unwinding.process,
    };
    let Some(top) = shadow.top() else { return 1 };
    // SAFETY: `top` is a live map element.
    let (offset, func) = unsafe { ((*top).offset, (*top).func) };
    if offset < unwinding.limit && !standing::is_shed(func) {
        return 1;
    }
    shadow.pop(unwinding.end, false);
    0
}
