//! What the kernel side drops doesn't match: its tests against what is said of the values, over shapes, bytes and
//! conditions that are made up.

use std::cell::Cell;

use goinstr_common::sieve;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

use super::super::reading::{Bytes, TypeNames, values};
use super::super::report::CallValues;
use crate::plan::{Chunk, Condition, ErrorShape, Shape, ShapeKind, Sieve, Word};

/// Words of data.
const WORDS: u32 = 24;
const BYTES: u32 = WORDS * 8;

/// Every type is the standard library's error.
struct Errors;

impl TypeNames for Errors {
    fn name(&self, address: u64) -> Option<String> {
        (address != 0).then(|| "*errors.errorString".to_owned())
    }

    fn package(&self, _: u64) -> Option<String> {
        Some("errors".to_owned())
    }

    fn strings(&self, _: u64) -> Vec<(String, u32)> {
        Vec::new()
    }
}

/// Where a number stands: mostly where one can, now and then nowhere, or where no number stands.
fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        8 => (0..WORDS).prop_map(|word| Word::Data(word * 8)),
        3 => (0..BYTES / 2).prop_map(|at| Word::Data(at * 2)),
        1 => (0..BYTES + 8).prop_map(Word::Data),
        1 => Just(Word::Float),
        1 => Just(Word::Unread),
    ]
}

fn chunk() -> impl Strategy<Value = Chunk> {
    (0_u32..64, 0..WORDS, 0_u32..20).prop_map(|(step, word, most)| Chunk {
        step,
        at: word * 8,
        most,
    })
}

fn leaf() -> impl Strategy<Value = ShapeKind> {
    let size = || select(vec![1_u8, 2, 4, 8, 3]);
    prop_oneof![
        2 => word().prop_map(ShapeKind::Bool),
        4 => (word(), size()).prop_map(|(word, size)| ShapeKind::Int(word, size)),
        4 => (word(), size()).prop_map(|(word, size)| ShapeKind::Uint(word, size)),
        1 => (word(), select(vec![4_u8, 8])).prop_map(|(word, size)| ShapeKind::Float(word, size)),
        4 => (word(), word(), option::weighted(0.9, chunk()))
            .prop_map(|(address, length, bytes)| ShapeKind::String { address, length, bytes }),
        3 => (word(), word(), word(), option::weighted(0.9, chunk())).prop_map(
            |(address, length, capacity, bytes)| ShapeKind::Bytes { address, length, capacity, bytes }
        ),
        2 => (word(), word(), word()).prop_map(|(address, length, capacity)| ShapeKind::Slice {
            address, length, capacity, chunk: None, items: Vec::new(), each: 8,
        }),
        2 => (word(), option::of(chunk())).prop_map(|(address, count)| ShapeKind::Map(address, count)),
        1 => word().prop_map(ShapeKind::Address),
        2 => (word(), option::of(chunk()), option::of(chunk()), option::of(chunk())).prop_map(
            |(first, table, value, text)| ShapeKind::Interface { first, table, value, text }
        ),
        2 => (word(), chunk(), chunk(), chunk(), option::of(chunk())).prop_map(
            |(first, table, value, text, more)| ShapeKind::Error(Box::new(ErrorShape {
                first, table, value, more, texts: vec![(0, text)], inner: Vec::new(),
            }))
        ),
        1 => word().prop_map(|first| ShapeKind::Context { first, chain: Vec::new(), known: false }),
        1 => (0_u64..4).prop_map(|length| ShapeKind::Array(Vec::new(), length)),
        1 => Just(ShapeKind::Cut),
        1 => Just(ShapeKind::Redacted),
        1 => Just(ShapeKind::Unknown("why")),
    ]
}

fn named(kind: ShapeKind) -> Shape {
    Shape {
        type_name: String::new(),
        kind,
    }
}

const FIELDS: [&str; 3] = ["X", "Y", "Z"];

