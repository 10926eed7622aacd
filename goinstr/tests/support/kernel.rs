//! What this machine lets the tests do, and what they left in its kernel.

use std::path::Path;

/// Why no process can be measured here, if so.
pub fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("not root: measuring needs CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE".into());
    }
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Some("a kernel without BTF (/sys/kernel/btf/vmlinux)".into());
    }
    programs()
        .is_none()
        .then(|| "the kernel refuses bpf()".into())
}

/// The number of BPF programs loaded, where the kernel tells.
pub fn programs() -> Option<usize> {
    const BPF_PROG_GET_NEXT_ID: libc::c_long = 11;
    // union bpf_attr of linux/bpf.h: start_id, next_id, open_flags.
    let mut attributes = [0_u32; 3];
    let mut count = 0;
    loop {
        // SAFETY: the command reads and writes `size` bytes at the attributes and nothing else.
        let result = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                BPF_PROG_GET_NEXT_ID,
                attributes.as_mut_ptr(),
                size_of_val(&attributes),
            )
        };
        if result == 0 {
            count += 1;
            attributes[0] = attributes[1];
            continue;
        }
        return match std::io::Error::last_os_error().raw_os_error() {
            Some(libc::ENOENT) => Some(count),
            _ => None,
        };
    }
}
