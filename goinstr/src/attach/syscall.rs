//! bpf(2), for what aya has no call for.

use std::{
    io,
    os::fd::{FromRawFd as _, OwnedFd},
};

use aya_obj::generated::{bpf_attr, bpf_cmd};

/// bpf(2), for the commands that return a new file descriptor.
pub(in crate::attach) fn bpf(command: bpf_cmd, attr: &bpf_attr) -> io::Result<OwnedFd> {
    let fd = i32::try_from(bpf_status(command, attr)?).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: a new file descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// bpf(2), for the commands that return a number.
pub(in crate::attach) fn bpf_status(command: bpf_cmd, attr: &bpf_attr) -> io::Result<libc::c_long> {
    // SAFETY: the attributes are valid for their size, and what they point to outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            std::ptr::from_ref(attr),
            size_of::<bpf_attr>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
