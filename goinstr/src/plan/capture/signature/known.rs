//! Types that are known by their name: Go's own, and those of the standard library that are often
//! parameters.
//!
//! Their underlying types are part of Go's promise of compatibility or, of `time.Time`, the same from
//! Go 1.17 to 1.27.

use super::written::WrittenTypes;
use crate::binary::{GoKind, TypeRef};

/// Names of the standard library's types and what they are, in Go.
const LIBRARY: [(&str, &str); 17] = [
    ("encoding/json.RawMessage", "[]byte"),
    ("io/fs.FileMode", "uint32"),
    ("net.HardwareAddr", "[]byte"),
    ("net.IP", "[]byte"),
    ("net.IPMask", "[]byte"),
    ("net/http.ConnState", "int"),
    ("net/http.Header", "map[string][]string"),
    ("net/http.HandlerFunc", "func(ResponseWriter, *Request)"),
    ("net/textproto.MIMEHeader", "map[string][]string"),
    ("net/url.Values", "map[string][]string"),
    ("os.FileMode", "uint32"),
    ("syscall.Errno", "uintptr"),
    ("syscall.Signal", "int"),
    ("time.Duration", "int64"),
    ("time.Month", "int"),
    (
        "time.Time",
        "struct{ wall uint64; ext int64; loc *time.Location }",
    ),
    ("time.Weekday", "int"),
];

/// Interfaces with methods.
const INTERFACES: [&str; 31] = [
    "context.Context",
    "database/sql/driver.Conn",
    "encoding.TextMarshaler",
    "error",
    "fmt.State",
    "fmt.Stringer",
    "hash.Hash",
    "io.ByteReader",
    "io.Closer",
    "io.ReadCloser",
    "io.ReadSeeker",
    "io.ReadWriteCloser",
    "io.ReadWriter",
    "io.Reader",
    "io.ReaderAt",
    "io.Seeker",
    "io.WriteCloser",
    "io.Writer",
    "io.WriterAt",
    "io/fs.FS",
    "io/fs.FileInfo",
    "net.Addr",
    "net.Conn",
    "net.Error",
    "net.Listener",
    "net.PacketConn",
    "net/http.Handler",
    "net/http.ResponseWriter",
    "net/http.RoundTripper",
    "os.Signal",
    "sync.Locker",
];

/// A type of the language itself.
pub(super) fn predeclared(types: &mut WrittenTypes, name: &str) -> Option<TypeRef> {
    let (name, size, kind) = match name {
        "bool" => ("bool", 1, GoKind::Bool),
        "int" | "int64" => (name, 8, GoKind::Int),
        "int32" | "rune" => ("int32", 4, GoKind::Int),
        "int16" => ("int16", 2, GoKind::Int),
        "int8" => ("int8", 1, GoKind::Int),
        "uint" | "uint64" | "uintptr" | "unsafe.Pointer" => (name, 8, GoKind::Uint),
        "uint32" => ("uint32", 4, GoKind::Uint),
        "uint16" => ("uint16", 2, GoKind::Uint),
        "uint8" | "byte" => ("uint8", 1, GoKind::Uint),
        "float64" => ("float64", 8, GoKind::Float),
        "float32" => ("float32", 4, GoKind::Float),
        "complex128" => ("complex128", 16, GoKind::Complex),
        "complex64" => ("complex64", 8, GoKind::Complex),
        "string" => ("string", 16, GoKind::String),
        "any" => ("interface {}", 16, GoKind::Interface { empty: true }),
        "error" => ("error", 16, GoKind::Interface { empty: false }),
        _ => return None,
    };
    Some(types.add(name, size, kind))
}

/// Whether `name` is a type of the language itself.
pub(super) fn is_predeclared(name: &str) -> bool {
    predeclared(&mut WrittenTypes::default(), name).is_some()
}

/// Whether `name` is an interface of the standard library; its whole name.
pub(super) fn interface(name: &str) -> Option<&'static str> {
    INTERFACES.into_iter().find(|known| is(known, name))
}

/// The whole name and what it is, in Go, of a type of the standard library.
pub(super) fn library(name: &str) -> Option<(&'static str, &'static str)> {
    LIBRARY.into_iter().find(|(known, _)| is(known, name))
}

/// Whether a name means a known one: with its whole path, or as source code has it.
fn is(known: &str, name: &str) -> bool {
    let last = known.rfind('/').map_or(0, |slash| slash + 1);
    known == name || known.get(last..) == Some(name)
}
