//! Any bytes as DWARF: the lookups of the runtime's structures, of functions' signatures and of their
//! types end.
//!
//! Input: one byte of choices (bit 0: compressed), two bytes that split the rest into abbreviations
//! and entries. The program has one function, at 0x400000.

use std::collections::BTreeSet;

use goinstr::binary::{DebugTypes, GoBinary, GoKind, TypeRef, TypeSource};

use crate::program::Program;

/// Types that are followed: each may lead to many others, or to itself.
const TYPES: usize = 64;

pub fn dwarf(input: &[u8]) {
    if let Some(binary) = program(input).and_then(|program| program.open()) {
        let _ = binary.runtime_layout();
        ask_types(&binary);
    }
}

/// A program with the input's sections.
fn program(input: &[u8]) -> Option<Program> {
    let ([choices, low, high], rest) = input.split_first_chunk()?;
    let split = usize::from(u16::from_le_bytes([*low, *high])) % (rest.len() + 1);
    let flags = if choices & 1 == 1 { 0x800 } else { 0 };
    let mut program = Program::default();
    program.append_go(&[0; 8], &[0; 64]);
    program.section(".debug_abbrev", &rest[..split], 0);
    program.section(".debug_info", &rest[split..], flags);
    // Lists of locations too: they refer to nothing, so that they may stand among the entries.
    program.section(".debug_loc", &rest[split..], 0);
    program.section(
        ".debug_str",
        b"runtime.g\0goid\0sched\0runtime.gobuf\0sp\0",
        0,
    );
    Some(program)
}

/// The signature of each function, and the types that it leads to: how many of both.
fn ask_types(binary: &GoBinary) -> (usize, usize) {
    let Some(sections) = binary.debug_sections() else {
        return (0, 0);
    };
    let types = DebugTypes::new(&sections);
    let entries: Vec<_> = binary.functions().iter().map(|f| f.entry).collect();
    let signatures = types.signatures(&entries);
    let parameters = signatures
        .values()
        .flat_map(|signature| signature.parameters.iter().chain(&signature.results));
    let mut next: Vec<TypeRef> = parameters.map(|parameter| parameter.ty).collect();
    let mut seen = BTreeSet::new();
    while let Some(at) = next.pop() {
        if seen.len() >= TYPES || !seen.insert(at) {
            continue;
        }
        match types.get(at).map(|found| found.kind.clone()) {
            Some(GoKind::Pointer(to) | GoKind::Slice(to) | GoKind::Array(to, _)) => next.push(to),
            Some(GoKind::Struct(fields)) => next.extend(fields.iter().map(|field| field.ty)),
            _ => {}
        }
    }
    (signatures.len(), seen.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else what is made of it would not get far.
    #[test]
    fn the_seed_has_a_signature_and_types() {
        let seed = include_bytes!("../corpus/dwarf/seed-signature");
        let found = program(seed).and_then(|program| program.open());
        let (signatures, types) = ask_types(&found.expect("a Go program"));
        assert_eq!(signatures, 1);
        assert!(types >= 4, "{types}");
    }

    #[test]
    fn the_seed_with_locations_has_a_parameter_in_a_register() {
        let seed = include_bytes!("../corpus/dwarf/seed-locations");
        let found = program(seed).and_then(|program| program.open());
        let found = found.expect("a Go program");
        let sections = found.debug_sections().expect("debug sections");
        let entries: Vec<_> = found.functions().iter().map(|f| f.entry).collect();
        let signatures = DebugTypes::new(&sections).signatures(&entries);
        let mut parameters = signatures.values().flat_map(|all| &all.parameters);
        assert!(parameters.any(|parameter| !parameter.seen.is_empty()));
    }
}
