//! Which source each instruction of a function is of: file, line, and the functions inlined there.
//!
//! In: pclntab's tables of files, lines and inline indices, and the function's inline tree
//! (`runtime.inlinedCall`, `src/runtime/symtabinl.go` of each Go version). Out: [`Source`].

use super::field::u32_at;
use super::inline::{FUNCDATA_TREE, NODE_LIMIT, PCDATA_INDEX, Shape};
use super::pclntab::Record;
use super::pcvalue::{PcValues, Run};
use super::{Function, GoBinary, Vaddr};

/// Functions inlined one in the other, at most: the compiler stops far earlier.
const MAX_NESTING: usize = 256;

/// The source of a function's instructions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source<'b> {
    /// In order of address, without gaps where the tables have none.
    pub spans: Vec<Span<'b>>,
    /// The nodes of its inline tree.
    pub inlined: Vec<Inlined<'b>>,
}

/// Instructions of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<'b> {
    /// Address of the first byte.
    pub start: Vaddr,
    /// Address of the byte after the last.
    pub end: Vaddr,
    /// Path as the compiler recorded it.
    pub file: &'b str,
    /// Line, from 1.
    pub line: u32,
    /// The innermost function inlined here, by its index in [`Source::inlined`].
    pub inlined: Option<u32>,
}

/// A function that was inlined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inlined<'b> {
    /// The full name, type arguments included.
    pub name: &'b str,
    /// Line of its `func`; `None` before Go 1.20.
    pub line: Option<u32>,
    /// The function that it was inlined into, where that is inlined itself.
    pub parent: Option<u32>,
}

impl<'b> Source<'b> {
    /// The functions inlined at a span, innermost first.
    pub fn inlined_at(&self, span: &Span<'b>) -> impl Iterator<Item = &Inlined<'b>> {
        let mut next = span.inlined;
        std::iter::from_fn(move || {
            let node = self.inlined.get(next? as usize)?;
            next = node.parent;
            Some(node)
        })
        // The file may say that one is inlined into itself.
        .take(MAX_NESTING)
    }
}

impl GoBinary {
    /// The source of a function's instructions; empty where pclntab doesn't know the function.
    #[must_use]
    pub fn source(&self, function: &Function) -> Source<'_> {
        let Some(record) = self.record(function) else {
            return Source::default();
        };
        let mut files = Cursor::new(record.files());
        let mut lines = Cursor::new(record.lines());
        let mut nodes = Cursor::new(record.pcdata(PCDATA_INDEX));
        let mut spans: Vec<Span<'_>> = Vec::new();
        let size = function.size();
        let mut at = 0;
        while at < size {
            let (file, line, node) = (files.at(at), lines.at(at), nodes.at(at));
            let (Some(file), Some(line)) = (file, line) else {
                break;
            };
            let ends = [Some(file), Some(line), node].into_iter().flatten();
            let end = ends.map(|run| run.end).min().unwrap_or(size).min(size);
            let number = u32::try_from(line.value).ok().filter(|&line| line > 0);
            if let (Some(file), Some(line)) = (record.file(file.value), number) {
                spans.push(Span {
                    start: Vaddr(function.entry.0 + at),
                    end: Vaddr(function.entry.0 + end),
                    file,
                    line,
                    inlined: node.and_then(|run| u32::try_from(run.value).ok()),
                });
            }
            at = end;
        }
        let inlined = self.inline_tree(function, &record);
        Source { spans, inlined }
    }

    /// The nodes of a function's inline tree; empty for one that nothing was inlined into.
    fn inline_tree(&self, function: &Function, record: &Record<'_>) -> Vec<Inlined<'_>> {
        let table = self.table();
        let shape = Shape::of(table.format());
        let read = || {
            let last = record.pcdata(PCDATA_INDEX).map(|run| run.value).max()?;
            let nodes = u64::try_from(last).ok()? + 1;
            let base = self.module.gofunc.unwrap_or(0);
            let address = base.checked_add(record.funcdata(FUNCDATA_TREE)?)?;
            let room = self.elf.room_at(address);
            let size = nodes.min(NODE_LIMIT).checked_mul(shape.size)?.min(room);
            self.elf.read_raw(address, size).ok()
        };
        let bytes = read().unwrap_or_default();
        let node = |bytes: &[u8]| {
            let parent_pc = u64::from(u32_at(bytes, shape.parent_pc)?);
            // The call's own innermost function: −1 where that is the body's.
            let parent = (parent_pc < function.size())
                .then(|| record.pcdata(PCDATA_INDEX).at(parent_pc))
                .flatten()
                .and_then(|index| u32::try_from(index).ok());
            Some(Inlined {
                name: table.name(u32_at(bytes, shape.name)?)?,
                line: shape
                    .start_line
                    .and_then(|at| u32_at(bytes, at))
                    .filter(|line| *line > 0),
                parent,
            })
        };
        let unknown = Inlined {
            name: "",
            line: None,
            parent: None,
        };
        bytes
            .chunks_exact(usize::try_from(shape.size).unwrap_or(16))
            .map(|bytes| node(bytes).unwrap_or(unknown))
            .collect()
    }
}

/// Looks up ascending offsets in a table, once through it.
struct Cursor<'a> {
    runs: PcValues<'a>,
    now: Option<Run>,
}

impl<'a> Cursor<'a> {
    fn new(mut runs: PcValues<'a>) -> Self {
        let now = runs.next();
        Self { runs, now }
    }

    /// The run that holds an offset, which is not below that of the call before.
    fn at(&mut self, offset: u64) -> Option<Run> {
        while self.now.is_some_and(|run| run.end <= offset) {
            self.now = self.runs.next();
        }
        self.now
    }
}
