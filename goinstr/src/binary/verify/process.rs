//! The goroutines of a process, as its memory has them.
//!
//! The list of all goroutines (`runtime.allgs`) is a slice in the module's bss. Where no symbol
//! names it, it is the slice whose elements are goroutines: on sane stacks or dead, each with an id
//! of its own, and the first ids among them.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use super::LayoutDoubt;
use crate::binary::field::{u8_at, u32_at, u64_at};
use crate::binary::{GoBinary, RuntimeLayout, Vaddr};
use crate::target::{self, Memory, Pid};

/// Goroutines looked at: enough to contradict a wrong offset, little enough to take no time.
const GOROUTINE_LIMIT: usize = 1024;

/// Those that must look like goroutines for a slice to be the list.
const FIRST: usize = 16;

/// One of the runtime's own goroutines, which live as long as the process, has an id up to this.
/// A program's main goroutine has id 1; in a C program's library it ends. Ids are handed out in
/// batches of 16 for each CPU, of which at start many may take one.
const FIRST_IDS: u64 = 1 << 14;

/// Bytes of bss searched for the list; the runtime's own variables lie among the program's.
const SEARCH_LIMIT: u64 = 64 << 20;

/// Longest list believed: ten times what a process of 100 GB of stacks could hold.
const LENGTH_LIMIT: u64 = 1 << 28;

/// The bit of a status that says its stack is being scanned (`_Gscan`).
const STATUS_SCAN: u32 = 0x1000;
const STATUS_WAITING: u32 = 4;
const STATUS_DEAD: u32 = 6;

/// The auxiliary vector's key of the program's entry (`getauxval(3)`).
const AT_ENTRY: u64 = 9;

