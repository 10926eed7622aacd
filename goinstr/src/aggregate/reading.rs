//! Captured bytes and what they mean → values.

mod context;
mod errno;
mod error;

use super::value::{Content, Value, Values};
use crate::plan::{Chunk, Shape, ShapeKind, Word};

/// Longer strings, slices and maps than any machine holds: what says so is no length.
const LONGEST: u64 = 1 << 48;

const FLOAT: &str = "in a floating-point register, which the kernel doesn't show";
const NOT_MAPPED: &str = "its memory could not be read";
const NOT_READ: &str = "it was not read";

/// Tells the name of a type of the target by the address of its description.
pub trait TypeNames {
    /// The name as Go prints it; `None` where it can't be read.
    fn name(&self, address: u64) -> Option<String>;

    /// The import path of its package; `None` where it has none, or it can't be read.
    fn package(&self, address: u64) -> Option<String>;

    /// The names and offsets of the strings among the fields of the structure that a value of the type
    /// is, or points to; of a string an empty name.
    fn strings(&self, address: u64) -> Vec<(String, u32)>;
}

/// The bytes of one call, and which steps found nothing.
#[derive(Clone, Copy)]
pub struct Bytes<'b> {
    /// What the steps copied, with the registers.
    pub data: &'b [u8],
    /// The steps that found nothing to read, a bit each.
    pub failed: u64,
    /// When they were copied, since 1970.
    pub unix_ns: u64,
    /// Names of dynamic types.
    pub names: &'b dyn TypeNames,
}

/// The values that shapes make of bytes.
#[must_use]
pub fn values(shapes: &[(String, Shape)], bytes: Bytes<'_>) -> Values {
    let values = shapes
        .iter()
        .map(|(name, shape)| (name.clone(), bytes.value(shape)));
    Values(values.collect())
}

/// Why a word is not to be had.
type Missing = &'static str;

