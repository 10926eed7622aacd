//! Layouts are what Go's `unsafe.Sizeof` and `unsafe.Offsetof` say of the same types.

use super::*;
use crate::binary::{GoKind, TypeSource as _};

fn parsed(text: &str) -> GivenSignature {
    GivenSignature::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Name, type and size of each parameter or result.
fn told(given: &GivenSignature, results: bool) -> Vec<(String, String, u64)> {
    let list = match results {
        true => &given.signature.results,
        false => &given.signature.parameters,
    };
    list.iter()
        .map(|parameter| {
            let ty = given.types.get(parameter.ty).expect("a known type");
            let name = parameter.name.clone().unwrap_or_default();
            (name, ty.name.clone(), ty.size)
        })
        .collect()
}

fn types(text: &str) -> Vec<String> {
    let list = told(&parsed(&format!("main.f({text})")), false);
    list.into_iter()
        .map(|(name, ty, size)| format!("{name}:{ty}:{size}"))
        .collect()
}

#[test]
fn a_signature_is_gos_behind_the_functions_name() {
    let given = parsed(
        "main.(*Cache).Get(c *Cache, key string, n, m int) (value []byte, ok bool, err error)",
    );
    assert_eq!(given.function(), "main.(*Cache).Get");
    let triple = |name: &str, ty: &str, size| (name.to_owned(), ty.to_owned(), size);
    assert_eq!(
        told(&given, false),
        [
            triple("c", "*main.Cache", 8),
            triple("key", "string", 16),
            triple("n", "int", 8),
            triple("m", "int", 8),
        ]
    );
    assert_eq!(
        told(&given, true),
        [
            triple("value", "[]uint8", 24),
            triple("ok", "bool", 1),
            triple("err", "error", 16),
        ]
    );
    let given = parsed("example.com/shop%2ev1.Gen[...].f(float64, ...string) map[string]*box[int]");
    assert_eq!(given.function(), "example.com/shop%2ev1.Gen[...].f");
    assert_eq!(
        told(&given, false),
        [triple("", "float64", 8), triple("", "[]string", 24)]
    );
    assert_eq!(
        told(&given, true),
        [triple("", "map[string]*example.com/shop.v1.box[int]", 8)]
    );
    assert!(
        parsed("main.Gen[go.shape.struct { X (int) }](n int)")
            .is_of("main.Gen[go.shape.struct { X (int) }]")
    );
    assert!(parsed("main.Gen[...](n int)").is_of("main.Gen[go.shape.int]"));
    assert!(!parsed("main.Gen(n int)").is_of("main.General"));
}

#[test]
fn layouts_are_gos() {
    assert_eq!(
        types(
            "a struct{ A bool; B int16; C string; D *Point; E [1]uint64 }, b struct { X, Y int32 `json:\"x\"` }"
        ),
        [
            "a:struct { A bool; B int16; C string; D *main.Point; E [1]uint64 }:40",
            "b:struct { X int32; Y int32 }:8"
        ]
    );
    // A field of no bytes at the end is given one.
    assert_eq!(
        types(
            "struct{ A int32; B struct{} }, struct{ B struct{}; A int32 }, struct{ A byte; C complex64; B byte }"
        ),
        [
            ":struct { A int32; B struct {} }:8",
            ":struct { B struct {}; A int32 }:4",
            ":struct { A uint8; C complex64; B uint8 }:16"
        ]
    );
    assert_eq!(
        types(
            "ctx context.Context, d time.Duration, t time.Time, w http.ResponseWriter, r *http.Request, v any, i interface{ M(x int); error }, f func(int) (string, error), c <-chan int, e []io.Reader, z chan<- struct{}"
        ),
        [
            "ctx:context.Context:16",
            "d:time.Duration:8",
            "t:time.Time:24",
            "w:net/http.ResponseWriter:16",
            "r:*http.Request:8",
            "v:interface {}:16",
            "i:interface{ M(x int); error }:16",
            "f:func(int) (string, error):8",
            "c:<-chan int:8",
            "e:[]io.Reader:24",
            "z:chan<- struct{}:8",
        ]
    );
    let given = parsed("main.f(s struct {\n\tA int8\n\t*Point\n\tio.Reader\n\tB [3]int16\n})");
    let ty = given.signature.parameters[0].ty;
    let GoKind::Struct(fields) = given.types.get(ty).expect("a type").kind.clone() else {
        panic!("no structure");
    };
    let fields: Vec<_> = fields.iter().map(|f| (f.name.as_str(), f.offset)).collect();
    assert_eq!(fields, [("A", 0), ("Point", 8), ("Reader", 16), ("B", 32)]);
}

#[test]
fn what_is_no_signature_is_told_with_its_place() {
    for (text, at, part) in [
        ("", 1, "a function's name"),
        ("main.f", 1, "a function's name"),
        ("(n int)", 1, "a function's name"),
        ("func f(n int)", 1, "a function's name"),
        (
            "main.f(l Level)",
            10,
            "main.Level is a type that is not known",
        ),
        ("main.ä(s [4]Level)", 13, "main.Level is a type"),
        ("main.f(s struct{ a Level })", 20, "main.Level is a type"),
        ("main.f(int, n string)", 8, "names and types are mixed"),
        ("main.f(n int", 13, "a , or ) is expected, not the end"),
        (
            "main.f(n int) error x",
            21,
            "the end is expected, not \"x\"",
        ),
        ("main.f(n [)", 11, "a ] or an array's length"),
        ("main.f(n [99999999999999999999]int)", 11, "too large"),
        ("main.f(n [9999999999999999]int)", 10, "too large"),
        ("main.f(n interface{)", 19, "the { is never closed"),
        ("main.f(n #)", 10, "'#' begins nothing"),
        ("main.f(n ->)", 10, "'-' begins nothing"),
    ] {
        let error = GivenSignature::parse(text).expect_err(text).to_string();
        assert!(error.contains(&format!("at character {at}, ")), "{error}");
        assert!(error.contains(part), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    let deep = format!("main.f(n {}int)", "*".repeat(1000));
    let error = GivenSignature::parse(&deep).expect_err("too deep");
    assert!(error.to_string().contains("nested too deeply"), "{error}");
}