/// What the loader added to the file's addresses; `None` if it is not loaded there.
pub fn load_bias(binary: &GoBinary, pid: u32) -> io::Result<Option<u64>> {
    let own = binary.elf.identity()?;
    let exe = fs::metadata(format!("/proc/{pid}/exe"))?;
    if (exe.dev(), exe.ino()) == own {
        // The kernel tells the program where its entry came to lie: AT_ENTRY. The file's mode is
        // its owner's alone, whatever capabilities another user has.
        match fs::read(format!("/proc/{pid}/auxv")) {
            Ok(auxv) => {
                let entry = auxv
                    .chunks_exact(16)
                    .find(|pair| u64_at(pair, 0) == Some(AT_ENTRY));
                let entry = entry.and_then(|pair| u64_at(pair, 8));
                return Ok(entry.map(|entry| entry.wrapping_sub(binary.elf.entry())));
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
    // A shared object: by the mapping of one of its segments (`proc_pid_maps(5)`). Its inode
    // suffices: the device of a file on an overlay is not the one that mappings show.
    let maps = target::maps(Pid(pid))?;
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

/// A process that has the program loaded.
pub(in crate::binary) struct Process<'a> {
    memory: Memory,
    pub binary: &'a GoBinary,
    /// What the loader added to the file's addresses.
    bias: u64,
    pub layout: &'a RuntimeLayout,
}

/// A copy of a `runtime.g`.
pub(in crate::binary) struct Goroutine {
    pub address: u64,
    bytes: Vec<u8>,
}

impl Goroutine {
    pub fn word(&self, at: u32) -> u64 {
        u64_at(&self.bytes, at as usize).unwrap_or(0)
    }

    /// `g.stack` stands first in every version.
    pub fn stack(&self) -> (u64, u64) {
        (self.word(0), self.word(8))
    }

    /// Whether an address is within its stack, or just above.
    pub fn on_stack(&self, address: u64) -> bool {
        let (low, high) = self.stack();
        (low..=high).contains(&address)
    }

    pub fn status(&self, layout: &RuntimeLayout) -> u32 {
        u32_at(&self.bytes, layout.atomicstatus as usize).unwrap_or(u32::MAX) & !STATUS_SCAN
    }

    pub fn is_waiting(&self, layout: &RuntimeLayout) -> bool {
        self.status(layout) == STATUS_WAITING
    }

    pub fn wait_reason(&self, layout: &RuntimeLayout) -> Option<u8> {
        u8_at(&self.bytes, layout.waitreason as usize)
    }

    /// Stacks are powers of two, of 2 KB at least; a dead goroutine may have lost its own.
    fn is_sane(&self, layout: &RuntimeLayout) -> bool {
        let (low, high) = self.stack();
        let size = high.wrapping_sub(low);
        low != 0 && size.is_power_of_two() && size >= 2048
            || (low, high) == (0, 0) && self.status(layout) == STATUS_DEAD
    }
}

impl<'a> Process<'a> {
    pub fn open(
        binary: &'a GoBinary,
        layout: &'a RuntimeLayout,
        pid: u32,
    ) -> Result<Self, LayoutDoubt> {
        let unreadable = |source| LayoutDoubt::Memory { pid, source };
        let bias = load_bias(binary, pid).map_err(unreadable)?;
        Ok(Self {
            bias: bias.ok_or(LayoutDoubt::NotLoaded { pid })?,
            memory: Memory::open(Pid(pid)).map_err(unreadable)?,
            binary,
            layout,
        })
    }

    pub fn read(&self, address: u64, size: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; size];
        self.memory.read_exact(address, &mut bytes).ok()?;
        Some(bytes)
    }

    pub fn word(&self, address: u64) -> Option<u64> {
        u64_at(&self.read(address, 8)?, 0)
    }

    pub fn goroutine(&self, address: u64) -> Option<Goroutine> {
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

    /// The first goroutines of `runtime.allgs`.
    pub fn goroutines(&self) -> Option<Vec<Goroutine>> {
        self.goroutines_up_to(GOROUTINE_LIMIT)
    }

    /// The first `limit` goroutines of `runtime.allgs`.
    pub fn goroutines_up_to(&self, limit: usize) -> Option<Vec<Goroutine>> {
        let (binary, bias) = (self.binary, self.bias);
        let named = binary
            .symtab
            .as_ref()
            .and_then(|symtab| symtab.address_of("runtime.allgs"));
        if let Some(address) = named {
            return self.list(&self.read(address.wrapping_add(bias), 24)?, limit);
        }
        // The bss is where a pointer variable without an initial value lies.
        let (start, end) = binary.module.variables[2];
        let size = end.checked_sub(start)?.min(SEARCH_LIMIT) as usize;
        let bytes = self.read(start.wrapping_add(bias), size)?;
        bytes
            .windows(24)
            .step_by(8)
            .find_map(|slice| self.list(slice, limit))
    }

    /// An address of the process in the file's own numbering.
    pub fn in_file(&self, address: u64) -> Vaddr {
        Vaddr(address.wrapping_sub(self.bias))
    }

    /// Whether an address is in the code of the program's functions.
    pub fn is_code(&self, address: u64) -> bool {
        let address = Vaddr(address.wrapping_sub(self.bias));
        self.binary.function_at(address).is_some()
    }

    /// The goroutines of a slice, if its first ones are some.
    fn list(&self, slice: &[u8], limit: usize) -> Option<Vec<Goroutine>> {
        let (array, length, capacity) = (u64_at(slice, 0)?, u64_at(slice, 8)?, u64_at(slice, 16)?);
        if array == 0
            || array % 8 != 0
            || length == 0
            || length > capacity
            || capacity > LENGTH_LIMIT
        {
            return None;
        }
        let first = self.elements(array, (length as usize).min(FIRST))?;
        if !first.iter().all(|g| g.is_sane(self.layout)) {
            return None;
        }
        let alive = first.iter().filter(|g| g.stack() != (0, 0));
        let mut ids: Vec<u64> = alive.map(|g| g.word(self.layout.goid)).collect();
        ids.sort_unstable();
        let distinct = ids.windows(2).all(|pair| pair[0] != pair[1]);
        if !distinct || !(1..=FIRST_IDS).contains(ids.first()?) {
            return None;
        }
        self.elements(array, (length as usize).min(limit))
    }

    fn elements(&self, array: u64, count: usize) -> Option<Vec<Goroutine>> {
        let pointers = self.read(array, 8 * count)?;
        pointers
            .chunks_exact(8)
            .map(|pointer| self.goroutine(u64_at(pointer, 0).filter(|at| *at != 0)?))
            .collect()
    }
}
