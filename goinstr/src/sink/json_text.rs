//! JSON that steers no terminal: who looks at it with `cat`, `tail` or `curl` has one.
//!
//! RFC 8259, section 7, wants escapes for what is below U+0020 alone, but lets any character be written as one:
//! whoever parses it gets the same text. So what [`visible`](super::visible) spells out for people is `\u009b` here.
//! All that goinstr writes as JSON goes through here.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use super::visible::{is_harmless, steers};

/// Writes `value` in one line, without its end.
///
/// # Errors
/// Those of `out`.
pub(super) fn to_writer(out: impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut serializer = Serializer::with_formatter(out, Harmless);
    value.serialize(&mut serializer).map_err(io::Error::from)
}

/// `value` in one line.
///
/// # Errors
/// None of what goinstr has to write.
pub(super) fn to_string(value: &impl Serialize) -> io::Result<String> {
    let mut bytes = Vec::new();
    to_writer(&mut bytes, value)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// The shortest form, but for what [`steers`].
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if is_harmless(fragment) {
            return out.write_all(fragment.as_bytes());
        }
        for part in fragment.split_inclusive(steers) {
            match part.char_indices().next_back() {
                Some((at, last)) if steers(last) => {
                    out.write_all(part.get(..at).unwrap_or_default().as_bytes())?;
                    for unit in last.encode_utf16(&mut [0; 2]) {
                        write!(out, "\\u{unit:04x}")?;
                    }
                }
                _ => out.write_all(part.as_bytes())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_steers_is_escaped_and_the_same_when_it_is_read() {
        for (text, json) in [
            ("main.work", r#""main.work""#),
            ("naïve·日本\u{1f980}", "\"naïve·日本\u{1f980}\""),
            ("a\x1b[2J\"\\\n", r#""a\u001b[2J\"\\\n""#),
            ("\u{7f}a\u{9b}31m\u{85}", r#""\u007fa\u009b31m\u0085""#),
            ("x\u{202e}\u{2028}y\u{feff}", r#""x\u202e\u2028y\ufeff""#),
        ] {
            assert_eq!(to_string(&text).expect("JSON"), json);
            let again: String = serde_json::from_str(json).expect("JSON");
            assert_eq!(again, text);
        }
    }

    #[test]
    fn keys_are_escaped_too() {
        let map = BTreeMap::from([("a\u{9b}", 1)]);
        assert_eq!(to_string(&map).expect("JSON"), r#"{"a\u009b":1}"#);
    }

    #[test]
    fn a_full_disk_is_told_as_one() {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("opens");
        let error = to_writer(full, &"a\u{9b}").expect_err("full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
