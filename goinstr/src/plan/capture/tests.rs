//! Places, steps and shapes of signatures that are made up.

use std::rc::Rc;

use goinstr_common::capture::{DATA_BYTES, REGISTER_BYTES};

use super::abi::Part;
use super::*;
use crate::binary::{Arch, Field, GoKind, GoType, TypeRef};

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
        signatures: Vec::new(),
        condition: None,
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
    FunctionCapture::compiled(types, &signature, &assigned, wanted, &|| None)
}

#[test]
fn the_registers_at_the_return_have_room_behind_the_arguments() {
    let types = known(vec![
        ("string", 16, GoKind::String),
        ("int", 8, GoKind::Int),
    ]);
    let mut cut = false;
    // Whatever is copied begins at a multiple of 8.
    let all = (8..=496).step_by(8);
    for (bytes, results) in all.flat_map(|bytes| [(bytes, false), (bytes, true)]) {
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

fn part(offset: u64, size: u64, register: u8) -> Part {
    Part {
        offset,
        size,
        register: abi::Register::General(register),
    }
}

/// The example of Go's `src/cmd/compile/abi-internal.md`: `func f(a1 uint8, a2 [2]uintptr, a3 uint8)
/// (r1 struct { x uintptr; y [2]uintptr }, r2 string)`.
#[test]
fn places_are_those_of_the_abis_own_example() {
    let field = |name: &str, offset, ty| Field {
        name: name.to_owned(),
        offset,
        ty: TypeRef(ty),
    };
    let types = known(vec![
        ("uint8", 1, GoKind::Uint),
        ("uintptr", 8, GoKind::Uint),
        ("[2]uintptr", 16, GoKind::Array(TypeRef(1), 2)),
        (
            "struct",
            24,
            GoKind::Struct(vec![field("x", 0, 1), field("y", 8, 2)]),
        ),
        ("string", 16, GoKind::String),
    ]);
    for arch in [Arch::X86_64, Arch::Aarch64] {
        let assigned = abi::assign(&types, arch, &list([0, 2, 0]), &list([3, 4]));
        let expected = Assigned {
            parameters: vec![
                Place::Registers(vec![part(0, 1, 0)]),
                Place::Stack(0),
                Place::Registers(vec![part(0, 1, 1)]),
            ],
            results: vec![
                Place::Stack(16),
                Place::Registers(vec![part(0, 8, 0), part(8, 8, 1)]),
            ],
            // a2, r1.x, r1.y, and room for a1 and a3.
            width: 16 + 24 + 8,
        };
        assert_eq!(assigned, Some(expected));
    }
}

/// A value is in registers as a whole or not at all, and what comes after it may be.
#[test]
fn what_does_not_fit_leaves_its_registers_to_the_next() {
    let types = known(vec![
        ("int", 8, GoKind::Int),
        ("string", 16, GoKind::String),
    ]);
    let eight = [0; 8];
    let parameters = list(eight.into_iter().chain([1, 0]));
    let assigned = abi::assign(&types, Arch::X86_64, &parameters, &[]).expect("known types");
    assert_eq!(assigned.parameters[8], Place::Stack(0));
    assert_eq!(
        assigned.parameters[9],
        Place::Registers(vec![part(0, 8, 8)])
    );
    // 9 registers in all; arm64 has 16, which are enough for the string.
    let assigned = abi::assign(&types, Arch::Aarch64, &parameters, &[]).expect("known types");
    assert_eq!(
        assigned.parameters[8],
        Place::Registers(vec![part(0, 8, 8), part(8, 8, 9)])
    );
}

#[test]
fn offsets_that_can_not_be_are_no_places() {
    for (kind, size) in [
        (GoKind::Complex, 16),
        (GoKind::String, 16),
        (GoKind::Interface { empty: true }, 16),
        (GoKind::Slice(TypeRef(0)), 24),
    ] {
        let far = Field {
            name: "far".to_owned(),
            offset: u64::MAX - 3,
            ty: TypeRef(0),
        };
        let types = known(vec![
            ("part", size, kind),
            ("whole", 64, GoKind::Struct(vec![far])),
        ]);
        assert_eq!(abi::parts(&types, Arch::X86_64, TypeRef(1)), None);
        let function = compiled(&types, list([1]), list([1]), &wanted(true, true, 128));
        for (_, shape) in function.parameters.iter().chain(&function.results) {
            let ShapeKind::Copied(_, kind) = &shape.kind else {
                panic!("{shape:?}");
            };
            assert!(!format!("{kind:?}").contains("Data("), "{kind:?}");
        }
    }
    let most = known(vec![
        ("huge", u64::MAX, GoKind::Array(TypeRef(1), 2)),
        ("byte", 1, GoKind::Uint),
    ]);
    let assigned = abi::assign(&most, Arch::X86_64, &list([1, 0]), &list([0]));
    assert_eq!(assigned, None);
}

#[test]
fn types_that_contain_themselves_come_to_an_end() {
    let field = |name: &str, ty| Field {
        name: name.to_owned(),
        offset: 0,
        ty: TypeRef(ty),
    };
    let twice = || vec![field("a", 0), field("b", 0)];
    let types = known(vec![("loop", 8, GoKind::Struct(twice()))]);
    assert_eq!(abi::assign(&types, Arch::X86_64, &list([0]), &[]), None);
    let deep = Wanted {
        limits: Limits {
            depth: 8,
            ..Limits::default()
        },
        ..wanted(true, false, 128)
    };
    let signature = Signature {
        parameters: list([0; 4]),
        results: Vec::new(),
    };
    let assigned = Assigned {
        parameters: vec![Place::Stack(0); 4],
        ..Assigned::default()
    };
    let function = FunctionCapture::compiled(&types, &signature, &assigned, &deep, &|| None);
    assert_eq!(function.parameters.len(), 4);
}

/// An argument on the stack is what was copied from there, and nothing where that failed.
#[test]
fn a_value_on_the_stack_is_copied() {
    let types = known(vec![
        ("int", 8, GoKind::Int),
        ("[64]int", 512, GoKind::Array(TypeRef(0), 64)),
    ]);
    let function = compiled(&types, list([1, 1]), Vec::new(), &wanted(true, false, 128));
    let [(_, first), (name, second)] = function.parameters.as_slice() else {
        panic!("{:?}", function.parameters);
    };
    assert_eq!(
        (name.as_str(), second.type_name.as_str()),
        ("p1", "[64]int")
    );
    let chunks = |shape: &Shape| match &shape.kind {
        ShapeKind::Copied(chunks, _) => chunks.clone(),
        other => panic!("{other:?}"),
    };
    let steps: Vec<(u32, u32)> = function.entry.iter().map(|s| (s.add, s.most)).collect();
    // The return address stands below; a step copies less than 512 bytes.
    assert_eq!(steps, [(8, 504), (512, 8), (520, 504), (1024, 8)]);
    let numbers = |shape: &Shape| chunks(shape).iter().map(|c| c.step).collect::<Vec<_>>();
    assert_eq!((numbers(first), numbers(second)), (vec![0, 1], vec![2, 3]));
    for (chunk, step) in chunks(first).iter().zip(&function.entry) {
        assert_eq!((chunk.at, chunk.most), (step.to, step.most));
    }
}

/// `main.Node { next *main.Node; token string }`, a pointer to it, and `string`.
fn node() -> Known {
    let field = |name: &str, offset, ty| Field {
        name: name.to_owned(),
        offset,
        ty: TypeRef(ty),
    };
    let fields = vec![field("next", 0, 1), field("token", 8, 2)];
    known(vec![
        ("main.Node", 24, GoKind::Struct(fields)),
        ("*main.Node", 8, GoKind::Pointer(TypeRef(0))),
        ("string", 16, GoKind::String),
    ])
}

/// Pointers that are followed one behind the other.
fn followed(shape: &Shape) -> usize {
    match &shape.kind {
        ShapeKind::Pointer { to: Some(to), .. } => 1 + followed(to),
        ShapeKind::Copied(_, kind) => match kind.as_ref() {
            ShapeKind::Struct(fields) => fields.iter().map(|(_, field)| followed(field)).sum(),
            other => panic!("{other:?}"),
        },
        _ => 0,
    }
}

#[test]
fn pointers_are_followed_as_deep_as_was_asked() {
    for (depth, pointers) in [(0, 0), (1, 1), (8, 4)] {
        let wanted = Wanted {
            limits: Limits {
                depth,
                ..Limits::default()
            },
            ..wanted(true, false, 128)
        };
        let function = compiled(&node(), list([1]), Vec::new(), &wanted);
        let (_, shape) = &function.parameters[0];
        assert_eq!(followed(shape), pointers, "{depth}");
        // Of each node one step copies 24 bytes; nothing of its token is copied beyond them.
        assert_eq!(function.entry.len(), pointers);
        assert!(function.entry.iter().all(|step| step.most == 24));
    }
}

#[test]
fn secrets_are_not_copied() {
    let mut parameters = list([2, 2]);
    for (parameter, name) in parameters.iter_mut().zip(["userPassword", "user"]) {
        parameter.name = Some(name.to_owned());
    }
    let function = compiled(&node(), parameters, Vec::new(), &wanted(true, false, 128));
    let [(_, secret), (_, user)] = function.parameters.as_slice() else {
        panic!("{:?}", function.parameters);
    };
    assert_eq!(secret.kind, ShapeKind::Redacted);
    assert!(matches!(user.kind, ShapeKind::String { .. }));
    // The third and fourth register hold the second string.
    let addresses: Vec<u32> = function.entry.iter().map(|step| step.address).collect();
    assert_eq!(addresses, [2 * 8]);
}
