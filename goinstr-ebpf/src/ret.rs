//! The return instruction itself: where the kernel lets a program write the registers, it can make
//! the return, and the kernel then doesn't single-step the instruction.
//!
//! Several programs may stand at one site, and each is run with the registers as the one before
//! left them. So whoever makes the return must be sure that nobody has made it yet.

use aya_ebpf::{helpers::bpf_probe_read_user, programs::ProbeContext};
use goinstr_common::{cookie, ret};

use crate::{config, regs, walk};

/// What a plain return takes off the stack: the return address.
const POPPED: u64 = 8;
/// Addresses of user space are below 2^47 (2^56 with five levels of page tables, which are only
/// handed out on request).
const USER_BITS: u32 = 47;

/// A hit of a return site, before or after the return.
pub struct Return {
    cookie: u64,
    /// A program that ran before this one has made it.
    made: bool,
}

impl Return {
    /// Finds out whether another program has made the return.
    #[inline(always)]
    pub fn of(ctx: &ProbeContext, cookie: u64) -> Self {
        let made = config::returns() != ret::BY_KERNEL
            && cookie & cookie::PLAIN_RETURN != 0
            && (place(ctx) ^ cookie::site(cookie)) & config::site_bits() != 0;
        Self { cookie, made }
    }

    /// The stack pointer before the return.
    #[inline(always)]
    pub fn stack_pointer(&self, ctx: &ProbeContext) -> u64 {
        let sp = regs::stack_pointer(ctx);
        if self.made { sp - POPPED } else { sp }
    }

    /// The function, for [`crate::walk::at_return`].
    #[inline(always)]
    pub fn function(&self, func: u32) -> u64 {
        let made = if self.made { walk::MADE } else { 0 };
        u64::from(func) | made
    }

    /// Makes the return, where that is this program's to do. Leaves all as it is where the return
    /// address can't be read, or is none: the kernel then steps, and what happens is the target's own.
    #[inline(always)]
    pub fn make(&self, ctx: &ProbeContext) {
        if config::returns() != ret::BY_PROGRAM
            || self.cookie & cookie::PLAIN_RETURN == 0
            // All bits: made by another, or not where it is known to stand.
            || place(ctx) != cookie::site(self.cookie)
        {
            return;
        }
        let sp = regs::stack_pointer(ctx);
        // SAFETY: the helper checks the address.
        let Ok(to) = (unsafe { bpf_probe_read_user(sp as *const u64) }) else {
            return;
        };
        if to >> USER_BITS == 0 {
            regs::jump(ctx, to, sp + POPPED);
        }
    }
}

/// Where the probed instruction stands in the file's own numbering.
#[inline(always)]
fn place(ctx: &ProbeContext) -> u64 {
    regs::instruction(ctx).wrapping_sub(config::load_bias())
}
