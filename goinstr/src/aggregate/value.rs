//! The value of an argument or result, as it stood in the target.
//!
//! In: the bytes that were copied and the [`Shape`](crate::plan::Shape) that tells what they mean. Out: a
//! [`Value`]. The bytes are the target's own memory, of a moment when others may have been writing to
//! it: lengths may be impossible and text may be no text.

use std::collections::BTreeMap;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

/// The arguments or results of a call, by name, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values(pub Vec<(String, Value)>);

impl Eq for Values {}

/// A value and its type.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// As Go prints it; of an interface the static one.
    pub type_name: String,
    /// What it was.
    pub content: Content,
}

/// What a value was.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// `true` or `false`.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned one.
    Uint(u64),
    /// A floating-point number.
    Float(f64),
    /// Real and imaginary part.
    Complex(f64, f64),
    /// A string or `[]byte`.
    Text {
        /// As much as was read, as text where it is that.
        bytes: Vec<u8>,
        /// Its length in bytes.
        length: u64,
        /// Of a `[]byte`.
        capacity: Option<u64>,
    },
    /// A slice or array.
    List {
        /// The first elements.
        items: Vec<Value>,
        /// Their number in all.
        length: u64,
        /// Of a slice.
        capacity: Option<u64>,
    },
    /// Fields by name, in order.
    Struct(Vec<(String, Value)>),
    /// An address, and what stood there as far as it was looked at.
    Pointer(u64, Option<Box<Value>>),
    /// A map of so many elements, where that could be read.
    Map(Option<u64>),
    /// A channel or function.
    Address(u64),
    /// An interface: the type of its value, where that is known, and the value, where that can be told.
    Interface {
        /// The type of the value, or its address where it has no name that can be read.
        dynamic: String,
        /// The value.
        value: Option<Box<Value>>,
    },
    /// A context, and until when it lets its work go on.
    Context {
        /// Its type, or the type's address where it has no name that can be read.
        dynamic: String,
        /// Its own deadline or the nearest parent's.
        deadline: Deadline,
    },
    /// A pointer, slice, map, channel, function or interface that is nil.
    Nil,
    /// Nested too deeply, or more than one call has room for.
    Cut,
    /// A secret: it was not read.
    Redacted,
    /// It can't be had, and why.
    Unreadable(String),
}

/// A context's deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// It has none.
    None,
    /// By the wall clock it was made with.
    At {
        /// Since 1970.
        unix_ns: i64,
        /// From when the context was read on; negative: it is over.
        left_ns: i64,
    },
    /// Not to be had, and why.
    Unknown(String),
}

impl Values {
    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value)
    }

    /// Bytes that they take beside their own.
    pub(super) fn heap_bytes(&self) -> usize {
        named_bytes(&self.0)
    }
}

impl Value {
    /// Bytes that it takes beside its own.
    fn heap_bytes(&self) -> usize {
        let boxed = |value: &Value| size_of::<Value>() + value.heap_bytes();
        let content = match &self.content {
            Content::Text { bytes, .. } => bytes.len(),
            Content::List { items, .. } => items.iter().map(boxed).sum(),
            Content::Struct(fields) => named_bytes(fields),
            Content::Pointer(_, to) => to.as_deref().map_or(0, boxed),
            Content::Interface { dynamic, value } => {
                dynamic.len() + value.as_deref().map_or(0, boxed)
            }
            Content::Context { dynamic, deadline } => {
                dynamic.len()
                    + match deadline {
                        Deadline::Unknown(why) => why.len(),
                        Deadline::None | Deadline::At { .. } => 0,
                    }
            }
            Content::Unreadable(why) => why.len(),
            Content::Bool(_)
            | Content::Int(_)
            | Content::Uint(_)
            | Content::Float(_)
            | Content::Complex(..)
            | Content::Map(_)
            | Content::Address(_)
            | Content::Nil
            | Content::Cut
            | Content::Redacted => 0,
        };
        self.type_name.len() + content
    }
}

fn named_bytes(list: &[(String, Value)]) -> usize {
    let named = |(name, value): &(String, Value)| name.len() + value.heap_bytes();
    size_of_val(list) + list.iter().map(named).sum::<usize>()
}

