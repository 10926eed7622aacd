//! The functions that an instruction belongs to, inlined ones included, as a stack trace names them.
//!
//! In: an address of the file. Out: one [`SourceFrame`] for each function, innermost first, and the
//! size of the stack frame there. Format: the inline trees of [`super::inline`], and pclntab's
//! `pcsp` (Go's `src/runtime/symtab.go`, `funcspdelta`).

use super::field::u32_at;
use super::inline::{FUNCDATA_TREE, PCDATA_INDEX, Shape};
use super::{GoBinary, Vaddr};

/// Functions inlined into each other at one place at most.
const DEEPEST: usize = 64;

/// One function of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceFrame {
    /// Name as stack traces print it.
    pub function: String,
    /// Path as the compiler recorded it.
    pub file: Option<String>,
    /// Line, from 1.
    pub line: Option<u32>,
    /// Whether its code was inlined into the next frame's.
    pub inlined: bool,
}

impl GoBinary {
    /// The functions at an address, innermost first; empty outside of all functions.
    #[must_use]
    pub fn frames_at(&self, at: Vaddr) -> Vec<SourceFrame> {
        let mut frames = Vec::new();
        let Some(function) = self.function_at(at) else {
            return frames;
        };
        let Some(record) = self.record(function) else {
            frames.push(SourceFrame {
                function: self.printed_name(function).into_owned(),
                file: None,
                line: None,
                inlined: false,
            });
            return frames;
        };
        let mut offset = at.0 - function.entry.0;
        let tree = record
            .funcdata(FUNCDATA_TREE)
            .map(|tree| self.module.gofunc.unwrap_or(0).wrapping_add(tree));
        let shape = Shape::of(self.table.format());
        while frames.len() < DEEPEST {
            let location = record.location_at(offset);
            let (file, line) = match &location {
                Some(location) => (Some(location.file.to_owned()), Some(location.line)),
                None => (None, None),
            };
            let node = record.pcdata(PCDATA_INDEX).at(offset).and_then(|index| {
                let index = u64::try_from(index).ok()?;
                let address = tree?.checked_add(index.checked_mul(shape.size)?)?;
                let node = self.elf.read_raw(address, shape.size).ok()?;
                let name = self.table.name(u32_at(&node, shape.name)?)?;
                Some((name, u32_at(&node, shape.parent_pc)?))
            });
            let Some((name, parent)) = node else {
                frames.push(SourceFrame {
                    function: self.printed_name(function).into_owned(),
                    file,
                    line,
                    inlined: false,
                });
                break;
            };
            frames.push(SourceFrame {
                function: super::names::printed(name).into_owned(),
                file,
                line,
                inlined: true,
            });
            offset = u64::from(parent);
        }
        frames
    }

    /// Bytes from the stack pointer at an address to where the function was entered with it.
    pub(super) fn frame_size(&self, at: Vaddr) -> Option<u64> {
        let function = self.function_at(at)?;
        let record = self.record(function)?;
        u64::try_from(record.stack_deltas().at(at.0 - function.entry.0)?).ok()
    }
}
