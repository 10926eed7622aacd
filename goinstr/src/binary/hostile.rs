//! Programs that were made to lead astray, one way each. `fuzz/` looks for ways nobody thought of.

use std::fs;
use std::path::Path;

use super::function::Origin;
use super::inline::{FUNCDATA_TREE, PCDATA_INDEX, Shape};
use super::pclntab::Format;
use super::tests::{Built, ask_everything, build};
use super::*;

const SHOFF: usize = 0x28;
const PHNUM: usize = 0x38;
const SHNUM: usize = 0x3c;
/// The first program header, and fields of one.
const HEADERS: usize = 0x40;
const HEADER: usize = 56;
const P_TYPE: usize = 0x00;
const P_OFFSET: usize = 0x08;
const P_VADDR: usize = 0x10;
/// `sh_size` of a section header.
const SH_SIZE: usize = 0x20;

/// A program, its bytes, and where its function table is in the file.
struct Victim {
    built: Built,
    bytes: Vec<u8>,
    table: usize,
}

impl Victim {
    fn new() -> Self {
        let built = build("basic", &[]);
        let bytes = fs::read(&built.path).unwrap();
        let binary = built.open();
        let table = binary.file_offset(Vaddr(binary.module.pclntab)).unwrap();
        Self {
            table: table.0 as usize,
            built,
            bytes,
        }
    }

    fn word(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().unwrap())
    }

    fn put(&mut self, at: usize, value: u64) {
        self.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    /// Offsets of the headers of the segments that are loaded.
    fn segments(&self) -> Vec<usize> {
        let all = (0..usize::from(self.bytes[PHNUM])).map(|i| HEADERS + i * HEADER);
        all.filter(|at| self.bytes[at + P_TYPE] == 1).collect()
    }

    /// What becomes of the changed program: all that can be asked of it is asked.
    fn open(&self) -> Result<GoBinary, BinaryError> {
        let path = self.path("hostile");
        fs::write(&path, &self.bytes).unwrap();
        ask_everything(&path);
        GoBinary::open(&path)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.built.path.with_file_name(name)
    }
}

fn refused(opened: Result<GoBinary, BinaryError>, path: &Path) -> String {
    let error = opened.expect_err("a clear error").to_string();
    assert!(error.contains(&*path.to_string_lossy()), "{error}");
    error
}

#[test]
fn segments_that_overlap_are_no_trouble() {
    // All of them where the first is: whatever is found there, it ends.
    let mut victim = Victim::new();
    let segments = victim.segments();
    assert!(segments.len() > 2);
    let first = victim.word(segments[0] + P_VADDR);
    for at in &segments[1..] {
        victim.put(at + P_VADDR, first);
    }
    refused(victim.open(), &victim.path("hostile"));
    // All of them the same bytes of the file, each at its own addresses.
    let mut victim = Victim::new();
    for at in &segments[1..] {
        victim.put(at + P_OFFSET, 0);
    }
    refused(victim.open(), &victim.path("hostile"));
}

#[test]
fn counts_beyond_all_measure_are_refused() {
    let functions = |victim: &Victim| victim.table + 8;
    for count in [0, 1 << 32, u64::MAX / 8, u64::MAX] {
        let mut victim = Victim::new();
        let at = functions(&victim);
        victim.put(at, count);
        let error = refused(victim.open(), &victim.path("hostile"));
        assert!(error.contains("function table"), "{count}: {error}");
    }
    // Section headers are of use and not needed: with nonsense in them the program is the same.
    let mut victim = Victim::new();
    let intact = victim.built.open().functions().len();
    victim.bytes[SHNUM..SHNUM + 2].fill(0xff);
    assert!(victim.open().expect("opened").functions().len() <= intact);
    let mut victim = Victim::new();
    let sections = victim.word(SHOFF) as usize;
    for index in 1..usize::from(victim.bytes[SHNUM]) {
        victim.put(sections + index * 64 + SH_SIZE, u64::MAX - 8);
    }
    assert!(victim.open().expect("opened").functions().len() <= intact);
    let mut victim = Victim::new();
    victim.bytes[PHNUM..PHNUM + 2].fill(0xff);
    let _ = victim.open();
}

/// Each inlined function is inlined into itself.
#[test]
fn an_inline_tree_that_is_a_ring_has_an_end() {
    let mut victim = Victim::new();
    let binary = victim.built.open();
    let shape = Shape::of(binary.table.format());
    let mut ring = None;
    for function in binary.functions() {
        let Some(record) = binary.record(function) else {
            continue;
        };
        let Some(tree) = record.funcdata(FUNCDATA_TREE) else {
            continue;
        };
        let inlined = record.pcdata(PCDATA_INDEX).find(|run| run.value >= 0);
        if let Some(run) = inlined {
            let node = binary.module.gofunc.unwrap_or(0) + tree + run.value as u64 * shape.size;
            let at = binary.file_offset(Vaddr(node)).unwrap().0 as usize + shape.parent_pc;
            victim.bytes[at..at + 4].copy_from_slice(&(run.start as u32).to_le_bytes());
            ring.get_or_insert(Vaddr(function.entry.0 + run.start));
        }
    }
    let at = ring.expect("something is inlined");
    let before = binary.frames_at(at).len();
    let binary = victim.open().expect("opened");
    let frames = binary.frames_at(at);
    assert!(before < frames.len() && frames.len() <= 64, "{frames:?}");
    let source = binary.source(binary.function_at(at).unwrap());
    let span = source.spans.iter().find(|span| span.start == at).unwrap();
    assert!(source.inlined_at(span).count() > before);
    let _ = binary.inlined_only();
}

/// All functions share one tree of a million nodes: the callers are as many as their product.
#[test]
fn inline_trees_in_each_other_do_not_multiply() {
    let mut victim = Victim::new();
    let binary = victim.built.open();
    // The fixed part of a `_func` since Go 1.20; indices into the inline tree are its third pcdata.
    assert_eq!(binary.table.format(), Format::Go120);
    let place = 44 + 4 * PCDATA_INDEX as usize;
    let trees: Vec<usize> = binary
        .functions()
        .iter()
        .filter(|function| {
            let record = binary.record(function);
            record.is_some_and(|record| record.funcdata(FUNCDATA_TREE).is_some())
        })
        .filter_map(|function| match function.origin {
            Origin::Pclntab(record) => Some(victim.table + record as usize + place),
            Origin::Symtab(_) => None,
        })
        .collect();
    assert!(trees.len() > 100, "{} trees", trees.len());
    let shared = u32::from_le_bytes(victim.bytes[trees[0]..trees[0] + 4].try_into().unwrap());
    for at in trees {
        victim.bytes[at..at + 4].copy_from_slice(&shared.to_le_bytes());
    }
    // −1 + 1,000,001 from the first byte to the last.
    let indices = [0x82, 0x89, 0x7a, 0xff, 0xff, 0xff, 0x7f, 0];
    let pctab = victim.word(victim.table + 56) as usize;
    let at = victim.table + pctab + shared as usize;
    victim.bytes[at..at + indices.len()].copy_from_slice(&indices);
    let binary = victim.open().expect("opened");
    assert!(binary.inlined().is_empty(), "believed");
}
