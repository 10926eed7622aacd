//! Text of the target's made harmless: names come from its file and its memory, which may be anyone's.
//!
//! What could steer a terminal or reorder its line is spelt out: for people as [`visible`] does, in JSON
//! ([`super::json_text`]) as JSON does. Which characters these are is said here, once.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character could steer a terminal (control characters, those of ISO 6429's second set among them),
/// or reorder or hide what stands beside it (Unicode's bidirectional controls, marks of no width, separators of lines).
pub(super) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Whether no character [`steers`]: said of nearly every text, at the cost of a look at its bytes.
pub(super) fn is_harmless(text: &str) -> bool {
    is_plain(text.as_bytes()) || !text.chars().any(steers)
}

/// Whether all bytes are printable characters of ASCII. Eight at once, and no branch between: this is asked of every
/// string of every line.
fn is_plain(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    // The highest bit of a byte that is beyond `~`, or before the blank.
    let odd_eight = |w: u64| w | w.wrapping_add(ONES) | (w.wrapping_sub(0x20 * ONES) & !w);
    let odd_one = |b: u8| b | b.wrapping_add(1) | (b.wrapping_sub(0x20) & !b);
    let (eights, rest) = bytes.as_chunks();
    let eights = eights.iter().map(|&eight| u64::from_ne_bytes(eight));
    let eights = eights.fold(0, |odd, eight| odd | odd_eight(eight));
    let rest = rest.iter().fold(0, |odd, &byte| odd | odd_one(byte));
    eights & (ONES << 7) == 0 && rest & 0x80 == 0
}

/// The text with whatever could steer a terminal or reorder its line spelt out.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if is_harmless(text) {
        return Cow::Borrowed(text);
    }
    let mut spelt = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if steers(c) {
            // Writing to a string can't fail.
            let _ = write!(spelt, "{}", c.escape_unicode());
        } else {
            spelt.push(c);
        }
    }
    Cow::Owned(spelt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_is_not_plain_is_seen_wherever_it_stands() {
        for length in 1..20 {
            for (at, byte) in (0..length).flat_map(|at| (0..=255).map(move |byte| (at, byte))) {
                for others in [b' ', b'x', b'~'] {
                    let mut bytes = vec![others; length];
                    bytes[at] = byte;
                    let plain = matches!(byte, b' '..=b'~');
                    assert_eq!(is_plain(&bytes), plain, "{byte} at {at} of {length}");
                }
            }
        }
        assert!(is_plain(b""));
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(visible("main.work"), "main.work");
        assert_eq!(visible("a\x1b[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(
            visible("a\u{9b}31mb\u{202e}c\nd\u{7f}"),
            "a\\u{9b}31mb\\u{202e}c\\u{a}d\\u{7f}"
        );
        assert_eq!(visible("naïve·日本"), "naïve·日本");
    }
}
