//! Tells which measured calls are open around one that is told of.

use core::ffi::c_void;

use aya_ebpf::{bindings::BPF_RB_NO_WAKEUP, helpers::bpf_loop};
use goinstr_common::{
    chain::{CHAIN_CALLERS, ChainRecord, KIND_CHAIN},
    counter,
};

use crate::{bounded::bounded, maps, shadow::Shadow, stat, walk::Of};

/// What the loop works on.
struct Climb<'a> {
    record: *mut ChainRecord,
    shadow: &'a Shadow,
    /// Calls around the next one.
    depth: u32,
}

/// Tells of the calls around the innermost one of `shadow`, where there are more than one: that one the
/// call's own record has.
#[inline(always)]
pub fn tell(shadow: &Shadow, of: &Of) {
    let depth = shadow.depth();
    if depth < 3 {
        return;
    }
    let Some(mut entry) = maps::CALLS.reserve::<ChainRecord>(0) else {
        stat::count(counter::DROPPED_STACKS);
        return;
    };
    let record = entry.as_mut_ptr();
    let mut climb = Climb {
        record,
        shadow,
        depth: depth - 1,
    };
    // SAFETY: the record was reserved as a whole; the callback has the signature that the helper
    // calls, and gets what it expects.
    unsafe {
        (*record).kind = KIND_CHAIN;
        (*record).goid = of.goid;
        (*record).start_ns = of.start;
        (*record).tgid = of.tgid;
        (*record).pad = 0;
        (*record).count = 0;
        bpf_loop(
            CHAIN_CALLERS as u32,
            step as *mut c_void,
            (&raw mut climb).cast(),
            0,
        );
    }
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
}

/// Goes one call outwards; 1 where there is none.
unsafe extern "C" fn step(_: u32, context: *mut c_void) -> i64 {
    // SAFETY: `tell` passes its own.
    let climb = unsafe { &mut *context.cast::<Climb<'_>>() };
    if climb.depth == 0 {
        return 1;
    }
    let Some(frame) = climb.shadow.frame(climb.depth - 1) else {
        return 1;
    };
    // SAFETY: live map elements, and a record that was reserved; the index is below the array's length.
    unsafe {
        // Counted in the record, of whose words the verifier knows nothing: of the stack's it does, and would go
        // through the rest of the program for each number of callers.
        let count = &raw mut (*climb.record).count;
        let index = bounded::<CHAIN_CALLERS>((*count).into());
        *(&raw mut (*climb.record).funcs).cast::<u32>().add(index) = (*frame).func;
        *count += 1;
    }
    climb.depth -= 1;
    0
}
