//! The shadow stack: a goroutine's open traced calls, outermost first.
//!
//! Key and value of the maps `SHADOW` (the head: the first `HEAD_FRAMES` frames, one element a
//! goroutine) and `SHADOW_DEEP` (the rest, `CHUNK_FRAMES` frames an element).
//!
//! Go never frees a `g` (`runtime.allgs` only grows; dead ones are reused), so the number of
//! elements is bounded by the largest number of goroutines the process ever had.

use crate::wire;

/// Frames in a head.
pub const HEAD_FRAMES: u32 = 16;
/// Frames in a chunk of `SHADOW_DEEP`.
pub const CHUNK_FRAMES: u32 = 32;
/// Chunks a goroutine may have.
pub const MAX_CHUNKS: u32 = 63;
/// Traced calls that can be open on one goroutine; the rest are lost as `stack_full`.
/// Bounded so that a runaway recursion can't fill the kernel's memory: 80 KiB a goroutine.
pub const MAX_FRAMES: u32 = HEAD_FRAMES + CHUNK_FRAMES * MAX_CHUNKS;

/// Which stack: a goroutine's, or a thread's system stack (`g0`, `gsignal`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ShadowKey {
    /// Address of the `runtime.g`.
    pub g: u64,
    /// Process, as the initial pid namespace numbers it.
    pub tgid: u32,
    /// The thread for a system stack (goid 0), 0 for a goroutine.
    pub tid: u32,
}
wire!(ShadowKey, size = 16, align = 8);

/// Key of a chunk of `SHADOW_DEEP`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ChunkKey {
    /// The stack.
    pub stack: ShadowKey,
    /// Which chunk, from 0.
    pub chunk: u32,
    /// Always 0.
    pub pad: u32,
}
wire!(ChunkKey, size = 24, align = 8);

/// One open call.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// `g.stack.hi − SP` at entry, in bytes: grows with depth, unchanged when the stack moves.
    pub offset: u64,
    /// When the call opened, ns of `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// Sum of the durations of the finished traced calls directly inside, corrected, in ns.
    pub child_ns: u64,
    /// The function's index in the plan.
    pub func: u32,
    /// 1 if the entry site is single-stepped, else 0.
    pub stepped: u16,
    /// The generation of the link that opened it.
    pub generation: u16,
    /// What the probes of the finished traced calls inside cost, in ns.
    pub inner_cost_ns: u64,
}
wire!(Frame, size = 40, align = 8);

/// A goroutine's state and its outermost frames.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ShadowHead {
    /// `runtime.g.goid` that the frames belong to.
    pub goid: u64,
    /// Number of open calls, at most `MAX_FRAMES`.
    pub depth: u32,
    /// The window (`Control::window`) that the frames are of; 0 where there are none.
    pub window: u32,
    /// `g.stack.hi − SP` at the entry of the innermost `runtime.Goexit` that runs; 0: none does.
    pub goexit_offset: u64,
    /// `runtime.g.parentGoid`; 0 where it is not known or not asked for.
    pub parent_goid: u64,
    /// The first `depth` of these are open.
    pub frames: [Frame; HEAD_FRAMES as usize],
}
wire!(ShadowHead, size = 672, align = 8);

/// The frames from `HEAD_FRAMES` on, `CHUNK_FRAMES` at a time.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ShadowChunk {
    /// Those below the head's `depth` are open.
    pub frames: [Frame; CHUNK_FRAMES as usize],
}
wire!(ShadowChunk, size = 1280, align = 8);