fn kind() -> impl Strategy<Value = ShapeKind> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            2 => vec((select(FIELDS.to_vec()), inner.clone()), 0..4).prop_map(|fields| {
                let fields = fields.into_iter();
                ShapeKind::Struct(fields.map(|(name, kind)| (name.to_owned(), named(kind))).collect())
            }),
            3 => (word(), option::weighted(0.9, inner.clone())).prop_map(|(address, to)| {
                ShapeKind::Pointer { address, to: to.map(|to| Box::new(named(to))) }
            }),
            2 => (vec(chunk(), 0..3), inner).prop_map(|(chunks, kind)| {
                ShapeKind::Copied(chunks, Box::new(kind))
            }),
        ]
    })
}

/// Numbers near what constants say, and of either side of what types hold.
fn data() -> impl Strategy<Value = Vec<u64>> {
    let text = || {
        let text = vec(select(b"ab\0\xff".to_vec()), 8);
        text.prop_map(|bytes| {
            bytes
                .iter()
                .rev()
                .fold(0, |word, &byte| word << 8 | u64::from(byte))
        })
    };
    let word = prop_oneof![
        3 => Just(0_u64),
        4 => 0_u64..12,
        1 => (-4_i64..0).prop_map(i64::cast_unsigned),
        1 => select(vec![0x7f, 0x80, 0xff, 0x100, 0x7fff_ffff, 0x8000_0000, 1 << 48, 1 << 63]),
        3 => text(),
        1 => any::<u64>(),
    ];
    vec(word, WORDS as usize)
}

/// What can be asked of a value.
#[derive(Clone, Copy)]
enum Like {
    Number,
    Truth,
    /// Whose length and bytes are there.
    Text(Word, Option<Chunk>),
    Other,
}

/// The values that can be named, and the ways to them.
fn ways(name: &str, kind: &ShapeKind, ways: &mut Vec<(String, Like)>) {
    let like = match kind {
        ShapeKind::Copied(_, kind) => return self::ways(name, kind, ways),
        ShapeKind::Struct(fields) => {
            for (field, shape) in fields {
                self::ways(&format!("{name}.{field}"), &shape.kind, ways);
            }
            Like::Other
        }
        ShapeKind::Pointer { to: Some(to), .. } => {
            self::ways(name, &to.kind, ways);
            Like::Other
        }
        ShapeKind::Bool(_) => Like::Truth,
        ShapeKind::Int(..) | ShapeKind::Uint(..) | ShapeKind::Float(..) => Like::Number,
        ShapeKind::String { length, bytes, .. } | ShapeKind::Bytes { length, bytes, .. } => {
            Like::Text(*length, *bytes)
        }
        _ => Like::Other,
    };
    ways.push((name.to_owned(), like));
}

/// What is asked, as far as it doesn't depend on the shapes.
#[derive(Clone, Debug)]
struct Plan {
    way: Index,
    operator: &'static str,
    /// Another value than there is any, or a constant of another type.
    astray: bool,
    length: bool,
    nil: bool,
    truth: bool,
    number: String,
    text: String,
    /// The text that is there.
    same: bool,
}

fn plan() -> impl Strategy<Value = Plan> {
    let number = prop_oneof![
        6 => (-3_i64..12).prop_map(|number| number.to_string()),
        1 => select(vec![
            "127", "128", "-128", "-129", "255", "256", "2147483648", "18446744073709551615",
            "18446744073709551616", "-9223372036854775808", "9223372036854775807", "0.5", "-0.5", "1e30",
        ])
        .prop_map(str::to_owned),
    ];
    let chances = (
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        any::<bool>(),
        prop::bool::weighted(0.7),
    );
    let operator = select(vec!["==", "==", "!=", "!=", "<", "<=", ">", ">="]);
    (any::<Index>(), operator, number, "[ab]{0,10}", chances).prop_map(
        |(way, operator, number, text, (astray, length, nil, truth, same))| Plan {
            way,
            operator,
            astray,
            length,
            nil,
            truth,
            number,
            text,
            same,
        },
    )
}

