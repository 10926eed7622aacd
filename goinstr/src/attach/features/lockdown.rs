//! How far the kernel is locked down: what goinstr does without, and what it would use.
//!
//! Asked of the kernel where it tells, and else found out by the one helper that a lockdown takes from
//! whoever may load programs. Other attempts would tell more, and be heard: a program that could write to
//! processes is announced in the kernel's log, and is refused to most users anyway.

use std::{fs, io, path::Path};

use aya_obj::generated::bpf_func_id;

use super::{Check, attempt};

/// securityfs: `none [integrity] confidentiality` (the kernel's security/lockdown/lockdown.c).
const FOLDER: &str = "/sys/kernel/security";

/// What the kernel says of it.
enum Told {
    /// The content of its file.
    Says(String),
    /// It has no such file, where it has others.
    Nothing,
    /// There is nothing to be read from.
    Unmounted,
}

pub(super) fn check() -> Check {
    let reads_kernel = || attempt::helper(bpf_func_id::BPF_FUNC_probe_read_kernel as i32);
    judge(&told(Path::new(FOLDER)), reads_kernel)
}

fn told(folder: &Path) -> Told {
    match fs::read_to_string(folder.join("lockdown")) {
        Ok(says) => Told::Says(says),
        Err(_) if fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some()) => {
            Told::Nothing
        }
        Err(_) => Told::Unmounted,
    }
}

fn judge(told: &Told, reads_kernel: impl FnOnce() -> io::Result<bool>) -> Check {
    let name = "lockdown";
    match told {
        Told::Says(says) => match level(says) {
            Some("none") => Check::good(name, "none"),
            Some("integrity") => Check::noted(
                name,
                "integrity: programs may not write to processes",
                "goinstr's never do; some kernels then let none make returns either, as register_writes says",
            ),
            Some("confidentiality") => confidential(),
            _ => Check::noted(
                name,
                format!("the kernel says `{}`", says.trim()),
                "not known; whether a probe can be armed is tried below",
            ),
        },
        Told::Nothing => Check::good(name, "none: this kernel can't be locked down"),
        Told::Unmounted => match reads_kernel() {
            Ok(false) => confidential(),
            Ok(true) => Check::noted(
                name,
                format!(
                    "none or integrity: programs may read the kernel's memory. Which of the two is not known before \
                     mount -t securityfs securityfs {FOLDER}"
                ),
                "nothing but what register_writes says: goinstr does what both allow",
            ),
            Err(error) => Check::noted(
                name,
                format!(
                    "not known before mount -t securityfs securityfs {FOLDER}, and no program could be tried: {error}"
                ),
                "at worst (confidentiality) time without a CPU counts as running, with --states",
            ),
        },
    }
}

fn confidential() -> Check {
    Check::limited(
        "lockdown",
        "confidentiality: programs may not read the kernel's memory",
        "with --states, time without a CPU counts as running; all else is measured",
        "boot with lockdown=integrity or without, or measure without --states",
    )
}

/// The word in brackets.
fn level(says: &str) -> Option<&str> {
    let words = says.split_ascii_whitespace();
    let mut chosen = words.filter_map(|word| word.strip_prefix('[')?.strip_suffix(']'));
    chosen.next()
}

#[cfg(test)]
mod tests {
    use super::{super::Verdict, *};

    fn of(says: &str) -> Check {
        judge(&Told::Says(says.to_owned()), || panic!("it was told"))
    }

    #[test]
    fn the_kernels_word_is_taken() {
        assert_eq!(of("[none] integrity confidentiality\n").detail(), "none");
        let integrity = of("none [integrity] confidentiality\n");
        assert_eq!(integrity.verdict(), Verdict::Good);
        assert!(integrity.detail().starts_with("integrity"));
        let confidentiality = of("none integrity [confidentiality]\n");
        assert_eq!(confidentiality.verdict(), Verdict::Limited);
        assert!(confidentiality.consequence().unwrap().contains("--states"));
        // Another kernel's words are passed on, and never made up.
        let other = of("none integrity [paranoia]\n");
        assert_eq!(other.verdict(), Verdict::Good);
        assert!(other.detail().contains("[paranoia]"));
    }

    #[test]
    fn where_the_kernel_does_not_tell_a_helper_does() {
        let unmounted = |reads| judge(&Told::Unmounted, || reads);
        assert_eq!(unmounted(Ok(false)).verdict(), Verdict::Limited);
        let either = unmounted(Ok(true));
        assert_eq!(either.verdict(), Verdict::Good);
        assert!(either.detail().contains("none or integrity"));
        let unknown = unmounted(Err(io::Error::from_raw_os_error(libc::ENOMEM)));
        assert_eq!(unknown.verdict(), Verdict::Good);
        assert!(unknown.detail().contains("not known"));
    }

    #[test]
    fn no_file_among_others_is_no_lockdown() {
        let folder = tempfile::tempdir().expect("tempdir");
        assert!(matches!(told(folder.path()), Told::Unmounted));
        assert!(matches!(told(Path::new("/nowhere")), Told::Unmounted));
        fs::write(folder.path().join("lsm"), "capability").expect("write");
        assert!(matches!(told(folder.path()), Told::Nothing));
        assert_eq!(
            judge(&Told::Nothing, || panic!("none")).verdict(),
            Verdict::Good
        );
        fs::write(folder.path().join("lockdown"), "[none]").expect("write");
        assert!(matches!(told(folder.path()), Told::Says(says) if says == "[none]"));
    }
}
