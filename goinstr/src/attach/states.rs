//! The parts of the kernel side that follow goroutines' states: the slots of wait reasons, and the
//! raw tracepoint that tells when threads lose and get CPUs.

use aya::maps::Array;
use aya::programs::RawTracePoint;
use aya::programs::raw_trace_point::RawTracePointLink;
use aya::{Ebpf, programs::ProgramError};

use super::kernel::{map_error, missing};
use super::{AttachError, kernel_types};
use crate::plan::WaitSlots;

/// Tells the program which slot each wait reason has.
pub(super) fn give_slots(ebpf: &mut Ebpf, slots: &WaitSlots) -> Result<(), AttachError> {
    const NAME: &str = "WAIT_SLOT";
    let map = ebpf.map_mut(NAME).ok_or_else(|| missing(NAME))?;
    let mut map: Array<_, u32> = Array::try_from(map).map_err(|error| map_error(NAME, error))?;
    for (reason, slot) in slots.by_reason() {
        map.set(reason, slot, 0)
            .map_err(|error| map_error(NAME, error))?;
    }
    Ok(())
}

/// Where the kernel keeps a thread's id; `None`, with a warning, where it doesn't tell.
pub(super) fn task_pid_offset() -> Option<u32> {
    let offset = kernel_types::field_offset("task_struct", "pid");
    if offset.is_none() {
        log::warn!(
            "can't follow threads as they lose and get CPUs (no BTF of the kernel): \
             time without a CPU counts as running"
        );
    }
    offset
}

/// Follows threads; `None`, with the reason in the log, where the kernel doesn't let us: then time
/// without a CPU counts as running.
pub(super) fn follow_threads(ebpf: &mut Ebpf) -> Option<RawTracePointLink> {
    let mut attach = || {
        let program = ebpf
            .program_mut("state_switch")
            .ok_or(ProgramError::NotAttached)?;
        let program: &mut RawTracePoint = program.try_into()?;
        program.load()?;
        let id = program.attach("sched_switch")?;
        program.take_link(id)
    };
    attach()
        .inspect_err(|error| {
            log::warn!(
                "can't follow threads as they lose and get CPUs ({error}): \
                 time without a CPU counts as running"
            );
        })
        .ok()
}