/// A string as it is typed.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The comparison as it is typed, of values that there are for the most part.
fn typed(plan: &Plan, ways: &[(String, Like)], words: &[u64]) -> String {
    let (path, like) = plan.way.get(ways);
    let Plan { operator, .. } = plan;
    // Only equal or not.
    let unordered = if operator.starts_with(['<', '>']) {
        "!="
    } else {
        operator
    };
    if plan.astray {
        return format!("{path}.X {unordered} {:?}", plan.truth);
    }
    if plan.nil {
        return format!("{path} {unordered} nil");
    }
    match like {
        Like::Text(..) if plan.length => format!("len({path}) {operator} {}", plan.number),
        Like::Text(length, Some(chunk)) if plan.same => {
            let there: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let Word::Data(at) = length else {
                return format!("{path} {operator} {}", quoted(&plan.text));
            };
            let length = words
                .get(*at as usize / 8)
                .map_or(0, |&length| length.min(12));
            let bytes = there.iter().skip(chunk.at as usize).take(length as usize);
            let bytes: Vec<u8> = bytes.copied().collect();
            format!(
                "{path} {operator} {}",
                quoted(&String::from_utf8_lossy(&bytes))
            )
        }
        Like::Text(..) => format!("{path} {operator} {}", quoted(&plan.text)),
        Like::Number => format!("{path} {operator} {}", plan.number),
        Like::Truth => format!("{path} {unordered} {}", plan.truth),
        Like::Other => format!("len({path}) {operator} {}", plan.number),
    }
}

/// What is found out of one call.
#[derive(Debug, Default)]
struct Found {
    dropped: bool,
    matches: bool,
}

fn found(
    condition: &str,
    parameters: &[(String, Shape)],
    results: &[(String, Shape)],
    words: &[u64],
    (failed, returned): (u64, bool),
) -> Found {
    let condition = Condition::parse(condition).expect(condition);
    let data: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let bytes = Bytes {
        data: &data,
        failed,
        unix_ns: 0,
        names: &Errors,
    };
    let read = CallValues {
        args: Some(values(parameters, bytes)),
        returns: returned.then(|| values(results, bytes)),
    };
    let sieve = Sieve::of(&condition, parameters, results);
    let word = |at: u32| words.get(at as usize / 8).copied().unwrap_or_default();
    Found {
        dropped: sieve.never
            || !sieve::passes(&sieve.entry, word)
            || returned && !sieve::passes(&sieve.exit, word),
        matches: condition.holds(Some(&read)),
    }
}

#[test]
fn what_is_dropped_does_not_match() {
    let mut runner = TestRunner::new(Config {
        cases: 2_000,
        failure_persistence: None,
        ..Config::default()
    });
    let shapes = (kind(), kind(), kind());
    let asked = vec(vec(plan(), 1..3), 1..3);
    let failed = option::weighted(0.2, any::<u64>());
    let call = (data(), failed, prop::bool::weighted(0.9));
    let counts = Cell::new([0_u32; 3]);
    let result = runner.run(&(shapes, asked, call), |((a, b, r), asked, call)| {
        let (words, failed, returned) = call;
        let parameters = [("a".to_owned(), named(a)), ("b".to_owned(), named(b))];
        let results = [("r".to_owned(), named(r))];
        let mut there = Vec::new();
        for (name, shape) in parameters.iter().chain(&results) {
            ways(name, &shape.kind, &mut there);
        }
        let all = |all: &Vec<Plan>| {
            let all = all.iter().map(|plan| typed(plan, &there, &words));
            all.collect::<Vec<_>>().join(" && ")
        };
        let condition = asked.iter().map(all).collect::<Vec<_>>().join(" || ");
        let failed = failed.unwrap_or_default();
        let found = found(
            &condition,
            &parameters,
            &results,
            &words,
            (failed, returned),
        );
        prop_assert!(!(found.dropped && found.matches), "{condition}: {found:?}");
        let [dropped, matching, undecided] = counts.get();
        counts.set(match (found.dropped, found.matches) {
            (true, _) => [dropped + 1, matching, undecided],
            (_, true) => [dropped, matching + 1, undecided],
            (false, false) => [dropped, matching, undecided + 1],
        });
        Ok(())
    });
    result.expect("nothing that matches is dropped");
    let [dropped, matching, undecided] = counts.get();
    // Of what doesn't match most is seen not to: the rest could not be read, or is left to userspace.
    assert!(
        matching > 200 && dropped > undecided * 2,
        "{:?}",
        [dropped, matching, undecided]
    );
}
