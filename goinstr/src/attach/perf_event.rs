//! A perf event that is a uprobe, and the link that makes a program run at it.
//!
//! aya makes them too, but only in the process that calls it. Nothing here allocates or takes a lock.
//! Kernel: `kernel/events/core.c`, `perf_uprobe_event_init`; `kernel/bpf/syscall.c`, `bpf_perf_link_attach`.

use std::{
    ffi::CStr,
    fs, io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
};

use aya_obj::generated::{
    PERF_FLAG_FD_CLOEXEC, bpf_attach_type::BPF_PERF_EVENT, bpf_attr, bpf_cmd, perf_event_attr,
};

use super::syscall::bpf;

/// Where the kernel tells its number for such events.
const TYPE: &str = "/sys/bus/event_source/devices/uprobe/type";

/// The kernel's number for perf events that are uprobes.
pub(super) fn event_type() -> io::Result<u32> {
    let text = fs::read_to_string(TYPE)?;
    text.trim().parse().map_err(io::Error::other)
}

/// Arms one site of a file. `pid` 0: for all processes.
pub(super) fn link(
    program: &OwnedFd,
    path: &CStr,
    offset: u64,
    cookie: u64,
    pid: i32,
    event_type: u32,
) -> io::Result<OwnedFd> {
    // The link keeps it.
    let event = open(path, offset, pid, event_type)?;
    // SAFETY: all fields of the union are integers, for which zero is a value.
    let mut attr = unsafe { std::mem::zeroed::<bpf_attr>() };
    attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd().cast_unsigned();
    attr.link_create.__bindgen_anon_2.target_fd = event.as_raw_fd().cast_unsigned();
    attr.link_create.attach_type = BPF_PERF_EVENT as u32;
    attr.link_create.__bindgen_anon_3.perf_event.bpf_cookie = cookie;
    bpf(bpf_cmd::BPF_LINK_CREATE, &attr)
}

fn open(path: &CStr, offset: u64, pid: i32, event_type: u32) -> io::Result<OwnedFd> {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut attr = unsafe { std::mem::zeroed::<perf_event_attr>() };
    attr.size = u32::try_from(size_of::<perf_event_attr>()).unwrap_or(0);
    attr.type_ = event_type;
    attr.__bindgen_anon_3.config1 = path.as_ptr() as u64;
    attr.__bindgen_anon_4.config2 = offset;
    // Of one process on whatever CPU, or of all processes: then the CPU does not matter to a uprobe.
    let (pid, cpu) = if pid == 0 { (-1, 0) } else { (pid, -1) };
    let no_group: libc::c_int = -1;
    // SAFETY: the attributes are valid for their size, and what they point to outlives the call.
    let event = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attr,
            pid,
            cpu,
            no_group,
            PERF_FLAG_FD_CLOEXEC,
        )
    };
    match RawFd::try_from(event) {
        // SAFETY: a new file descriptor, which nobody else owns.
        Ok(event) if event >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(event) }),
        _ => Err(io::Error::last_os_error()),
    }
}
