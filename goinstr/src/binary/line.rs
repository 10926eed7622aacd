//! file:line of functions and of single instructions, from pclntab.

use super::inline;
use super::pclntab::Record;

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location<'a> {
    /// As the compiler wrote it: absolute, or `module@version/file.go` with `-trimpath`.
    pub file: &'a str,
    pub line: u32,
}

impl<'a> Record<'a> {
    /// The line of the instruction at an offset from the entry: of the innermost function, where
    /// functions are inlined there.
    pub fn location_at(&self, offset: u64) -> Option<Location<'a>> {
        let file = self.file(self.files().at(offset)?)?;
        let line = u32::try_from(self.lines().at(offset)?).ok()?;
        Some(Location { file, line })
    }

    /// Where the function is declared: since Go 1.20 the line of its `func`, before that of its
    /// first instruction. A function whose first instruction is an inlined one's has its own file
    /// only further on.
    pub fn declaration(&self) -> Option<Location<'a>> {
        let own = self
            .pcdata(inline::PCDATA_INDEX)
            .find(|run| run.value < 0)
            .map_or(0, |run| run.start);
        let mut location = self.location_at(own).or_else(|| self.location_at(0))?;
        if let Some(line) = self.start_line() {
            location.line = line;
        }
        Some(location)
    }
}
