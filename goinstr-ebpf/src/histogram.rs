//! Adds a duration to a function's histogram, taking a block for its octave when there is none yet.

use core::ptr;

use goinstr_common::histogram::{OCTAVES, SLOTS, locate};

use crate::{atomic, config, maps};

/// Adds one call. False: no block is left for this octave.
#[inline(always)]
pub fn add(func: u32, duration: u64) -> bool {
    let (octave, slot) = locate(duration);
    let Some(entry) = maps::HIST_DIR.get_ptr_mut(func * OCTAVES + octave) else {
        return false;
    };
    // SAFETY: an element of `HIST_DIR`, always valid.
    let mut block = unsafe { ptr::read_volatile(entry) };
    if block == 0 {
        block = take_block(entry);
        if block == 0 {
            return false;
        }
    }
    let Some(block) = maps::HIST_BLOCKS.get_ptr_mut(block - 1) else {
        return false;
    };
    let slot = slot as usize & (SLOTS - 1);
    // SAFETY: an element of `HIST_BLOCKS`; the slot is below its length.
    unsafe { atomic::add((&raw mut (*block).counts).cast::<u64>().add(slot), 1) };
    true
}

/// Takes a free block for a directory entry; what the entry holds then, 0 for none.
///
/// When two CPUs do so for the same entry, one block stays unused: harmless, and rare.
#[inline(always)]
fn take_block(entry: *mut u32) -> u32 {
    let Some(control) = maps::CONTROL.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: elements of `CONTROL` and `HIST_DIR`.
    unsafe {
        // Looked at first, so that the counter can't wrap around when blocks are long used up.
        if ptr::read_volatile(&raw const (*control).blocks_used) >= config::blocks() {
            return 0;
        }
        let taken = atomic::fetch_add_u32(&raw mut (*control).blocks_used, 1);
        if taken >= config::blocks() {
            return 0;
        }
        let theirs = atomic::compare_exchange_u32(entry, 0, taken + 1);
        if theirs == 0 { taken + 1 } else { theirs }
    }
}
