//! The map `HIT_COUNTS`: hits of sites that are in no function's count, a line for each CPU.

/// Element distance of two CPUs' counts: a cache line each.
pub const STRIDE: u32 = 8;

/// Which element of a CPU's line: hits of instructions that the kernel emulates.
pub const EMULATED: u32 = 0;
/// The same of instructions that it single-steps.
pub const STEPPED: u32 = 1;
