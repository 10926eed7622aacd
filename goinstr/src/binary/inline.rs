//! Inlining: which functions' code went into which others.
//!
//! In: pclntab and the inline trees that its funcdata points to. Out: [`InlineIndex`]. Format:
//! `runtime.inlinedCall` of each Go version (`src/runtime/symtabinl.go`): 20 bytes up to Go 1.19,
//! 16 since.

use std::collections::HashMap;

use super::elf::Elf;
use super::error::Fault;
use super::field::u32_at;
use super::pclntab::{Format, Pclntab, Record};

/// The pcdata table whose values are indices into the function's inline tree; −1 is its own code.
pub(super) const PCDATA_INDEX: u32 = 2;

pub(super) const FUNCDATA_TREE: u8 = 3;

/// Nodes of one function's tree: the largest seen, in generated code, has some ten thousand.
pub(super) const NODE_LIMIT: u64 = 1 << 20;

/// Nodes of all trees: hugo, with 88,000 functions, has 156,000. Trees that overlap may claim any number.
const NODES_LIMIT: u64 = 1 << 24;

/// Callers by the name of what was inlined into them.
#[derive(Debug, Default)]
pub(super) struct InlineIndex {
    /// Offset of the name in pclntab → indices of the functions, ascending, each once.
    callers: HashMap<u32, Vec<u32>>,
}

impl InlineIndex {
    /// Reads the trees of all functions. `records` are the functions in the order that
    /// [`InlineIndex::callers`] shall number them by, `None` for those that pclntab doesn't have.
    pub fn build<'a>(
        elf: &Elf,
        table: &Pclntab,
        gofunc: Option<u64>,
        records: impl Iterator<Item = Option<Record<'a>>>,
    ) -> Result<Self, Fault> {
        let shape = Shape::of(table.format());
        let trees: Vec<(u32, u64, u64)> = records
            .enumerate()
            .filter_map(|(index, record)| {
                let record = record?;
                let address = gofunc
                    .unwrap_or(0)
                    .checked_add(record.funcdata(FUNCDATA_TREE)?)?;
                let last = record.pcdata(PCDATA_INDEX).map(|run| run.value).max()?;
                let nodes = u64::try_from(last).ok()? + 1;
                (nodes <= NODE_LIMIT).then_some((index as u32, address, nodes * shape.size))
            })
            .collect();
        let nodes: u64 = trees.iter().map(|tree| tree.2 / shape.size).sum();
        if nodes > NODES_LIMIT {
            return Err(Fault::Damaged(
                "its inline trees have more nodes than a program's",
            ));
        }
        // They stand together: one read serves all.
        let Some(start) = trees.iter().map(|tree| tree.1).min() else {
            return Ok(Self::default());
        };
        let end = trees
            .iter()
            .map(|tree| tree.1.saturating_add(tree.2))
            .max()
            .unwrap_or(start);
        let bytes = elf.read_raw(start, (end - start).min(elf.room_at(start)))?;
        let mut callers: HashMap<u32, Vec<u32>> = HashMap::new();
        for (index, address, size) in trees {
            let at = (address - start) as usize;
            let tree = at.checked_add(size as usize);
            let tree = tree.and_then(|end| bytes.get(at..end)).unwrap_or_default();
            for node in tree.chunks_exact(shape.size as usize) {
                let Some(name) = u32_at(node, shape.name) else {
                    continue;
                };
                let callers = callers.entry(name).or_default();
                if callers.last() != Some(&index) {
                    callers.push(index);
                }
            }
        }
        Ok(Self { callers })
    }

    /// The functions that hold a copy of the function whose name stands at this offset.
    pub fn callers(&self, name: u32) -> &[u32] {
        self.callers.get(&name).map_or(&[], Vec::as_slice)
    }

    /// Offsets of the names of all functions that were inlined somewhere.
    pub fn names(&self) -> impl Iterator<Item = u32> {
        self.callers.keys().copied()
    }
}

/// Offset of the name of the innermost function inlined at an offset from the entry of a record's
/// function; `None` in its own code.
pub(super) fn name_at(
    elf: &Elf,
    table: &Pclntab,
    gofunc: Option<u64>,
    record: Record<'_>,
    offset: u64,
) -> Option<u32> {
    let shape = Shape::of(table.format());
    let node = u64::try_from(record.pcdata(PCDATA_INDEX).at(offset)?).ok()?;
    let tree = gofunc
        .unwrap_or(0)
        .checked_add(record.funcdata(FUNCDATA_TREE)?)?;
    let address = tree.checked_add(node.checked_mul(shape.size)?)?;
    u32_at(&elf.read_raw(address, shape.size).ok()?, shape.name)
}

/// The layout of a node.
pub(super) struct Shape {
    pub size: u64,
    /// Offset of the name's offset.
    pub name: usize,
    /// Offset of the offset, from the body's entry, of an instruction of the call that was inlined.
    pub parent_pc: usize,
    /// Offset of the line of the function's `func`, where there is one.
    pub start_line: Option<usize>,
}

impl Shape {
    pub fn of(format: Format) -> Self {
        match format {
            Format::Go116 | Format::Go118 => Self {
                size: 20,
                name: 12,
                parent_pc: 16,
                start_line: None,
            },
            Format::Go120 => Self {
                size: 16,
                name: 4,
                parent_pc: 8,
                start_line: Some(12),
            },
        }
    }
}
