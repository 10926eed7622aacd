//! The runtime layout held against the live process, before a number that rests on it is printed.
//!
//! In: the process' memory and mappings, the program, the layout. Out: how many goroutines
//! bear it out, or what contradicts it. The list of all goroutines (`runtime.allgs`) is a slice in
//! the module's bss; where no symbol names it, it is the slice whose first element is a goroutine
//! with id 1 (the main one is always made first) on a sane stack. Nothing is written or stopped.

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};

use super::field::{u8_at, u32_at, u64_at};
use super::{GoBinary, RuntimeLayout};

/// Goroutines looked at: enough to contradict a wrong offset, little enough to take no time.
const GOROUTINE_LIMIT: usize = 1024;

/// Bytes of bss searched for the list; the runtime's own variables lie among the program's.
const SEARCH_LIMIT: u64 = 64 << 20;

/// Longest list believed: ten times what a process of 100 GB of stacks could hold.
const LENGTH_LIMIT: u64 = 1 << 28;

/// A status above these is none (`_Gdeadextra` and `_Gleaked` of Go 1.26 are 10 and 11), but for
/// the bit that says its stack is being scanned (`_Gscan`).
const STATUS_LIMIT: u32 = 16;
const STATUS_SCAN: u32 = 0x1000;
const STATUS_WAITING: u32 = 4;

/// The auxiliary vector's key of the program's entry (`getauxval(3)`).
const AT_ENTRY: u64 = 9;

/// Go 1.27 has about 45 reasons.
const REASON_LIMIT: u8 = 96;

/// Why a layout is not believed.
#[derive(Debug, thiserror::Error)]
pub enum LayoutDoubt {
    #[error(
        "cannot read the memory of process {pid}: {source}; run as root, or check that it still runs"
    )]
    Memory { pid: u32, source: std::io::Error },
    #[error(
        "process {pid} does not have this file loaded; was it replaced since the process started?"
    )]
    NotLoaded { pid: u32 },
    #[error(
        "the goroutines of process {pid} were not found in its memory; it may not have started its Go runtime yet"
    )]
    NoGoroutines { pid: u32 },
    #[error(
        "process {pid} contradicts the offset of {field}: it runs another Go than its file says"
    )]
    Contradicted { pid: u32, field: &'static str },
}

/// Holds `layout` against the goroutines of a process that has `binary` loaded. Gives the number of
/// goroutines that were looked at.
pub fn verify_layout(
    binary: &GoBinary,
    layout: &RuntimeLayout,
    pid: u32,
) -> Result<usize, LayoutDoubt> {
    let bias = load_bias(binary, pid).map_err(|source| LayoutDoubt::Memory { pid, source })?;
    let bias = bias.ok_or(LayoutDoubt::NotLoaded { pid })?;
    let memory = File::open(format!("/proc/{pid}/mem"))
        .map_err(|source| LayoutDoubt::Memory { pid, source })?;
    let process = Process { memory, layout };
    let goroutines = process
        .goroutines(binary, bias)
        .ok_or(LayoutDoubt::NoGoroutines { pid })?;
    match process.contradiction(&goroutines) {
        Some(field) => Err(LayoutDoubt::Contradicted { pid, field }),
        None => Ok(goroutines.len()),
    }
}

/// What the loader added to the file's addresses; `None` if it is not loaded there.
fn load_bias(binary: &GoBinary, pid: u32) -> std::io::Result<Option<u64>> {
    let own = binary.elf.identity()?;
    let exe = fs::metadata(format!("/proc/{pid}/exe"))?;
    if (exe.dev(), exe.ino()) == own {
        // The kernel tells the program where its entry came to lie: AT_ENTRY.
        let auxv = fs::read(format!("/proc/{pid}/auxv"))?;
        let entry = auxv
            .chunks_exact(16)
            .find(|pair| u64_at(pair, 0) == Some(AT_ENTRY));
        let entry = entry.and_then(|pair| u64_at(pair, 8));
        return Ok(entry.map(|entry| entry.wrapping_sub(binary.elf.entry())));
    }
    // A shared object: by the mapping of one of its segments (`proc_pid_maps(5)`). Its inode
    // suffices: the device of a file on an overlay is not the one that mappings show.
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    Ok(maps.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (range, _, offset) = (fields.next()?, fields.next()?, fields.next()?);
        if fields.nth(1)?.parse::<u64>().ok()? != own.1 {
            return None;
        }
        let start = u64::from_str_radix(range.split('-').next()?, 16).ok()?;
        let offset = u64::from_str_radix(offset, 16).ok()?;
        // Mappings begin at a page, segments anywhere.
        let segment = binary
            .elf
            .segments()
            .iter()
            .find(|s| s.offset & !0xfff == offset)?;
        Some(start.wrapping_sub(segment.address & !0xfff))
    }))
}

struct Process<'a> {
    memory: File,
    layout: &'a RuntimeLayout,
}

/// A copy of a `runtime.g`.
struct Goroutine {
    address: u64,
    bytes: Vec<u8>,
}

impl Goroutine {
    fn word(&self, at: u32) -> u64 {
        u64_at(&self.bytes, at as usize).unwrap_or(0)
    }

    /// `g.stack` stands first in every version.
    fn stack(&self) -> (u64, u64) {
        (self.word(0), self.word(8))
    }

    fn status(&self, layout: &RuntimeLayout) -> u32 {
        u32_at(&self.bytes, layout.atomicstatus as usize).unwrap_or(u32::MAX) & !STATUS_SCAN
    }
}

