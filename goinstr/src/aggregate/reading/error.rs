//! An `error` → its text, where that is in its fields.
//!
//! What `Error()` would make of them is known of the standard library's kinds (`io/fs`, `os`, `net`, `net/url`,
//! `os/exec`, `strconv`, `encoding/json`, `syscall`: the same from Go 1.17 to 1.27); of any other type the strings
//! among its first fields are shown. Nothing is said to be an error's text that is only a part of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Bytes, Missing, NOT_READ, errno};
use crate::aggregate::value::{Content, Value};
use crate::plan::{ErrorShape, InnerShape, Word};

/// Text as far as it was read, and how long it is.
#[derive(Default)]
struct Said {
    bytes: Vec<u8>,
    length: u64,
}

impl Said {
    fn of(text: impl AsRef<[u8]>) -> Self {
        let bytes = text.as_ref().to_vec();
        let length = bytes.len() as u64;
        Self { bytes, length }
    }

    /// The other behind it; behind what was cut nothing can stand.
    fn then(mut self, other: Self) -> Self {
        if self.bytes.len() as u64 == self.length {
            self.bytes.extend(other.bytes);
        }
        self.length = self.length.saturating_add(other.length);
        self
    }

    /// As `strconv.Quote` writes it; `None` where it would write more than quotes around it.
    fn quoted(self) -> Option<Self> {
        let plain = |&byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        let quote = || Self::of("\"");
        let plain = self.bytes.iter().all(plain);
        plain.then(|| quote().then(self).then(quote()))
    }

    fn content(self) -> Content {
        Content::Text {
            bytes: self.bytes,
            length: self.length,
            capacity: None,
        }
    }
}

/// What a type says whose values hold nothing.
fn constant(name: &str) -> Option<&'static str> {
    Some(match name {
        "context.deadlineExceededError" => "context deadline exceeded",
        "*poll.DeadlineExceededError" | "*net.timeoutError" => "i/o timeout",
        "poll.errNetClosing" => "use of closed network connection",
        "poll.errFileClosing" => "use of closed file",
        _ => return None,
    })
}

/// Types whose first field is what they say.
fn says_first(name: &str) -> bool {
    matches!(
        name,
        "*errors.errorString" | "*fmt.wrapError" | "*fmt.wrapErrors" | "*json.SyntaxError"
    )
}