impl Bytes<'_> {
    fn value(&self, shape: &Shape) -> Value {
        let content = self
            .content(&shape.kind)
            .unwrap_or_else(|why| Content::Unreadable(why.to_owned()));
        Value {
            type_name: shape.type_name.clone(),
            content,
        }
    }

    /// A little-endian word of up to 8 bytes.
    fn word(&self, word: Word, size: u8) -> Result<u64, Missing> {
        let at = match word {
            Word::Data(at) => at as usize,
            Word::Float => return Err(FLOAT),
            Word::Unread => return Err(NOT_READ),
        };
        let bytes = at
            .checked_add(usize::from(size))
            .and_then(|end| self.data.get(at..end))
            .filter(|bytes| bytes.len() <= 8)
            .ok_or(NOT_READ)?;
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        Ok(u64::from_le_bytes(whole))
    }

    fn signed(&self, word: Word, size: u8) -> Result<i64, Missing> {
        let unused = 64 - 8 * u32::from(size.clamp(1, 8));
        let word = self.word(word, size)?;
        Ok((word << unused).cast_signed() >> unused)
    }

    /// A `float32` as the number that is written like it: Go writes 0.1 as 0.1, and compares it with 0.1 as
    /// equal, though what it holds is nearer to 0.10000000149.
    fn float(&self, word: Word, size: u8) -> Result<f64, Missing> {
        let bits = self.word(word, size)?;
        Ok(match u32::try_from(bits) {
            Ok(bits) if size == 4 => {
                let value = f32::from_bits(bits);
                value.to_string().parse().unwrap_or(f64::from(value))
            }
            _ => f64::from_bits(bits),
        })
    }

    fn copied(&self, chunk: Chunk) -> Result<&[u8], Missing> {
        if chunk.step < 64 && self.failed >> chunk.step & 1 != 0 {
            return Err(NOT_MAPPED);
        }
        let (at, most) = (chunk.at as usize, chunk.most as usize);
        at.checked_add(most)
            .and_then(|end| self.data.get(at..end))
            .ok_or(NOT_READ)
    }

    fn content(&self, kind: &ShapeKind) -> Result<Content, Missing> {
        Ok(match kind {
            ShapeKind::Bool(word) => match self.word(*word, 1)? {
                0 => Content::Bool(false),
                1 => Content::Bool(true),
                other => Content::Unreadable(format!("no bool: {other}")),
            },
            ShapeKind::Int(word, size) => Content::Int(self.signed(*word, *size)?),
            ShapeKind::Uint(word, size) => Content::Uint(self.word(*word, *size)?),
            ShapeKind::Float(word, size) => Content::Float(self.float(*word, *size)?),
            ShapeKind::Complex(real, imaginary, size) => {
                Content::Complex(self.float(*real, *size)?, self.float(*imaginary, *size)?)
            }
            ShapeKind::String {
                address,
                length,
                bytes,
            } => self.text(*address, *length, None, *bytes)?,
            ShapeKind::Bytes {
                address,
                length,
                capacity,
                bytes,
            } => {
                if self.word(*address, 8)? == 0 {
                    return Ok(Content::Nil);
                }
                self.text(*address, *length, Some(*capacity), *bytes)?
            }
            ShapeKind::Slice {
                address,
                length,
                capacity,
                chunk,
                items,
                each,
            } => {
                if self.word(*address, 8)? == 0 {
                    return Ok(Content::Nil);
                }
                let length = possible(self.word(*length, 8)?)?;
                let capacity = possible(self.word(*capacity, 8)?)?;
                let mut shown = Vec::new();
                if let Some(chunk) = chunk
                    && length > 0
                    && *each > 0
                {
                    self.copied(*chunk)?;
                    let count = usize::try_from(length).unwrap_or(usize::MAX);
                    shown = items
                        .iter()
                        .take(count)
                        .map(|item| self.value(item))
                        .collect();
                }
                Content::List {
                    items: shown,
                    length,
                    capacity: Some(capacity),
                }
            }
            ShapeKind::Pointer { address, to } => match self.word(*address, 8)? {
                0 => Content::Nil,
                address => {
                    let to = to.as_ref().map(|shape| Box::new(self.value(shape)));
                    Content::Pointer(address, to)
                }
            },
            ShapeKind::Copied(chunks, kind) => {
                for chunk in chunks {
                    self.copied(*chunk)?;
                }
                self.content(kind)?
            }
            ShapeKind::Array(items, length) => Content::List {
                items: items.iter().map(|item| self.value(item)).collect(),
                length: *length,
                capacity: None,
            },
            ShapeKind::Struct(fields) => {
                let fields = fields.iter();
                Content::Struct(
                    fields
                        .map(|(name, shape)| (name.clone(), self.value(shape)))
                        .collect(),
                )
            }
            ShapeKind::Map(address, count) => match self.word(*address, 8)? {
                0 => Content::Nil,
                _ => {
                    let count = count.map(|chunk| self.copied(chunk)).transpose()?;
                    let count = count.and_then(|bytes| bytes.first_chunk().copied());
                    Content::Map(count.map(u64::from_le_bytes).map(possible).transpose()?)
                }
            },
            ShapeKind::Address(word) => match self.word(*word, 8)? {
                0 => Content::Nil,
                address => Content::Address(address),
            },
            ShapeKind::Interface {
                first,
                table,
                value,
                text,
            } => self.interface(*first, *table, *value, *text)?,
            ShapeKind::Context {
                first,
                chain,
                known,
            } => self.context(*first, chain, *known)?,
            ShapeKind::Error(shape) => self.error(shape)?,
            ShapeKind::Cut => Content::Cut,
            ShapeKind::Redacted => Content::Redacted,
            ShapeKind::Unknown(why) => Content::Unreadable((*why).to_owned()),
        })
    }

    fn text(
        &self,
        address: Word,
        length: Word,
        capacity: Option<Word>,
        chunk: Option<Chunk>,
    ) -> Result<Content, Missing> {
        let (address, length) = (self.word(address, 8)?, possible(self.word(length, 8)?)?);
        let capacity = capacity
            .map(|capacity| self.word(capacity, 8))
            .transpose()?;
        let mut bytes = Vec::new();
        if length > 0
            && let Some(chunk) = chunk
        {
            if address == 0 {
                return Err("it has a length and no address");
            }
            let copied = self.copied(chunk)?;
            let most = usize::try_from(length).unwrap_or(usize::MAX);
            bytes = whole_characters(copied.get(..most).unwrap_or(copied), length).to_vec();
        }
        Ok(Content::Text {
            bytes,
            length,
            capacity,
        })
    }

    fn interface(
        &self,
        first: Word,
        table: Option<Chunk>,
        value: Option<Chunk>,
        text: Option<Chunk>,
    ) -> Result<Content, Missing> {
        let first = self.word(first, 8)?;
        if first == 0 {
            return Ok(Content::Nil);
        }
        let described = match table {
            None => first,
            Some(table) => {
                let bytes = self.copied(table)?.first_chunk().ok_or(NOT_READ)?;
                u64::from_le_bytes(*bytes)
            }
        };
        let name = self.names.name(described);
        let value = self.standard(described).as_deref().and_then(|name| {
            self.known(name, value?, text?).map(|content| {
                Box::new(Value {
                    type_name: name.to_owned(),
                    content,
                })
            })
        });
        Ok(Content::Interface {
            dynamic: name.unwrap_or_else(|| format!("type at {described:#x}")),
            value,
        })
    }

    /// The name of a type of Go's own; `None` for others, whose names may be the same: a name has only the last
    /// part of its package's path.
    fn standard(&self, address: u64) -> Option<String> {
        let name = self.names.name(address)?;
        let Some((package, _)) = name.trim_start_matches('*').split_once('.') else {
            return Some(name);
        };
        let path = match package {
            "context" | "errors" | "fmt" | "net" | "os" | "strconv" | "syscall" | "time" => package,
            "exec" => "os/exec",
            "fs" => "io/fs",
            "json" => "encoding/json",
            "poll" => "internal/poll",
            "signal" => "os/signal",
            "url" => "net/url",
            _ => return None,
        };
        (self.names.package(address)? == path).then_some(name)
    }

    /// A value whose type is known by its name alone.
    fn known(&self, name: &str, value: Chunk, text: Chunk) -> Option<Content> {
        self.copied(value).ok()?;
        let data = |at: u32| Word::Data(value.at + at);
        let int = |size| self.signed(data(0), size).ok().map(Content::Int);
        let uint = |size| self.word(data(0), size).ok().map(Content::Uint);
        match name {
            "bool" => self.content(&ShapeKind::Bool(data(0))).ok(),
            "int" | "int64" | "time.Duration" => int(8),
            "int32" => int(4),
            "int16" => int(2),
            "int8" => int(1),
            "uint" | "uint64" | "uintptr" | "syscall.Errno" => uint(8),
            "uint32" => uint(4),
            "uint16" => uint(2),
            "uint8" => uint(1),
            "float64" => self.float(data(0), 8).ok().map(Content::Float),
            "float32" => self.float(data(0), 4).ok().map(Content::Float),
            // Errors whose first field is their text: Go's `src/errors/errors.go`, `src/fmt/errors.go`.
            "string" | "*errors.errorString" | "*fmt.wrapError" | "*fmt.wrapErrors" => {
                self.text(data(0), data(8), None, Some(text)).ok()
            }
            _ => None,
        }
    }
}

/// A length that can be one.
fn possible(length: u64) -> Result<u64, Missing> {
    if length <= LONGEST {
        Ok(length)
    } else {
        Err("its length is none")
    }
}

/// Without half a character at the end, where it was cut.
fn whole_characters(bytes: &[u8], length: u64) -> &[u8] {
    if bytes.len() as u64 == length {
        return bytes;
    }
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => &bytes[..error.valid_up_to()],
        _ => bytes,
    }
}

#[cfg(test)]
mod tests;
