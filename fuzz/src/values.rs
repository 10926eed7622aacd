//! Any bytes as what the kernel program has copied of arguments and results: values, of each kind that there is.
//!
//! Input: 8 bytes (which steps found nothing, a bit each), the bytes.

use goinstr::aggregate::{Bytes, TypeNames, values};
use goinstr::plan::{Chunk, ContextStep, ErrorShape, InnerShape, Shape, ShapeKind, Word};

/// Names that depend on the address, as a hostile process' would.
struct Names;

/// Names of types, and the import paths of their packages.
const TYPES: [(&str, &str); 11] = [
    ("string", ""),
    ("bool", ""),
    ("float32", ""),
    ("main.T", "main"),
    ("syscall.Errno", "syscall"),
    ("*errors.errorString", "errors"),
    ("*fmt.wrapError", "fmt"),
    ("*fs.PathError", "io/fs"),
    ("*net.OpError", "net"),
    ("*context.timerCtx", "context"),
    ("*context.cancelCtx", "context"),
];

impl Names {
    fn of(address: u64) -> Option<(&'static str, &'static str)> {
        TYPES.get(usize::try_from(address % 16).ok()?).copied()
    }
}

impl TypeNames for Names {
    fn name(&self, address: u64) -> Option<String> {
        Self::of(address).map(|(name, _)| name.to_owned())
    }

    fn package(&self, address: u64) -> Option<String> {
        Self::of(address).map(|(_, package)| package.to_owned())
    }

    fn strings(&self, address: u64) -> Vec<(String, u32)> {
        vec![(String::new(), (address % 32) as u32)]
    }
}

pub fn values_of(input: &[u8]) {
    let Some((failed, data)) = input.split_first_chunk() else {
        return;
    };
    let bytes = Bytes {
        data,
        failed: u64::from_le_bytes(*failed),
        unix_ns: 0,
        names: &Names,
    };
    let read = values(&shapes(), bytes);
    assert_eq!(read.0.len(), shapes().len());
    // As JSON has them.
    let text = format!("{read:?}");
    assert!(
        text.len() < 64 * (input.len() + 4096),
        "values that multiply"
    );
}

fn shape(kind: ShapeKind) -> Shape {
    Shape {
        type_name: "T".to_owned(),
        kind,
    }
}

/// One of each kind, all of the first bytes, so that short inputs have them all.
fn shapes() -> Vec<(String, Shape)> {
    let word = Word::Data;
    let chunk = |step, at, most| Chunk { step, at, most };
    let kinds = [
        ShapeKind::Bool(word(0)),
        ShapeKind::Int(word(1), 8),
        ShapeKind::Int(word(1), 3),
        ShapeKind::Uint(word(2), 0),
        ShapeKind::Uint(word(2), 9),
        ShapeKind::Float(word(0), 4),
        ShapeKind::Float(Word::Float, 8),
        ShapeKind::Complex(word(0), word(8), 8),
        ShapeKind::String {
            address: word(0),
            length: word(8),
            bytes: Some(chunk(0, 16, 16)),
        },
        ShapeKind::Bytes {
            address: word(0),
            length: word(8),
            capacity: word(16),
            bytes: Some(chunk(1, 24, 40)),
        },
        ShapeKind::Slice {
            address: word(0),
            length: word(8),
            capacity: word(16),
            chunk: Some(chunk(2, 24, 16)),
            items: vec![shape(ShapeKind::Uint(word(24), 8)); 2],
            each: 8,
        },
        ShapeKind::Pointer {
            address: word(0),
            to: Some(Box::new(shape(ShapeKind::Copied(
                vec![chunk(3, 8, 8), chunk(u32::MAX, u32::MAX, u32::MAX)],
                Box::new(ShapeKind::Uint(word(8), 8)),
            )))),
        },
        ShapeKind::Map(word(0), Some(chunk(4, 8, 8))),
        ShapeKind::Map(word(0), Some(chunk(4, 8, 4))),
        ShapeKind::Address(Word::Unread),
        ShapeKind::Interface {
            first: word(0),
            table: Some(chunk(5, 8, 8)),
            value: Some(chunk(6, 16, 16)),
            text: Some(chunk(7, 32, 32)),
        },
        ShapeKind::Interface {
            first: word(0),
            table: None,
            value: Some(chunk(6, 8, 2)),
            text: Some(chunk(7, 8, 2)),
        },
        ShapeKind::Uint(word(u32::MAX), 8),
        ShapeKind::Context {
            first: word(0),
            chain: vec![context(8), context(48)],
            known: true,
        },
        ShapeKind::Error(Box::new(error())),
    ];
    let named = kinds.into_iter().map(|kind| (String::new(), shape(kind)));
    named.collect()
}

fn context(at: u32) -> ContextStep {
    ContextStep {
        table: Chunk {
            step: 8,
            at,
            most: 8,
        },
        parent: Some(Chunk {
            step: 9,
            at: at + 8,
            most: 16,
        }),
        deadline: Some(Chunk {
            step: 10,
            at: at + 8,
            most: 24,
        }),
    }
}

fn error() -> ErrorShape {
    let chunk = |step, at, most| Chunk { step, at, most };
    ErrorShape {
        first: Word::Data(0),
        table: chunk(11, 8, 8),
        value: chunk(12, 16, 16),
        more: Some(chunk(13, 32, 64)),
        texts: vec![(0, chunk(14, 96, 16)), (16, chunk(15, 96, 16))],
        inner: vec![InnerShape {
            offset: 32,
            table: chunk(16, 8, 8),
            value: chunk(17, 24, 32),
            text: Some(chunk(18, 64, 16)),
            last: Some((chunk(19, 16, 8), chunk(20, 24, 16))),
        }],
    }
}
