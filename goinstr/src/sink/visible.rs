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
    // Without a branch a byte: this is asked of every string of every line.
    let plain = |all: bool, byte: u8| all & matches!(byte, b' '..=b'~');
    text.bytes().fold(true, plain) || !text.chars().any(steers)
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
