//! Whether the kernel program may make the returns of a process itself, instead of having the kernel
//! single-step them.
//!
//! Everything is tried or read, nothing inferred from a version. A program must not do so
//! - where the kernel doesn't let it write registers (mainline lets it from 6.18 on, some don't when
//!   they are locked down);
//! - in a thread with a user shadow stack: a return that is not executed takes nothing off that, and
//!   the next one would be taken for an attack (kernel: `arch/x86/kernel/shstk.c`);
//! - where it isn't known at which addresses the file was loaded: another program at the same site may
//!   have made the return before, and one made twice would lead anywhere.

use std::{fs, io, sync::OnceLock};

use super::{Returns, multi};
use crate::binary::Arch;

impl Returns {
    /// Why the kernel program can't make the returns of process `pid`, whose file was loaded
    /// `load_bias` above its own addresses; `None`: it can, as far as that can be known without trying.
    #[must_use]
    pub fn obstacle(pid: Option<u32>, load_bias: Option<u64>) -> Option<String> {
        if Arch::HOST != Arch::X86_64 {
            return Some(
                "on this architecture the kernel needs no single step for them".to_owned(),
            );
        }
        if !kernel_lets_programs() {
            return Some("this kernel lets no program write registers".to_owned());
        }
        let Some(pid) = pid else {
            return Some("it can't be known of every process that runs the file".to_owned());
        };
        if load_bias.is_none() {
            return Some(format!(
                "where process {pid} has the file loaded is not known"
            ));
        }
        // Its own too: it is tried on a child.
        for pid in [pid, std::process::id()] {
            match shadow_stacks(pid) {
                Ok(false) => {}
                Ok(true) => return Some(format!("process {pid} has a user shadow stack")),
                Err(error) => {
                    return Some(format!(
                        "the threads of process {pid} can't be looked at: {error}"
                    ));
                }
            }
        }
        None
    }
}

/// Whether the verifier takes a program that writes registers. Asked once.
pub(super) fn kernel_lets_programs() -> bool {
    static LETS: OnceLock<bool> = OnceLock::new();
    *LETS.get_or_init(|| {
        let lets = multi::takes_register_writes();
        log::debug!("programs may write registers: {lets:?}");
        lets.is_ok()
    })
}

/// Whether any thread has a user shadow stack. Threads inherit theirs, and only the dynamic loader
/// turns the first one on, before the program begins.
fn shadow_stacks(pid: u32) -> io::Result<bool> {
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = match fs::read(task?.path().join("status")) {
            Ok(status) => status,
            // The thread has ended meanwhile.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => {
                continue;
            }
            Err(error) => return Err(error),
        };
        if has_shadow_stack(&status) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `x86_Thread_features: shstk wrss` (Linux 6.6, `Documentation/arch/x86/shstk.rst`); without the
/// line the kernel has no user shadow stacks.
fn has_shadow_stack(status: &[u8]) -> bool {
    let text = String::from_utf8_lossy(status);
    text.lines()
        .filter_map(|line| line.strip_prefix("x86_Thread_features:"))
        .any(|features| {
            features
                .split_ascii_whitespace()
                .any(|feature| feature == "shstk")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shadow_stack_is_told_by_the_threads_features() {
        let status = |features: &str| format!("Name:\tapp\nPid:\t7\n{features}CapEff:\t0\n");
        for (features, has) in [
            (
                "x86_Thread_features:\tshstk \nx86_Thread_features_locked:\tshstk wrss \n",
                true,
            ),
            ("x86_Thread_features:\twrss shstk\n", true),
            (
                "x86_Thread_features:\t\nx86_Thread_features_locked:\tshstk wrss \n",
                false,
            ),
            ("", false),
        ] {
            assert_eq!(
                has_shadow_stack(status(features).as_bytes()),
                has,
                "{features}"
            );
        }
    }

    #[test]
    fn without_its_addresses_no_process_is_touched() {
        assert!(Returns::obstacle(Some(std::process::id()), None).is_some());
        assert!(Returns::obstacle(None, Some(0)).is_some());
    }
}