impl Process<'_> {
    fn read(&self, address: u64, size: usize) -> Option<Vec<u8>> {
        // Offsets of this file are signed; no Go memory lies in the upper half.
        i64::try_from(address).ok()?;
        let mut bytes = vec![0; size];
        self.memory.read_exact_at(&mut bytes, address).ok()?;
        Some(bytes)
    }

    fn goroutine(&self, address: u64) -> Option<Goroutine> {
        let layout = self.layout;
        let last = [
            layout.goid,
            layout.waitreason,
            layout.parent_goid.unwrap_or(0),
            layout.sched_bp,
        ];
        let size = last.into_iter().max()? as usize + 8;
        Some(Goroutine {
            address,
            bytes: self.read(address, size)?,
        })
    }

    /// The goroutines of `runtime.allgs`.
    fn goroutines(&self, binary: &GoBinary, bias: u64) -> Option<Vec<Goroutine>> {
        let named = binary
            .symtab
            .as_ref()
            .and_then(|symtab| symtab.address_of("runtime.allgs"));
        if let Some(address) = named {
            return self.list(&self.read(address.wrapping_add(bias), 24)?);
        }
        // The bss is where a pointer variable without an initial value lies.
        let (start, end) = binary.module.variables[2];
        let size = end.checked_sub(start)?.min(SEARCH_LIMIT) as usize;
        let bytes = self.read(start.wrapping_add(bias), size)?;
        bytes
            .windows(24)
            .step_by(8)
            .find_map(|slice| self.list(slice))
    }

    /// The goroutines of a slice, if its first is the main one.
    fn list(&self, slice: &[u8]) -> Option<Vec<Goroutine>> {
        let (array, length, capacity) = (u64_at(slice, 0)?, u64_at(slice, 8)?, u64_at(slice, 16)?);
        if array == 0
            || array % 8 != 0
            || length == 0
            || length > capacity
            || capacity > LENGTH_LIMIT
        {
            return None;
        }
        let main = self.goroutine(u64_at(&self.read(array, 8)?, 0)?)?;
        if main.word(self.layout.goid) != 1 || !sane_stack(&main) {
            return None;
        }
        let count = (length as usize).min(GOROUTINE_LIMIT);
        let pointers = self.read(array, 8 * count)?;
        pointers
            .chunks_exact(8)
            .map(|pointer| self.goroutine(u64_at(pointer, 0)?))
            .collect()
    }

    /// The first field that what was read can't be.
    ///
    /// The process runs on while it is read, so a goroutine's fields may be of two moments: what
    /// changes with its state must hold for most, what doesn't for all.
    fn contradiction(&self, goroutines: &[Goroutine]) -> Option<&'static str> {
        let layout = self.layout;
        let ids: Vec<u64> = goroutines.iter().map(|g| g.word(layout.goid)).collect();
        // Ids are handed out from one counter; 2⁴⁸ would take a century.
        let distinct: HashSet<u64> = ids.iter().copied().filter(|id| *id != 0).collect();
        let numbered = ids.iter().filter(|id| **id != 0).count();
        if distinct.len() != numbered || distinct.iter().any(|id| id >> 48 != 0) {
            return Some("g.goid");
        }
        if goroutines.iter().any(|g| g.status(layout) >= STATUS_LIMIT) {
            return Some("g.atomicstatus");
        }
        let newest = distinct.iter().copied().max().unwrap_or(0);
        if let Some(parent) = layout.parent_goid
            && goroutines
                .iter()
                .any(|g| g.word(parent) > newest.max(1 << 20))
        {
            return Some("g.parentGoid");
        }
        let waiting: Vec<_> = goroutines
            .iter()
            .filter(|g| g.status(layout) == STATUS_WAITING)
            .collect();
        let most = |holds: &dyn Fn(&Goroutine) -> bool| {
            waiting.iter().filter(|g| holds(g)).count() * 4 >= waiting.len() * 3
        };
        let in_stack = |g: &Goroutine| {
            let (low, high) = g.stack();
            (low..=high).contains(&g.word(layout.sched_sp))
        };
        if !most(&in_stack) {
            return Some("g.sched.sp");
        }
        let reasoned = |g: &Goroutine| {
            u8_at(&g.bytes, layout.waitreason as usize)
                .is_some_and(|reason| (1..REASON_LIMIT).contains(&reason))
        };
        if !most(&reasoned) {
            return Some("g.waitreason");
        }
        self.contradiction_of_threads(goroutines)
    }

    /// Whether the threads that goroutines are on say the same.
    fn contradiction_of_threads(&self, goroutines: &[Goroutine]) -> Option<&'static str> {
        let on_thread = goroutines.iter().filter(|g| g.word(self.layout.m) != 0);
        let (mut agree, mut all) = (0, 0);
        for goroutine in on_thread {
            all += 1;
            let curg = goroutine
                .word(self.layout.m)
                .wrapping_add(u64::from(self.layout.m_curg));
            let curg = self.read(curg, 8).and_then(|bytes| u64_at(&bytes, 0));
            agree += usize::from(curg == Some(goroutine.address));
        }
        (agree * 2 < all).then_some("m.curg")
    }
}

/// Stacks are powers of two, of 2 KB at least.
fn sane_stack(goroutine: &Goroutine) -> bool {
    let (low, high) = goroutine.stack();
    high.checked_sub(low)
        .is_some_and(|size| size.is_power_of_two() && size >= 2048)
}
