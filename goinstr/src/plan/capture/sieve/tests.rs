//! What passes, of shapes, words and conditions that are made up. That nothing is dropped which matches is held in
//! `aggregate/condition/sieved.rs`, over many more.

use goinstr_common::sieve::{DROP, PASS, passes};

use super::*;

fn shape(kind: ShapeKind) -> Shape {
    Shape {
        type_name: "T".to_owned(),
        kind,
    }
}

fn sieve(kind: ShapeKind, condition: &str) -> Sieve {
    let condition = Condition::parse(condition).expect(condition);
    Sieve::of(&condition, &[("v".to_owned(), shape(kind))], &[])
}

/// Whether a call passes whose words are these; `None`: none does, or each.
fn asked(kind: ShapeKind, condition: &str, words: &[u64]) -> Option<bool> {
    let sieve = sieve(kind, condition);
    assert!(sieve.exit.is_empty(), "there are no results: {sieve:?}");
    let word = |at: u32| words[at as usize / 8];
    (!sieve.never && !sieve.entry.is_empty()).then(|| passes(&sieve.entry, word))
}

const AT: [Word; 4] = [Word::Data(0), Word::Data(8), Word::Data(16), Word::Data(24)];

fn eight(text: &str) -> u64 {
    let mut word = [0; 8];
    word[..text.len()].copy_from_slice(text.as_bytes());
    u64::from_le_bytes(word)
}

/// Every width, at every place in a word, whatever stands around it.
#[test]
fn integers_are_compared_as_numbers_of_their_type() {
    let noise = 0xa5a5_5a5a_a5a5_5a5a;
    let operators = ["==", "!=", "<", "<=", ">", ">="];
    for (size, signed) in [1_u8, 2, 4, 8]
        .into_iter()
        .flat_map(|size| [(size, false), (size, true)])
    {
        let bits = u32::from(size) * 8;
        let (least, most) = match signed {
            true => (-1_i128 << (bits - 1), (1_i128 << (bits - 1)) - 1),
            false => (0, (1_i128 << bits) - 1),
        };
        let middle = (most + least) / 2;
        let numbers = [least, least + 1, -1, 0, 1, middle, most - 1, most];
        let numbers = numbers
            .into_iter()
            .filter(|number| (least..=most).contains(number));
        let numbers: Vec<i128> = numbers.collect();
        let constants = [least - 1, most + 1, i128::MAX, i128::MIN];
        for at in (0..8).step_by(size.into()) {
            let kind = match signed {
                true => ShapeKind::Int(Word::Data(at), size),
                false => ShapeKind::Uint(Word::Data(at), size),
            };
            let mask = (u64::MAX >> (64 - bits)) << (at * 8);
            for &number in &numbers {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "its bits"
                )]
                let word = noise & !mask | (number as u64) << (at * 8) & mask;
                for &with in numbers.iter().chain(&constants) {
                    let order = number.cmp(&with);
                    let holds = [
                        order.is_eq(),
                        order.is_ne(),
                        order.is_lt(),
                        order.is_le(),
                        order.is_gt(),
                        order.is_ge(),
                    ];
                    for (operator, holds) in operators.iter().zip(holds) {
                        let text = format!("v {operator} {with}");
                        let sieve = sieve(kind.clone(), &text);
                        let passes = !sieve.never && passes(&sieve.entry, |_| word);
                        assert_eq!(passes, holds, "{number} {text}, {size} bytes at {at}");
                    }
                }
            }
        }
    }
}

