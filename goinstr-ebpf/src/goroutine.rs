//! Which stack a hit is on: reads the few fields of `runtime.g` that identify it.

use core::mem::MaybeUninit;

use aya_ebpf::{
    helpers::{bpf_probe_read_user as read_word, generated::bpf_probe_read_user},
    programs::ProbeContext,
};
use goinstr_common::{counter::Lost, shadow::ShadowKey};

use crate::{config, regs};

/// Bytes of `runtime.g` that are read: `stack.lo` at 0, `stack.hi` at 8, `goid` at 152 or 160
/// (Go's `src/runtime/runtime2.go`, 1.17 to 1.27).
const G_WORDS: usize = 21;

/// The fields of a `runtime.g`.
pub struct Goroutine {
    pub lo: u64,
    pub hi: u64,
    pub goid: u64,
}

/// The stack that a hit is on, and how deep.
pub struct Place {
    pub key: ShadowKey,
    pub goid: u64,
    /// `stack.hi − SP`.
    pub offset: u64,
}

impl Goroutine {
    /// Reads the `runtime.g` at `g`.
    #[inline(always)]
    pub fn read(g: u64) -> Result<Self, Lost> {
        let goid_word = config::goid_offset() as usize / 8;
        if goid_word >= G_WORDS {
            return Err(Lost::UnreadableG);
        }
        let mut words = MaybeUninit::<[u64; G_WORDS]>::uninit();
        // One read: two shorter ones would each pay for the helper and for the page fault guard.
        // SAFETY: the destination is as large as said; the helper checks the source.
        let read = unsafe {
            bpf_probe_read_user(
                words.as_mut_ptr().cast(),
                (G_WORDS * 8) as u32,
                g as *const _,
            )
        };
        if read != 0 {
            return Err(Lost::UnreadableG);
        }
        let words = words.as_ptr().cast::<u64>();
        // SAFETY: the helper has written all words, and the index was checked.
        unsafe {
            Ok(Self {
                lo: *words,
                hi: *words.add(1),
                goid: *words.add(goid_word),
            })
        }
    }
}

impl Place {
    /// Finds the stack of a hit. `process` is `bpf_get_current_pid_tgid()`.
    #[inline(always)]
    pub fn of(ctx: &ProbeContext, process: u64) -> Result<Self, Lost> {
        let g = regs::g(ctx);
        let sp = regs::stack_pointer(ctx);
        let goroutine = Goroutine::read(g)?;
        // On g0 with a goroutine's g in the register (`runtime.newstack`), in assembly that uses
        // the register otherwise: the offset would mean nothing.
        if sp <= goroutine.lo || sp > goroutine.hi {
            return Err(Lost::ForeignStack);
        }
        Ok(Self {
            key: key(g, goroutine.goid, process),
            goid: goroutine.goid,
            offset: goroutine.hi - sp,
        })
    }
}

/// The goroutine that started the one at `g`; 0 where that can't be read.
#[inline(always)]
pub fn parent_goid(g: u64) -> u64 {
    let field = g + u64::from(config::parent_goid_offset());
    // SAFETY: the helper checks the address.
    unsafe { read_word(field as *const u64) }.unwrap_or(0)
}

/// The shadow stack's key. System stacks (goid 0) belong to a thread, and cgo hands their g from thread to thread.
#[inline(always)]
pub fn key(g: u64, goid: u64, process: u64) -> ShadowKey {
    ShadowKey {
        g,
        tgid: (process >> 32) as u32,
        tid: if goid == 0 { process as u32 } else { 0 },
    }
}
