//! Values of made-up bytes: words of 8 bytes, the first at 0.

use super::*;

/// Knows one type, at 0x1000.
struct Known(&'static str);

impl TypeNames for Known {
    fn name(&self, address: u64) -> Option<String> {
        (address == 0x1000).then(|| self.0.to_owned())
    }

    fn package(&self, _: u64) -> Option<String> {
        let (package, _) = self.0.trim_start_matches('*').split_once('.')?;
        Some(package.to_owned())
    }

    fn strings(&self, _: u64) -> Vec<(String, u32)> {
        Vec::new()
    }
}

fn shape(kind: ShapeKind) -> Shape {
    Shape {
        type_name: "T".to_owned(),
        kind,
    }
}

/// What the bytes mean where the steps in `failed` found nothing; the dynamic type at 0x1000 is `dynamic`.
fn read_as(dynamic: &'static str, kind: ShapeKind, words: &[u64], failed: u64) -> Content {
    let data: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let bytes = Bytes {
        data: &data,
        failed,
        unix_ns: 0,
        names: &Known(dynamic),
    };
    let Values(mut read) = values(&[("v".to_owned(), shape(kind))], bytes);
    let (name, value) = read.pop().expect("a value");
    assert_eq!((name.as_str(), value.type_name.as_str()), ("v", "T"));
    value.content
}

fn read(kind: ShapeKind, words: &[u64]) -> Content {
    read_as("main.T", kind, words, 0)
}

fn unreadable(why: &str) -> Content {
    Content::Unreadable(why.to_owned())
}

fn chunk(step: u32, at: u32, most: u32) -> Chunk {
    Chunk { step, at, most }
}

fn word(bytes: &[u8]) -> u64 {
    let mut whole = [0; 8];
    whole[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(whole)
}

const AT: [Word; 4] = [Word::Data(0), Word::Data(8), Word::Data(16), Word::Data(24)];

#[test]
fn numbers_are_their_lowest_bytes() {
    let noise = 0xaaaa_aaaa_aaaa_aa00;
    for (kind, word, expected) in [
        (ShapeKind::Bool(AT[0]), noise | 1, Content::Bool(true)),
        (ShapeKind::Bool(AT[0]), noise | 2, unreadable("no bool: 2")),
        (ShapeKind::Int(AT[0], 1), noise | 0x80, Content::Int(-128)),
        (ShapeKind::Int(AT[0], 8), u64::MAX, Content::Int(-1)),
        (ShapeKind::Uint(AT[0], 1), noise | 0xff, Content::Uint(255)),
        (ShapeKind::Uint(AT[0], 8), u64::MAX, Content::Uint(u64::MAX)),
        (
            ShapeKind::Float(AT[0], 4),
            u64::from(1.5f32.to_bits()),
            Content::Float(1.5),
        ),
        (
            ShapeKind::Float(AT[0], 4),
            u64::from(0.1f32.to_bits()),
            Content::Float(0.1),
        ),
        (
            ShapeKind::Float(AT[0], 4),
            u64::from(f32::MIN_POSITIVE.to_bits()),
            Content::Float(1.175_494_4e-38),
        ),
        (
            ShapeKind::Float(AT[0], 4),
            u64::from(f32::NEG_INFINITY.to_bits()),
            Content::Float(f64::NEG_INFINITY),
        ),
        (
            ShapeKind::Float(AT[0], 8),
            (-0.1f64).to_bits(),
            Content::Float(-0.1),
        ),
        (ShapeKind::Float(Word::Float, 8), 0, unreadable(FLOAT)),
        (ShapeKind::Int(Word::Unread, 8), 0, unreadable(NOT_READ)),
        // Not all of it is in the data.
        (ShapeKind::Int(Word::Data(1), 8), 0, unreadable(NOT_READ)),
        (ShapeKind::Int(AT[0], 9), 0, unreadable(NOT_READ)),
    ] {
        assert_eq!(read(kind.clone(), &[word]), expected, "{kind:?}");
    }
    let complex = ShapeKind::Complex(AT[0], AT[1], 8);
    let words = [2.0f64.to_bits(), (-1.0f64).to_bits()];
    assert_eq!(read(complex, &words), Content::Complex(2.0, -1.0));
}

#[test]
fn a_string_is_what_was_copied_of_it() {
    let string = || ShapeKind::String {
        address: AT[0],
        length: AT[1],
        bytes: Some(chunk(3, 16, 8)),
    };
    let text = |bytes: &[u8], length| Content::Text {
        bytes: bytes.to_vec(),
        length,
        capacity: None,
    };
    let eight = word("aäbcdef".as_bytes());
    assert_eq!(read(string(), &[64, 3, eight]), text("aä".as_bytes(), 3));
    // Nothing of the character that was cut.
    let cut = word(&"1234567ä".as_bytes()[..8]);
    assert_eq!(read(string(), &[64, 9, cut]), text(b"1234567", 9));
    assert_eq!(read(string(), &[0, 0, 7]), text(b"", 0));
    let nowhere = unreadable("it has a length and no address");
    assert_eq!(read(string(), &[0, 1, 0]), nowhere);
    let endless = unreadable("its length is none");
    assert_eq!(read(string(), &[64, u64::MAX, 0]), endless);
    let failed = read_as("", string(), &[64, 3, eight], 1 << 3);
    assert_eq!(failed, unreadable(NOT_MAPPED));
    let other = read_as("", string(), &[64, 3, eight], !(1 << 3));
    assert_eq!(other, text("aä".as_bytes(), 3));
}

#[test]
fn a_slice_shows_the_elements_it_has() {
    let slice = || ShapeKind::Slice {
        address: AT[0],
        length: AT[1],
        capacity: AT[2],
        chunk: Some(chunk(0, 24, 8)),
        items: (24..32)
            .step_by(2)
            .map(|at| shape(ShapeKind::Int(Word::Data(at), 2)))
            .collect(),
        each: 2,
    };
    let numbers = word(&[1, 0, 2, 0, 0xff, 0xff, 9, 9]);
    let Content::List {
        items,
        length: 3,
        capacity: Some(5),
    } = read(slice(), &[64, 3, 5, numbers])
    else {
        panic!("no list of 3");
    };
    let items: Vec<_> = items.into_iter().map(|item| item.content).collect();
    assert_eq!(items, [1, 2, -1].map(Content::Int));
    assert_eq!(read(slice(), &[0, 0, 0, 0]), Content::Nil);
    let failed = read_as("", slice(), &[64, 3, 5, numbers], 1);
    assert_eq!(failed, unreadable(NOT_MAPPED));
}

/// What stands where nothing could be copied is no value: the kernel leaves zeros there.
#[test]
fn a_value_from_memory_is_known_only_if_all_of_it_was_copied() {
    let copied = || {
        let chunks = vec![chunk(4, 0, 8), chunk(5, 8, 8)];
        ShapeKind::Copied(chunks, Box::new(ShapeKind::Int(AT[0], 8)))
    };
    assert_eq!(read(copied(), &[7, 0]), Content::Int(7));
    for failed in [1 << 4, 1 << 5] {
        let read = read_as("", copied(), &[0, 0], failed);
        assert_eq!(read, unreadable(NOT_MAPPED));
    }
    let pointer = || ShapeKind::Pointer {
        address: AT[2],
        to: Some(Box::new(shape(copied()))),
    };
    let to = |content| {
        let type_name = "T".to_owned();
        Content::Pointer(0x40, Some(Box::new(Value { type_name, content })))
    };
    let words = [7, 0, 0x40];
    assert_eq!(read(pointer(), &words), to(Content::Int(7)));
    let failed = read_as("", pointer(), &words, 1 << 4);
    assert_eq!(failed, to(unreadable(NOT_MAPPED)));
    assert_eq!(read(pointer(), &[7, 0, 0]), Content::Nil);
}

#[test]
fn a_map_has_the_number_that_its_structure_says() {
    let map = || ShapeKind::Map(AT[0], Some(chunk(0, 8, 8)));
    assert_eq!(read(map(), &[64, 12]), Content::Map(Some(12)));
    assert_eq!(read(map(), &[0, 12]), Content::Nil);
    assert_eq!(read_as("", map(), &[64, 0], 1), unreadable(NOT_MAPPED));
}

#[test]
fn an_interface_has_the_value_of_a_type_that_is_known() {
    let interface = |table| ShapeKind::Interface {
        first: AT[0],
        table,
        value: Some(chunk(1, 8, 16)),
        text: Some(chunk(2, 24, 8)),
    };
    let shown = |dynamic: &str, content: Option<Content>| Content::Interface {
        dynamic: dynamic.to_owned(),
        value: content.map(|content| {
            let type_name = dynamic.to_owned();
            Box::new(Value { type_name, content })
        }),
    };
    let read = |dynamic, words: &[u64], failed| read_as(dynamic, interface(None), words, failed);
    let int = shown("int", Some(Content::Int(-3)));
    let words = [0x1000, (-3i64).cast_unsigned(), 0, 0];
    assert_eq!(read("int", &words, 0), int);
    assert_eq!(read("main.T", &words, 0), shown("main.T", None));
    assert_eq!(read("int", &words, 1 << 1), shown("int", None));
    let text = Content::Text {
        bytes: b"no".to_vec(),
        length: 2,
        capacity: None,
    };
    let error = [0x1000, 64, 2, word(b"no")];
    let known = "*errors.errorString";
    assert_eq!(read(known, &error, 0), shown(known, Some(text)));
    let other = shown("type at 0x2000", None);
    assert_eq!(read("int", &[0x2000, 1, 0, 0], 0), other);
    assert_eq!(read("int", &[0, 1, 0, 0], 0), Content::Nil);
    // Of an interface with methods the type stands in the table.
    let methods = || interface(Some(chunk(0, 32, 8)));
    let words = [0x4000, (-3i64).cast_unsigned(), 0, 0, 0x1000];
    assert_eq!(read_as("int", methods(), &words, 0), int);
    let failed = read_as("int", methods(), &words, 1);
    assert_eq!(failed, unreadable(NOT_MAPPED));
}
