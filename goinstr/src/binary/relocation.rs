//! RELATIVE relocations: the addresses that a position-independent file holds only as addends.
//!
//! In: the dynamic section. Out: bytes as the loader leaves them at bias 0. The table is streamed
//! for each read instead of held: a large PIE has hundreds of thousands of entries, and few reads
//! need any. Format: `DT_RELA` of the System V ABI. `DT_RELR` tables (`-z pack-relative-relocs`)
//! need no work: they keep the addend at its place, which is the value at bias 0.

use std::sync::atomic::{AtomicU64, Ordering};

use object::elf;

use super::Arch;
use super::elf::Elf;
use super::error::Fault;
use super::field::u64_at;

const ENTRY: u64 = 24;

/// Bytes of the table that are read at once: a multiple of the entry's size.
const CHUNK: u64 = ENTRY << 15;

/// Bytes of the table that are gone through in all while one file is read. A program's table has some
/// ten megabytes and is needed for some ten reads; one made to be gone through for ever has more.
const WORK_LIMIT: u64 = 4 << 30;

/// Where the relocation table is, as address and size; size 0 for none.
#[derive(Debug, Default)]
pub(super) struct Relocations {
    address: u64,
    size: u64,
    /// Bytes that were gone through.
    work: AtomicU64,
    /// Whether the dynamic section names a library to be loaded (`DT_NEEDED`).
    pub needs_libraries: bool,
}

impl Relocations {
    /// Reads the table's place from the dynamic section at a file offset. A file without a sane
    /// dynamic section has no relocations: what depends on them is then simply not found.
    pub fn of_dynamic(elf: &Elf, offset: u64, size: u64) -> Self {
        let mut found = Self::default();
        // 16 bytes an entry; a dynamic section has a few dozen.
        let Ok(entries) = elf.read_at(offset, size.min(1 << 16), "the dynamic section") else {
            return found;
        };
        for entry in entries.chunks_exact(16) {
            let (Some(tag), Some(value)) = (u64_at(entry, 0), u64_at(entry, 8)) else {
                break;
            };
            match elf::DynamicTag(tag as i64) {
                elf::DT_NULL => break,
                elf::DT_RELA => found.address = value,
                elf::DT_RELASZ => found.size = value,
                elf::DT_NEEDED => found.needs_libraries = true,
                _ => {}
            }
        }
        found
    }

    /// Writes into `bytes`, which were read at `address`, what the relocations store there.
    pub fn apply(&self, elf: &Elf, address: u64, bytes: &mut [u8]) -> Result<(), Fault> {
        self.each(elf, |place, value| {
            if let Some(at) = place.checked_sub(address)
                && let Ok(at) = usize::try_from(at)
                && let Some(field) = bytes.get_mut(at..).and_then(|b| b.first_chunk_mut::<8>())
            {
                *field = value.to_le_bytes();
            }
        })
    }

    /// The places that hold `target` after relocation, at most `limit` of them.
    pub fn places_of(&self, elf: &Elf, target: u64, limit: usize) -> Result<Vec<u64>, Fault> {
        let mut places = Vec::new();
        self.each(elf, |place, value| {
            if value == target && places.len() < limit {
                places.push(place);
            }
        })?;
        Ok(places)
    }

    /// Calls `visit` with the place and value of each RELATIVE relocation.
    fn each(&self, elf: &Elf, mut visit: impl FnMut(u64, u64)) -> Result<(), Fault> {
        let relative = u64::from(match elf.arch() {
            Arch::X86_64 => elf::R_X86_64_RELATIVE.0,
            Arch::Aarch64 => elf::R_AARCH64_RELATIVE.0,
        });
        let size = self.size.min(elf.room_at(self.address));
        if self.work.fetch_add(size, Ordering::Relaxed) > WORK_LIMIT {
            return Err(Fault::Damaged(
                "its relocations and tables are too many to be a program's",
            ));
        }
        let mut done = 0;
        while done < size {
            let bytes = elf.read_raw(self.address + done, CHUNK.min(size - done))?;
            for entry in bytes.chunks_exact(ENTRY as usize) {
                if let (Some(place), Some(info), Some(addend)) =
                    (u64_at(entry, 0), u64_at(entry, 8), u64_at(entry, 16))
                    && info == relative
                {
                    visit(place, addend);
                }
            }
            done += bytes.len() as u64;
        }
        Ok(())
    }
}