impl Bytes<'_> {
    pub(super) fn error(&self, shape: &ErrorShape) -> Result<Content, Missing> {
        if self.word(shape.first, 8)? == 0 {
            return Ok(Content::Nil);
        }
        let described = self.described(shape.table)?;
        let name = self.names.name(described);
        let standard = self.standard(described);
        let said = standard.as_deref().and_then(|name| self.said(shape, name));
        let content = match said {
            Some(said) => Some(said.content()),
            None => self.parts(shape, standard.as_deref().unwrap_or_default(), described),
        };
        let dynamic = name.unwrap_or_else(|| format!("type at {described:#x}"));
        let value = content.map(|content| {
            Box::new(Value {
                type_name: dynamic.clone(),
                content,
            })
        });
        Ok(Content::Interface { dynamic, value })
    }

    /// What `Error()` would return.
    fn said(&self, shape: &ErrorShape, name: &str) -> Option<Said> {
        let text = |at| self.said_at(shape, at);
        let inner = |at| self.inner(shape, at);
        let colon = || Said::of(": ");
        let space = || Said::of(" ");
        match name {
            _ if says_first(name) => text(0),
            "syscall.Errno" => {
                self.copied(shape.value).ok()?;
                let number = self.word(Word::Data(shape.value.at), 8).ok()?;
                Some(Said::of(errno::text(number)))
            }
            "*fs.PathError" => {
                let path = text(0)?.then(space()).then(text(16)?);
                Some(path.then(colon()).then(inner(32)?))
            }
            "*os.SyscallError" => Some(text(0)?.then(colon()).then(inner(16)?)),
            "*exec.Error" => {
                let name = Said::of("exec: ").then(text(0)?.quoted()?);
                Some(name.then(colon()).then(inner(16)?))
            }
            "*url.Error" => {
                let url = text(0)?.then(space()).then(text(16)?.quoted()?);
                Some(url.then(colon()).then(inner(32)?))
            }
            "*strconv.NumError" => {
                let function = Said::of("strconv.").then(text(0)?);
                let parsing = function.then(Said::of(": parsing "));
                let number = parsing.then(text(16)?.quoted()?);
                Some(number.then(colon()).then(inner(32)?))
            }
            "*net.OpError" => {
                let mut said = text(0)?;
                let net = text(16)?;
                if net.length > 0 {
                    said = said.then(space()).then(net);
                }
                let source = self.address(shape, 32)?;
                let address = self.address(shape, 48)?;
                let between = if source.is_some() { "->" } else { " " };
                if let Some(source) = source {
                    said = said.then(space()).then(source);
                }
                if let Some(address) = address {
                    said = said.then(Said::of(between)).then(address);
                }
                Some(said.then(colon()).then(inner(64)?))
            }
            _ => constant(name).map(Said::of),
        }
    }

    /// The string that begins at an offset of the error's fields.
    fn string(&self, shape: &ErrorShape, at: u32) -> Result<Content, Missing> {
        self.copied(shape.value)?;
        if at > 0 {
            self.copied(shape.more.ok_or(NOT_READ)?)?;
        }
        let (_, chunk) = shape
            .texts
            .iter()
            .find(|(offset, _)| *offset == at)
            .ok_or(NOT_READ)?;
        let data = |at| Word::Data(shape.value.at + at);
        self.text(data(at), data(at + 8), None, Some(*chunk))
    }

    fn said_at(&self, shape: &ErrorShape, at: u32) -> Option<Said> {
        said(self.string(shape, at).ok()?)
    }

    /// The interface that stands at an offset of the error's fields, if it is read at all and isn't nil.
    fn slot<'s>(&self, shape: &'s ErrorShape, at: u32) -> Option<Option<&'s InnerShape>> {
        self.copied(shape.more?).ok()?;
        let slot = shape.inner.iter().find(|inner| inner.offset == at)?;
        let first = self.word(Word::Data(shape.value.at + at), 8).ok()?;
        Some((first != 0).then_some(slot))
    }

    /// What an error in another one says.
    fn inner(&self, shape: &ErrorShape, at: u32) -> Option<Said> {
        let slot = self.slot(shape, at)??;
        let name = self.standard(self.described(slot.table).ok()?)?;
        let data = |at| Word::Data(slot.value.at + at);
        let text = || {
            self.copied(slot.value).ok()?;
            said(self.text(data(0), data(8), None, slot.text).ok()?)
        };
        match name.as_str() {
            name if says_first(name) => text(),
            "syscall.Errno" => {
                self.copied(slot.value).ok()?;
                Some(Said::of(errno::text(self.word(data(0), 8).ok()?)))
            }
            "*os.SyscallError" => {
                let (table, value) = slot.last?;
                let name = self.standard(self.described(table).ok()?)?;
                self.copied(value).ok()?;
                let number = self.word(Word::Data(value.at), 8).ok()?;
                let errno = (name == "syscall.Errno").then(|| Said::of(errno::text(number)))?;
                Some(text()?.then(Said::of(": ")).then(errno))
            }
            name => constant(name).map(Said::of),
        }
    }

    /// A `net.Addr` as it prints itself; `Some(None)`: it is nil.
    fn address(&self, shape: &ErrorShape, at: u32) -> Option<Option<Said>> {
        let Some(slot) = self.slot(shape, at)? else {
            return Some(None);
        };
        let name = self.standard(self.described(slot.table).ok()?)?;
        self.copied(slot.value).ok()?;
        let data = |at| Word::Data(slot.value.at + at);
        let bytes = self.text(data(0), data(8), None, slot.text).ok()?;
        match name.as_str() {
            "*net.UnixAddr" => said(bytes).map(Some),
            "*net.TCPAddr" | "*net.UDPAddr" => {
                let port = self.word(data(24), 8).ok()?;
                let Content::Text { bytes, length, .. } = bytes else {
                    return None;
                };
                let host = match (bytes.as_slice(), length) {
                    ([], 0) => String::new(),
                    (four, 4) => Ipv4Addr::from(<[u8; 4]>::try_from(four).ok()?).to_string(),
                    (all, 16) => {
                        let all = Ipv6Addr::from(<[u8; 16]>::try_from(all).ok()?);
                        match all.to_ipv4_mapped() {
                            Some(four) => IpAddr::V4(four).to_string(),
                            // Its zone is not among what was read.
                            None if all.is_unicast_link_local() => return None,
                            None => format!("[{all}]"),
                        }
                    }
                    _ => return None,
                };
                Some(Some(Said::of(format!("{host}:{port}"))))
            }
            _ => None,
        }
    }

    /// What can be had of an error whose text can't: its strings, by the names of their fields.
    fn parts(&self, shape: &ErrorShape, name: &str, described: u64) -> Option<Content> {
        let fields = match name {
            "*net.OpError" | "*url.Error" | "*fs.PathError" | "*os.SyscallError"
            | "*strconv.NumError" | "*exec.Error" => {
                let mut fields = self.strings(shape, described);
                // What is in it has a type at least.
                let inner = match name {
                    "*net.OpError" => 64,
                    "*os.SyscallError" | "*exec.Error" => 16,
                    _ => 32,
                };
                if let Some(Some(slot)) = self.slot(shape, inner)
                    && let Ok(described) = self.described(slot.table)
                    && let Some(dynamic) = self.names.name(described)
                {
                    let content = Content::Interface {
                        value: self.inner(shape, inner).map(|said| {
                            Box::new(Value {
                                type_name: dynamic.clone(),
                                content: said.content(),
                            })
                        }),
                        dynamic,
                    };
                    fields.push(("Err".to_owned(), named("error", content)));
                }
                fields
            }
            _ => self.strings(shape, described),
        };
        match <[_; 1]>::try_from(fields) {
            // A string itself.
            Ok([(name, value)]) if name.is_empty() => Some(value.content),
            Ok(field) => Some(Content::Struct(field.into())),
            Err(fields) => (!fields.is_empty()).then_some(Content::Struct(fields)),
        }
    }

    fn strings(&self, shape: &ErrorShape, described: u64) -> Vec<(String, Value)> {
        let fields = self.names.strings(described).into_iter();
        let read = fields.filter_map(|(name, at)| {
            let content = self.string(shape, at).ok()?;
            Some((name, named("string", content)))
        });
        read.collect()
    }
}

fn named(type_name: &str, content: Content) -> Value {
    Value {
        type_name: type_name.to_owned(),
        content,
    }
}

fn said(content: Content) -> Option<Said> {
    match content {
        Content::Text { bytes, length, .. } => Some(Said { bytes, length }),
        _ => None,
    }
}
