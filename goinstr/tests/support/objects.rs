//! The BPF objects that are in the kernel, whoever made them: what is left behind shows here.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Ids of all BPF objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    pub programs: Vec<u32>,
    pub maps: Vec<u32>,
    pub links: Vec<u32>,
}

impl Objects {
    /// Those that there are now. None: the kernel doesn't tell.
    pub fn now() -> Option<Self> {
        // Commands of bpf(2): BPF_PROG_GET_NEXT_ID, BPF_MAP_GET_NEXT_ID, BPF_LINK_GET_NEXT_ID.
        Some(Self {
            programs: ids(11)?,
            maps: ids(12)?,
            links: ids(31)?,
        })
    }

    /// Those that were made since and stay: whatever others make and drop is waited for, and so is
    /// the kernel, which frees what was dropped a little later.
    pub fn left_since(before: &Self, patience: Duration) -> Option<Self> {
        let new = |now: &[u32], before: &[u32]| {
            now.iter()
                .copied()
                .filter(|id| !before.contains(id))
                .collect::<Vec<_>>()
        };
        let now = Self::now()?;
        let mut left = Self {
            programs: new(&now.programs, &before.programs),
            maps: new(&now.maps, &before.maps),
            links: new(&now.links, &before.links),
        };
        let deadline = Instant::now() + patience;
        while left != Self::default() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(50));
            let now = Self::now()?;
            left.programs.retain(|id| now.programs.contains(id));
            left.maps.retain(|id| now.maps.contains(id));
            left.links.retain(|id| now.links.contains(id));
        }
        Some(left)
    }
}

fn ids(command: libc::c_long) -> Option<Vec<u32>> {
    // union bpf_attr of linux/bpf.h: start_id, next_id, open_flags.
    let mut attributes = [0_u32; 3];
    let mut found = Vec::new();
    loop {
        // SAFETY: the command reads and writes `size` bytes at the attributes and nothing else.
        let result = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                command,
                attributes.as_mut_ptr(),
                size_of_val(&attributes),
            )
        };
        if result == 0 {
            found.push(attributes[1]);
            attributes[0] = attributes[1];
            continue;
        }
        return match std::io::Error::last_os_error().raw_os_error() {
            Some(libc::ENOENT) => Some(found),
            _ => None,
        };
    }
}
