//! Places, steps and shapes of signatures that are made up.

use std::rc::Rc;

use goinstr_common::capture::{DATA_BYTES, REGISTER_BYTES};

use super::*;
use crate::binary::GoType;

/// Types by their index.
struct Known(Vec<Rc<GoType>>);

impl TypeSource for Known {
    fn get(&self, at: TypeRef) -> Option<Rc<GoType>> {
        self.0.get(usize::try_from(at.0).ok()?).cloned()
    }
}

fn known(types: Vec<(&str, u64, GoKind)>) -> Known {
    let made = types.into_iter().map(|(name, size, kind)| {
        Rc::new(GoType {
            name: name.to_owned(),
            size,
            kind,
        })
    });
    Known(made.collect())
}

fn list(types: impl IntoIterator<Item = u64>) -> Vec<Parameter> {
    let parameter = |ty| Parameter {
        name: None,
        ty: TypeRef(ty),
        seen: Vec::new(),
    };
    types.into_iter().map(parameter).collect()
}

fn wanted(arguments: bool, results: bool, bytes: u32) -> Wanted {
    Wanted {
        arguments,
        results,
        limits: Limits {
            bytes,
            ..Limits::default()
        },
        redaction: Redaction::default(),
    }
}

/// What is read of a function that takes and gives these, on amd64.
fn compiled(
    types: &Known,
    parameters: Vec<Parameter>,
    results: Vec<Parameter>,
    wanted: &Wanted,
) -> FunctionCapture {
    let assigned = abi::assign(types, Arch::X86_64, &parameters, &results).expect("known types");
    let signature = Signature {
        parameters,
        results,
    };
    FunctionCapture::compiled(types, &signature, &assigned, wanted)
}

#[test]
fn the_registers_at_the_return_have_room_behind_the_arguments() {
    let types = known(vec![
        ("string", 16, GoKind::String),
        ("int", 8, GoKind::Int),
    ]);
    let mut cut = false;
    for (bytes, results) in (1..=496).flat_map(|bytes| [(bytes, false), (bytes, true)]) {
        let (strings, ints) = (list([0; 12]), list([1; 2]));
        let function = compiled(&types, strings, ints, &wanted(true, results, bytes));
        let registers = function.exit_at as usize + REGISTER_BYTES;
        assert!(registers <= DATA_BYTES, "{bytes}: {registers}");
        assert!(function.bytes as usize <= DATA_BYTES, "{bytes}");
        let ends = |step: &Step| step.to + step.most <= function.exit_at;
        assert!(function.entry.iter().all(ends), "{bytes}");
        for (name, shape) in &function.results {
            let ShapeKind::Int(Word::Data(at), 8) = shape.kind else {
                panic!("{bytes}: {name} is {shape:?}");
            };
            assert!(at >= function.exit_at && at + 8 <= function.bytes);
        }
        assert_eq!(function.results.len(), if results { 2 } else { 0 });
        cut |= function
            .parameters
            .iter()
            .any(|(_, shape)| shape.kind == ShapeKind::Cut);
    }
    assert!(cut, "the arguments must have come near the end");
}
