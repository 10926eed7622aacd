//! Whether a hit counts, while functions are shed: the rules are in `goinstr_common::standing`.

use core::ptr;

use goinstr_common::{
    cookie,
    standing::{self, SHED, Standing},
};

use crate::{config, maps};

/// What a hit is worth.
#[inline(always)]
pub fn of(cookie: u64) -> Standing {
    if config::shedding() == 0 {
        return Standing::Current;
    }
    standing::of(element(cookie::func(cookie)), cookie::generation(cookie))
}

/// Whether calls of the function are no longer followed.
#[inline(always)]
pub fn is_shed(func: u32) -> bool {
    any_shed() && element(func) & SHED != 0
}

/// Whether there are such functions at all.
#[inline(always)]
pub fn any_shed() -> bool {
    config::shedding() != 0
        && maps::CONTROL
            .get_ptr(0)
            // SAFETY: the element of `CONTROL`; volatile, because userspace changes it.
            .is_some_and(|control| unsafe { ptr::read_volatile(&raw const (*control).shed) } != 0)
}

#[inline(always)]
fn element(func: u32) -> u32 {
    // SAFETY: an element of `STANDING`; volatile, because userspace changes it.
    maps::STANDING
        .get_ptr(func)
        .map_or(0, |element| unsafe { ptr::read_volatile(element) })
}
