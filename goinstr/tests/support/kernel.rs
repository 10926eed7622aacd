//! What this machine lets the tests do.

use std::path::Path;

use super::objects::Objects;

/// Why no process can be measured here, if so.
pub fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("not root: measuring needs CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE".into());
    }
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Some("a kernel without BTF (/sys/kernel/btf/vmlinux)".into());
    }
    Objects::now()
        .is_none()
        .then(|| "the kernel refuses bpf()".into())
}
