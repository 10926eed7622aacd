//! What this kernel lets this user do, found out by trying.
//!
//! In: nothing. Out: [`Check`]s. Each feature is tried with the smallest program, map or link that
//! needs it; nothing is inferred from a version, and nothing is left behind. What a trial gave is judged by
//! a function that only takes that, so that what other kernels say can be tested on any.

mod arming;
mod attempt;
mod check;
mod limits;
mod lockdown;
mod needed;
mod order;
mod own_event;
mod returns;
mod rights;
mod thread_ids;

pub use arming::has_uprobe_multi;
pub use check::{Check, Verdict};
pub(super) use order::newest_first;

use std::io;

use super::AttachError;

/// How the lines begin with which the verifier ends, whatever it found.
const STATISTICS: [&str; 3] = ["processed ", "stack depth ", "verification time "];

/// What to say of a program that this kernel refuses: what the kernel lacks, where that is known to
/// be fatal, or else the refusal itself with the verifier's verdict, the last of its `words` before
/// its statistics.
pub(super) fn refused(program: &str, source: &io::Error, words: &str) -> AttachError {
    log::debug!("verifier on {program}: {words}");
    let verdict = words
        .lines()
        .rev()
        .find(|line| !(line.is_empty() || STATISTICS.iter().any(|begin| line.starts_with(begin))));
    let release = || {
        rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned()
    };
    if is_too_large(source, verdict) {
        return AttachError::TooLarge {
            program: program.to_owned(),
            release: release(),
        };
    }
    match lacking(&needed::checks()) {
        Some((lacks, needs)) => AttachError::Kernel {
            release: release(),
            lacks,
            needs,
        },
        None => AttachError::Program {
            program: program.to_owned(),
            reason: format!("{source} ({})", verdict.unwrap_or_default()),
        },
    }
}

/// Whether the verifier has given up, and found nothing wrong.
fn is_too_large(source: &io::Error, verdict: Option<&str>) -> bool {
    source.raw_os_error() == Some(libc::E2BIG)
        && verdict.is_some_and(|verdict| verdict.contains("BPF program is too large"))
}

/// What all fatal checks found, and the last one's remedy: features came one after the other.
fn lacking(checks: &[Check]) -> Option<(String, String)> {
    let fatal: Vec<_> = checks
        .iter()
        .filter(|check| check.verdict() == Verdict::Fatal)
        .collect();
    let found: Vec<_> = fatal
        .iter()
        .map(|check| format!("{}: {}", check.name(), check.detail()))
        .collect();
    let remedy = fatal.last()?.remedy()?;
    Some((found.join(", "), remedy.to_owned()))
}

/// All checks of the kernel and of this user's rights, the most basic first.
#[must_use]
pub fn checks() -> Vec<Check> {
    let mut checks = vec![rights::check()];
    let needed = needed::checks();
    let can_load = needed::can_load(&needed);
    checks.extend(needed);
    if can_load {
        checks.extend(arming::checks());
        checks.extend([returns::register_writes(), lockdown::check()]);
    }
    checks.push(thread_ids::check());
    checks.extend(limits::checks());
    checks.push(returns::shadow_stacks());
    checks
}

/// A program for `uprobe.multi` that does nothing.
#[cfg(test)]
pub(super) fn idle_program() -> io::Result<std::os::fd::OwnedFd> {
    let idle = attempt::program(&attempt::IDLE, attempt::Attach::UprobeMulti);
    idle.map_err(|(error, _)| error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_too_large_is_told_by_what_to_leave_out() {
        let source = io::Error::from_raw_os_error(libc::E2BIG);
        // As Linux 6.12 and 7.3 say it.
        let words = "2974: (5d) if r0 != r2 goto pc-7\nBPF program is too large. Processed 1000001 insn\n\
                     processed 1000001 insns (limit 1000000) max_states_per_insn 12\n";
        let told = refused("entry", &source, words);
        assert!(
            matches!(&told, AttachError::TooLarge { program, .. } if program == "entry"),
            "{told}"
        );
        assert!(told.to_string().contains("leave out --states"), "{told}");
        let other = io::Error::from_raw_os_error(libc::EINVAL);
        assert!(!is_too_large(&other, Some("BPF program is too large.")));
        assert!(!is_too_large(&source, Some("invalid mem access")));
    }

    #[test]
    fn what_a_kernel_lacks_is_named_with_what_has_it() {
        let good = Check::good("ring_buffer", "made one");
        let limited = Check::limited("uprobe_multi", "no such links", "slower", "a newer kernel");
        assert_eq!(lacking(&[good.clone(), limited.clone()]), None);
        let fatal = |name, since: &str| {
            Check::fatal(
                name,
                "the kernel does not have it",
                "nothing can be measured",
                format!("a kernel that has it (Linux {since} or newer)"),
            )
        };
        let checks = [
            good,
            fatal("attach_cookie", "5.15"),
            fatal("bpf_loop", "5.17"),
            limited,
        ];
        assert_eq!(
            lacking(&checks),
            Some((
                "attach_cookie: the kernel does not have it, bpf_loop: the kernel does not have it"
                    .to_owned(),
                "a kernel that has it (Linux 5.17 or newer)".to_owned()
            ))
        );
    }
}
