//! Go stacks of single calls: records of the ring buffer beside those of [`crate::record`].
//!
//! Frame pointers are walked in the kernel, by a rule that holds only for functions that keep one. So
//! each return address comes with the place it was found at: userspace knows how large each frame is
//! and believes no address that is found elsewhere.

use crate::wire;

/// `StackRecord::kind`: where a call that is about to return was. Comes before the call's own record.
pub const KIND_RETURN_STACK: u32 = 3;
/// `StackRecord::kind`: where a goroutine with open calls has just waited.
pub const KIND_WAIT_STACK: u32 = 4;

/// `StackRecord::flags`: the first address is a return address as the others are, and not the place
/// of the instruction that was about to run.
pub const FIRST_RETURNS: u32 = 1;

/// Addresses of a stack at most, innermost first: handlers of servers have some twenty. A power of two.
pub const STACK_FRAMES: usize = 64;

/// A stack.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct StackRecord {
    /// One of the `KIND_` constants of this module.
    pub kind: u32,
    /// Addresses that there are.
    pub count: u32,
    /// `runtime.g.goid`; 0 on a thread's system stacks.
    pub goid: u64,
    /// When the call opened or the wait began, ns of `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// How long it waited, in ns; 0 of a call.
    pub duration_ns: u64,
    /// Process, as the initial pid namespace numbers it.
    pub tgid: u32,
    /// See `FIRST_RETURNS`.
    pub flags: u32,
    /// Where each function stands, innermost first.
    pub addresses: [u64; STACK_FRAMES],
    /// Of the first, `g.stack.hi − SP`; of the others `g.stack.hi` less the place on the stack that
    /// they were read from, 0 where that was a register.
    pub offsets: [u32; STACK_FRAMES],
}
wire!(StackRecord, size = 808, align = 8);
