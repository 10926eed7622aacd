//! Who executes the return instruction at a return site: values of the kernel program's setting
//! `RETURNS`.

/// The kernel single-steps it. No program on this machine can change registers.
pub const BY_KERNEL: u32 = 0;
/// The kernel single-steps it, unless a program of somebody else's has made the return already.
pub const BY_KERNEL_OR_ANOTHER: u32 = 1;
/// This program makes it: it sets the instruction pointer and the stack pointer.
pub const BY_PROGRAM: u32 = 2;