#[test]
fn strings_are_compared_by_their_length_and_bytes() {
    let chunk = Chunk {
        step: 0,
        at: 16,
        most: 16,
    };
    let string = |bytes| ShapeKind::String {
        address: AT[0],
        length: AT[1],
        bytes,
    };
    let ask = |condition: &str, length: u64, text: [&str; 2]| {
        asked(
            string(Some(chunk)),
            condition,
            &[8, length, eight(text[0]), eight(text[1])],
        )
    };
    let long = "v == \"abcdefghij\"";
    assert_eq!(ask(long, 10, ["abcdefgh", "ij"]), Some(true));
    // What stands behind it is not its own.
    assert_eq!(ask(long, 10, ["abcdefgh", "ijk"]), Some(true));
    assert_eq!(ask(long, 10, ["abcdefgh", "ik"]), Some(false));
    assert_eq!(ask(long, 9, ["abcdefgh", "ij"]), Some(false));
    let unequal = "v != \"abcdefghij\"";
    assert_eq!(ask(unequal, 10, ["abcdefgh", "ij"]), Some(false));
    assert_eq!(ask(unequal, 10, ["abcdefgh", "i"]), Some(true));
    assert_eq!(ask(unequal, 500, ["abcdefgh", "ij"]), Some(true));
    assert_eq!(ask("v == \"\"", 0, ["a", ""]), Some(true));
    assert_eq!(ask("len(v) > 2", 3, ["", ""]), Some(true));
    assert_eq!(ask("len(v) > 2", 2, ["", ""]), Some(false));
    // Longer than what is read: nobody can tell that it is equal, or that it isn't.
    let longer = "x".repeat(17);
    assert!(sieve(string(Some(chunk)), &format!("v == \"{longer}\"")).never);
    assert_eq!(ask(&format!("v != \"{longer}\""), 17, ["", ""]), None);
    assert!(sieve(string(None), "v == \"a\"").never);
    // Which comes first is left to userspace.
    assert_eq!(ask("v < \"b\"", 1, ["c", ""]), None);
}

#[test]
fn nil_is_a_word_that_is_0() {
    let slice = || ShapeKind::Slice {
        address: AT[0],
        length: AT[1],
        capacity: AT[2],
        chunk: None,
        items: Vec::new(),
        each: 8,
    };
    let pointer = || ShapeKind::Pointer {
        address: AT[0],
        to: Some(Box::new(shape(ShapeKind::Int(AT[1], 8)))),
    };
    let interface = || ShapeKind::Interface {
        first: AT[0],
        table: None,
        value: None,
        text: None,
    };
    for kind in [slice(), pointer(), interface(), ShapeKind::Address(AT[0])] {
        for (condition, word, passes) in [
            ("v == nil", 0, true),
            ("v == nil", 8, false),
            ("v != nil", 0, false),
            ("v != nil", 8, true),
            ("v != nil && v == nil", 8, false),
            ("v != nil || v == nil", 8, true),
        ] {
            assert_eq!(
                asked(kind.clone(), condition, &[word, 0]),
                Some(passes),
                "{kind:?}: {condition}"
            );
        }
    }
    // A nil slice has no length of its own.
    assert_eq!(asked(slice(), "len(v) == 0", &[0, 7]), Some(true));
    assert_eq!(asked(slice(), "len(v) == 7", &[0, 7]), Some(false));
    assert_eq!(asked(slice(), "len(v) == 7", &[8, 7]), Some(true));
    // Through a pointer, unless it is nil: then its 0 is nobody's.
    assert_eq!(asked(pointer(), "v == 0", &[8, 0]), Some(true));
    assert_eq!(asked(pointer(), "v == 0", &[0, 0]), Some(false));
    // What an interface holds is told by userspace, that it holds nothing by the first word.
    assert_eq!(asked(interface(), "v == 3", &[8]), Some(true));
    assert_eq!(asked(interface(), "v == 3", &[0]), Some(false));
    // What can't be nil isn't.
    assert!(sieve(ShapeKind::Int(AT[0], 8), "v == nil").never);
    assert_eq!(
        sieve(ShapeKind::Int(AT[0], 8), "v != nil"),
        Sieve::default()
    );
}

