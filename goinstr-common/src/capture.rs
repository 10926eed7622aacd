//! Arguments and results of calls: what the kernel program reads where, and the record it makes.
//!
//! The program knows nothing of types. It notes the argument registers at the beginning of the data,
//! then goes through the steps of the function's [`Recipe`], each of which copies bytes from an
//! address that stands in the data already to another place of the data. Userspace has made the steps
//! and knows what the bytes mean.

use crate::{record::CallRecord, sieve::Sieve, state::StateTimes, wire};

/// Bytes of data of one call, of its arguments and results together. A power of two.
pub const DATA_BYTES: usize = 2048;
/// Bytes that one step copies, at most one less. A power of two.
pub const STEP_BYTES: usize = 512;
/// Steps of a function's arguments, or of its results: one bit of a mask each.
pub const MAX_STEPS: u32 = 64;

/// General registers that carry arguments and results: R0 to R15 on arm64, fewer on amd64.
pub const REGISTERS: usize = 16;
/// Where in the noted registers the stack pointer stands, in words.
pub const STACK_POINTER: usize = REGISTERS;
/// Bytes that the noted registers take.
pub const REGISTER_BYTES: usize = (REGISTERS + 1) * 8;

/// `Step::count`: it copies as many bytes as it may.
pub const NO_COUNT: u32 = u32::MAX;

/// One copy from the target's memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Where in the data the address stands; an address of 0 is not read. A multiple of 8.
    pub address: u32,
    /// What is added to it.
    pub add: u32,
    /// Where in the data the bytes go.
    pub to: u32,
    /// Bytes at most.
    pub most: u32,
    /// Where in the data the number of things to copy stands, or `NO_COUNT`. A multiple of 8.
    pub count: u32,
    /// Bytes of each.
    pub each: u32,
}
wire!(Step, size = 24, align = 4);

/// Which steps belong to a function: an element of the map `RECIPES`, by the function's index.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    /// Index of the first step at the entry in the map `STEPS`.
    pub entry: u32,
    /// Number of steps at the entry.
    pub entry_steps: u32,
    /// Index of the first step at a return.
    pub exit: u32,
    /// Number of steps at a return.
    pub exit_steps: u32,
    /// Where in the data the registers at the return go. A multiple of 8.
    pub exit_at: u32,
    /// Bytes of data in all; 0: nothing of this function is wanted.
    pub bytes: u32,
    /// What is asked of the arguments.
    pub entry_sieve: Sieve,
    /// What is asked of arguments and results.
    pub exit_sieve: Sieve,
}
wire!(Recipe, size = 40, align = 4);

/// `Captured::taken`: the arguments.
pub const TAKEN_ENTRY: u32 = 1;
/// `Captured::taken`: the results.
pub const TAKEN_EXIT: u32 = 2;

/// A finished call, its states where they are known, its arguments and results: the record ends with
/// as many bytes of data as the function's recipe says.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Captured {
    /// The call.
    pub call: CallRecord,
    /// Not running, within it.
    pub times: StateTimes,
    /// 1 if `times` is known.
    pub states_known: u64,
    /// The steps at the entry that found nothing to read, a bit each.
    pub entry_failed: u64,
    /// The same at the return.
    pub exit_failed: u64,
    /// Bytes of data that count.
    pub bytes: u32,
    /// Flags of this module.
    pub taken: u32,
    /// The data, with room for the last step behind it.
    pub data: [u8; DATA_BYTES + STEP_BYTES],
}
wire!(
    Captured,
    size = HEADER_BYTES + DATA_BYTES + STEP_BYTES,
    align = 8
);

/// Bytes of a record before its data.
pub const HEADER_BYTES: usize = 80 + 144 + 8 + 16 + 8;
