//! Coverage: notes when a site was first hit. The site's number is in its cookie.

use core::ptr;

use aya_ebpf::{
    EbpfContext as _,
    helpers::{bpf_get_attach_cookie, bpf_get_current_pid_tgid, bpf_ktime_get_ns},
    programs::ProbeContext,
};
use goinstr_common::{
    control::PHASE_RECORDING,
    coverage::{NOT_HIT, STEPPED_BIT},
};

use crate::{call, maps, stat};

/// A hit of a site.
#[inline(always)]
pub fn hit(ctx: &ProbeContext) {
    if call::phase(bpf_get_current_pid_tgid()) != Some(PHASE_RECORDING) {
        return;
    }
    // SAFETY: the context is this program's own.
    let site = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) };
    stat::count_hit(site >> STEPPED_BIT & 1 != 0);
    let Some(first) = maps::FIRST_HITS.get_ptr_mut(site as u32) else {
        return;
    };
    // Looked at before it is written, so that the CPUs can share its cache line until the site is
    // taken out. Two that come at once differ by less than anyone asks for.
    // SAFETY: an element of a map of u64.
    unsafe {
        if ptr::read_volatile(first) == NOT_HIT {
            ptr::write_volatile(first, bpf_ktime_get_ns());
        }
    }
}