#[test]
fn fields_are_gone_to_through_pointers() {
    let point = ShapeKind::Struct(vec![
        ("X".to_owned(), shape(ShapeKind::Int(Word::Data(8), 4))),
        ("Y".to_owned(), shape(ShapeKind::Int(Word::Data(12), 4))),
        ("token".to_owned(), shape(ShapeKind::Redacted)),
    ]);
    let copied = ShapeKind::Copied(Vec::new(), Box::new(point));
    let pointer = || ShapeKind::Pointer {
        address: AT[0],
        to: Some(Box::new(shape(copied.clone()))),
    };
    let word = 7_u64 << 32 | 3;
    assert_eq!(
        asked(pointer(), "v.X == 3 && v.Y == 7", &[64, word]),
        Some(true)
    );
    assert_eq!(
        asked(pointer(), "v.X == 3 && v.Y == 8", &[64, word]),
        Some(false)
    );
    assert_eq!(
        asked(pointer(), "v.X == 4 || v.Y >= 7", &[64, word]),
        Some(true)
    );
    assert_eq!(
        asked(pointer(), "v.Y > -1", &[64, (-1_i64).cast_unsigned()]),
        Some(false)
    );
    assert_eq!(asked(pointer(), "v.X == 0", &[0, 0]), Some(false));
    // Neither a secret nor what isn't there is asked for.
    for condition in [
        "v.token == \"x\"",
        "v.token != nil",
        "v.Z == 1",
        "v.X.Y == 1",
        "w == 1",
        "v.X == \"x\"",
    ] {
        assert!(sieve(pointer(), condition).never, "{condition}");
    }
}

#[test]
fn what_is_left_open_passes() {
    for (kind, condition) in [
        (ShapeKind::Float(AT[0], 8), "v > 0.5"),
        (ShapeKind::Float(AT[0], 8), "v == 3"),
        (ShapeKind::Int(AT[0], 8), "v > 0.5"),
        // Not in one word.
        (ShapeKind::Int(Word::Data(6), 4), "v == 1"),
        (ShapeKind::Int(AT[0], 3), "v == 1"),
    ] {
        assert_eq!(
            sieve(kind.clone(), condition),
            Sieve::default(),
            "{kind:?} {condition}"
        );
    }
    // No float can be had from a register, and nothing that is nowhere.
    for kind in [
        ShapeKind::Float(Word::Float, 8),
        ShapeKind::Int(Word::Unread, 8),
    ] {
        assert!(sieve(kind, "v == 1").never);
    }
    // More tests than are asked.
    let condition = vec!["v != \"0123456789012345678901234567890123456789\""; 32].join(" && ");
    let chunk = Chunk {
        step: 0,
        at: 16,
        most: 128,
    };
    let string = ShapeKind::String {
        address: AT[0],
        length: AT[1],
        bytes: Some(chunk),
    };
    assert_eq!(sieve(string, &condition), Sieve::default());
}

#[test]
fn results_are_asked_for_when_they_are_there() {
    let of = |condition: &str| {
        let condition = Condition::parse(condition).expect(condition);
        let (v, r) = (ShapeKind::Int(AT[0], 8), ShapeKind::Int(AT[1], 8));
        let sieve = Sieve::of(
            &condition,
            &[("v".to_owned(), shape(v))],
            &[("r".to_owned(), shape(r))],
        );
        (sieve.never, sieve.entry.len(), sieve.exit.len())
    };
    assert_eq!(of("v == 1"), (false, 1, 0));
    assert_eq!(of("r == 1"), (false, 0, 1));
    assert_eq!(of("v == 1 && r == 1"), (false, 1, 2));
    assert_eq!(of("v == 1 || r == 1"), (false, 0, 2));
    assert_eq!(of("r == nil || v == true"), (true, 0, 0));
}

/// Whatever is asked, no test is asked twice.
#[test]
fn tests_lead_forward() {
    let condition = ["v == 1 && v > 0 && v < 9", "v == 2 && v != 5", "v >= 7"].join(" || ");
    let sieve = sieve(ShapeKind::Int(AT[0], 8), &condition);
    assert_eq!(sieve.entry.len(), 6);
    for (test, at) in sieve.entry.iter().zip(0_u32..) {
        for next in [test.then, test.otherwise] {
            assert!(
                next > at && (next < 6 || next == PASS || next == DROP),
                "{sieve:?}"
            );
        }
    }
    for (number, passing) in [
        (1, true),
        (2, true),
        (3, false),
        (5, false),
        (7, true),
        (0, false),
    ] {
        assert_eq!(passes(&sieve.entry, |_| number), passing, "{number}");
    }
}
