//! The files under `/proc/PID` that are read: `stat` and `status` (proc(5)), as untrusted text.

use std::fs::File;
use std::io::{self, Read};

use super::Pid;

/// `PF_KTHREAD` of the kernel's include/linux/sched.h.
const PF_KTHREAD: u64 = 0x0020_0000;
/// `stat` and `status` are a page at most.
const MAX_BYTES: u64 = 64 * 1024;

/// The parts of `/proc/PID/stat` that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// The kernel's name for the process: at most 15 bytes, of any kind, made printable.
    pub comm: String,
    /// `R`, `S`, `D`, `Z`, `X`, …
    pub state: u8,
    /// `PF_` flags.
    flags: u64,
    /// When the process began, in clock ticks since boot: with the pid, who it is.
    pub start_ticks: u64,
    /// Memory in use, in pages.
    pub resident_pages: Option<u64>,
    /// The address where its stack began when its program did: the kernel chooses one at random at
    /// each `execve`, and hides it (0) from those who may not trace the process.
    pub stack_start: Option<u64>,
}

impl Stat {
    /// Reads `/proc/PID/stat`.
    pub fn read(pid: Pid) -> io::Result<Self> {
        let bytes = read(&format!("/proc/{pid}/stat"))?;
        Self::parse(&bytes).ok_or_else(|| malformed("stat"))
    }

    /// `PID (COMM) STATE PPID …`: COMM may hold blanks and parentheses, so it ends at the last one.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let open = bytes.iter().position(|&b| b == b'(')?;
        let close = bytes.iter().rposition(|&b| b == b')')?;
        let comm = bytes.get(open + 1..close)?;
        let rest = std::str::from_utf8(bytes.get(close + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        // Fields are counted from 1 and `state` is the third: flags is the 9th, starttime the 22nd, rss the 24th,
        // startstack the 28th.
        let flags = fields.nth(5)?.parse().ok()?;
        let start_ticks = fields.nth(12)?.parse().ok()?;
        let resident_pages = fields.nth(1).and_then(|field| field.parse().ok());
        let stack_start = fields.nth(3).and_then(|field| field.parse().ok());
        Some(Self {
            comm: printable(comm),
            state,
            flags,
            start_ticks,
            resident_pages,
            stack_start,
        })
    }

    /// Whether it has no userspace.
    pub fn is_kernel_thread(&self) -> bool {
        self.flags & PF_KTHREAD != 0
    }

    /// Whether it has exited and only its entry is left.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// The parts of `/proc/PID/status` that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    /// The process that the task belongs to.
    pub tgid: Pid,
    /// Its pid in each pid namespace, from ours inward; empty on a kernel that doesn't tell.
    pub ns_pids: Vec<u32>,
    /// Whether its first thread keeps a shadow stack (`x86_Thread_features`).
    pub shadow_stack: bool,
}

impl Status {
    /// Reads `/proc/PID/status`.
    pub fn read(pid: Pid) -> io::Result<Self> {
        let bytes = read(&format!("/proc/{pid}/status"))?;
        Self::parse(&bytes).ok_or_else(|| malformed("status"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut tgid = None;
        let mut ns_pids = Vec::new();
        let mut shadow_stack = false;
        for line in bytes.split(|&b| b == b'\n') {
            let Ok(line) = std::str::from_utf8(line) else {
                continue;
            };
            if let Some(value) = line.strip_prefix("Tgid:") {
                tgid = value.trim().parse().ok().map(Pid);
            } else if let Some(value) = line.strip_prefix("NStgid:") {
                ns_pids = value
                    .split_ascii_whitespace()
                    .map_while(|p| p.parse().ok())
                    .collect();
            } else if let Some(value) = line.strip_prefix("x86_Thread_features:") {
                shadow_stack = value.split_ascii_whitespace().any(|word| word == "shstk");
            }
        }
        Some(Self {
            tgid: tgid?,
            ns_pids,
            shadow_stack,
        })
    }
}

/// Every pid that `/proc` lists now, ascending.
pub(super) fn pids() -> io::Result<Vec<Pid>> {
    let mut pids = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        // An entry that can't be read belongs to a process that has just gone.
        let Ok(entry) = entry else { continue };
        if let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        {
            pids.push(Pid(pid));
        }
    }
    pids.sort_unstable();
    Ok(pids)
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn malformed(file: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{file} is not as proc(5) describes it"),
    )
}

/// A process chooses its own name: nothing of it may reach a terminal as a control sequence.
fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comm_with_parentheses_and_blanks_does_not_shift_the_fields() {
        let text =
            b"42 (a) R (b) S 1 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 9 0 123456 1 2 3 4 5 6\n";
        let stat = Stat::parse(text).expect("parses");
        assert_eq!(stat.comm, "a) R (b");
        assert_eq!(stat.state, b'S');
        assert_eq!(stat.start_ticks, 123_456);
        assert_eq!((stat.resident_pages, stat.stack_start), (Some(2), Some(6)));
        assert!(!stat.is_kernel_thread());
    }

    #[test]
    fn kernel_threads_and_zombies_are_told() {
        let text = b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0";
        assert!(Stat::parse(text).expect("parses").is_kernel_thread());
        let text = b"3 (gone) Z 0 0 0 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0";
        assert!(Stat::parse(text).expect("parses").is_dead());
    }

    #[test]
    fn truncated_text_is_no_panic() {
        let text = b"42 (x) S 1 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 9 0 123456";
        for end in 0..text.len() {
            let _ = Stat::parse(&text[..end]);
            let _ = Status::parse(&text[..end]);
        }
        assert_eq!(Stat::parse(b") ("), None);
    }

    #[test]
    fn escape_sequences_in_a_comm_are_neutralised() {
        let text = b"42 (\x1b[2J\xff) S 1 42 42 0 -1 0 1 2 3 4 5 6 7 8 20 0 9 0 1";
        assert_eq!(
            Stat::parse(text).expect("parses").comm,
            "\u{fffd}[2J\u{fffd}"
        );
    }

    #[test]
    fn status_tells_the_leader_and_the_namespaces() {
        let text = b"Name:\tx\nTgid:\t7\nNgid:\t0\nPid:\t8\nNStgid:\t7\t1\nNSpid:\t8\t2\n";
        let status = Status::parse(text).expect("parses");
        assert_eq!(status.tgid, Pid(7));
        assert_eq!(status.ns_pids, [7, 1]);
        assert!(!status.shadow_stack);
        let text = b"Tgid:\t7\nx86_Thread_features:\tshstk wrss \n";
        assert!(Status::parse(text).expect("parses").shadow_stack);
    }

    #[test]
    fn this_process_is_read() {
        let pid = Pid(std::process::id());
        assert_eq!(Status::read(pid).expect("status").tgid, pid);
        assert!(!Stat::read(pid).expect("stat").is_dead());
        assert!(pids().expect("pids").contains(&pid));
    }
}
