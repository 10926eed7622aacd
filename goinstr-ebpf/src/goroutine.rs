//! Which stack a hit is on: reads the few fields of `runtime.g` that identify it.

use aya_ebpf::{helpers::bpf_probe_read_user as read_word, programs::ProbeContext};
use goinstr_common::{counter::Lost, shadow::ShadowKey};

use crate::{config, regs};

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
        // Two reads: one of all between the fields would take 168 bytes of the stack, which the
        // program and the callback of `bpf_loop` share and have no more than 512 of. `stack.lo` and
        // `stack.hi` stand first, `goid` at 152 or 160 (Go's `src/runtime/runtime2.go`, 1.17 to 1.27).
        // SAFETY: the helper checks the source, and both types are plain integers.
        let (stack, goid) = unsafe {
            (
                read_word(g as *const [u64; 2]),
                read_word((g + u64::from(config::goid_offset())) as *const u64),
            )
        };
        match (stack, goid) {
            (Ok([lo, hi]), Ok(goid)) => Ok(Self { lo, hi, goid }),
            _ => Err(Lost::UnreadableG),
        }
    }
}

impl Place {
    /// Finds the stack of a hit. `process` is `bpf_get_current_pid_tgid()`.
    #[inline(always)]
    pub fn of(ctx: &ProbeContext, process: u64) -> Result<Self, Lost> {
        Self::at(ctx, regs::stack_pointer(ctx), process)
    }

    /// The same with another stack pointer than the registers'.
    #[inline(always)]
    pub fn at(ctx: &ProbeContext, sp: u64, process: u64) -> Result<Self, Lost> {
        let g = regs::g(ctx);
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

/// The id of the goroutine at `g`; 0 where that can't be read.
#[inline(always)]
pub fn goid(g: u64) -> u64 {
    let field = g + u64::from(config::goid_offset());
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
