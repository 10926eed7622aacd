//! The names of the runtime's wait reasons, from the program's own table: numbers and names change
//! from one Go version to the next.
//!
//! In: the module's data. Out: the names by number. Format: `runtime.waitReasonStrings` (Go's
//! `src/runtime/runtime2.go`), an array of strings that begins `""`, `"GC assist marking"`,
//! `"IO wait"` in every version from 1.17 to 1.27; found by that, since symbols may be gone.

use super::GoBinary;
use super::field::u64_at;

const SECOND: &str = "GC assist marking";
const THIRD: &str = "IO wait";
/// Go 1.27 has 49.
const REASONS: usize = 96;
/// The longest are about 30 bytes.
const LONGEST: u64 = 64;
/// Data looked through at most, in bytes.
const SEARCH_LIMIT: u64 = 256 << 20;
/// A string's header: address and length.
const HEADER: usize = 16;

impl GoBinary {
    /// The names of the wait reasons by number; empty where the table is not found.
    pub fn wait_reasons(&self) -> Vec<String> {
        let [data, noptrdata, ..] = self.module.variables;
        // A variable that the linker knows to be constant may stand in read-only data, before the rest.
        [data, noptrdata]
            .into_iter()
            .find_map(|(start, end)| self.reasons_in(start, end))
            .unwrap_or_default()
    }

    fn reasons_in(&self, start: u64, end: u64) -> Option<Vec<String>> {
        let size = end.checked_sub(start)?.min(SEARCH_LIMIT);
        let bytes = self.elf.read_up_to(start, size).ok()?;
        let text = |at: usize| self.text(&bytes, at);
        let table = (0..bytes.len().saturating_sub(3 * HEADER))
            .step_by(8)
            .find(|&at| {
                u64_at(&bytes, at + 8) == Some(0)
                    && u64_at(&bytes, at + HEADER + 8) == Some(SECOND.len() as u64)
                    && u64_at(&bytes, at + 2 * HEADER + 8) == Some(THIRD.len() as u64)
                    && text(at + HEADER).as_deref() == Some(SECOND)
                    && text(at + 2 * HEADER).as_deref() == Some(THIRD)
            })?;
        let rest = (1..REASONS).map_while(|i| text(table + i * HEADER));
        Some(std::iter::once(String::new()).chain(rest).collect())
    }

    /// The string whose header stands at an offset, if it can be the name of a reason.
    fn text(&self, bytes: &[u8], at: usize) -> Option<String> {
        let (address, length) = (u64_at(bytes, at)?, u64_at(bytes, at + 8)?);
        if length == 0 || length > LONGEST {
            return None;
        }
        let name = self.elf.read_raw(address, length).ok()?;
        let printable = name.iter().all(|byte| (b' '..=b'~').contains(byte));
        String::from_utf8(name).ok().filter(|_| printable)
    }
}