/// An object by name: `{"key":{"type":"string","value":"a","len":1},…}`.
impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fields(serializer, &self.0)
    }
}

fn fields<S: Serializer>(serializer: S, list: &[(String, Value)]) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(list.len()))?;
    // Two of one name, which Go allows for `_` alone, would be no object.
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for (name, value) in list {
        let times = seen.entry(name).or_default();
        *times += 1;
        match *times {
            1 => map.serialize_entry(name, value)?,
            times => map.serialize_entry(&format!("{name}#{times}"), value)?,
        }
    }
    map.end()
}

/// A structure's fields.
struct Fields<'v>(&'v [(String, Value)]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fields(serializer, self.0)
    }
}

/// A number that JSON has, or its name as Go prints it.
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            number if number.is_finite() => serializer.serialize_f64(number),
            number => serializer.serialize_str(&go_float(number)),
        }
    }
}

/// `NaN`, `+Inf`, `-Inf`, or the number.
#[must_use]
pub fn go_float(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        format!("{number}")
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &self.type_name)?;
        match &self.content {
            Content::Bool(value) => map.serialize_entry("value", value)?,
            Content::Int(value) => map.serialize_entry("value", value)?,
            Content::Uint(value) => map.serialize_entry("value", value)?,
            Content::Float(value) => map.serialize_entry("value", &Number(*value))?,
            Content::Complex(real, imaginary) => {
                map.serialize_entry("value", &[Number(*real), Number(*imaginary)])?;
            }
            Content::Text {
                bytes,
                length,
                capacity,
            } => {
                match std::str::from_utf8(bytes) {
                    Ok(text) => map.serialize_entry("value", text)?,
                    Err(_) => map.serialize_entry("hex", &hex(bytes))?,
                }
                lengths(&mut map, *length, *capacity)?;
                if bytes.len() as u64 != *length {
                    map.serialize_entry("cut", &true)?;
                }
            }
            Content::List {
                items,
                length,
                capacity,
            } => {
                map.serialize_entry("value", items)?;
                lengths(&mut map, *length, *capacity)?;
                if items.len() as u64 != *length {
                    map.serialize_entry("cut", &true)?;
                }
            }
            Content::Struct(list) => map.serialize_entry("value", &Fields(list))?,
            Content::Pointer(address, to) => {
                map.serialize_entry("address", &format!("{address:#x}"))?;
                if let Some(to) = to {
                    map.serialize_entry("value", to)?;
                }
            }
            Content::Map(length) => {
                if let Some(length) = length {
                    map.serialize_entry("len", length)?;
                }
            }
            Content::Address(address) => {
                map.serialize_entry("address", &format!("{address:#x}"))?;
            }
            Content::Interface { dynamic, value } => {
                map.serialize_entry("dynamic", dynamic)?;
                if let Some(value) = value {
                    map.serialize_entry("value", value)?;
                }
            }
            Content::Context { dynamic, deadline } => {
                map.serialize_entry("dynamic", dynamic)?;
                match deadline {
                    Deadline::None => map.serialize_entry("no_deadline", &true)?,
                    Deadline::At { unix_ns, left_ns } => {
                        map.serialize_entry("deadline_unix_ns", unix_ns)?;
                        map.serialize_entry("left_ns", left_ns)?;
                    }
                    Deadline::Unknown(why) => map.serialize_entry("deadline_unknown", why)?,
                }
            }
            Content::Nil => map.serialize_entry("nil", &true)?,
            Content::Cut => map.serialize_entry("cut", &true)?,
            Content::Redacted => map.serialize_entry("redacted", &true)?,
            Content::Unreadable(why) => map.serialize_entry("unreadable", why)?,
        }
        map.end()
    }
}

fn lengths<M: serde::ser::SerializeMap>(
    map: &mut M,
    length: u64,
    capacity: Option<u64>,
) -> Result<(), M::Error> {
    map.serialize_entry("len", &length)?;
    if let Some(capacity) = capacity {
        map.serialize_entry("cap", &capacity)?;
    }
    Ok(())
}

/// Two digits a byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
