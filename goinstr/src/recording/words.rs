//! Words that the figures hold as `&'static str`: those that are known, and a few that are not.

use std::collections::BTreeSet;

/// Unknown words are kept for the life of the process: so few and short that no file can fill the
/// memory with them.
const MOST: usize = 64;
const LONGEST: usize = 40;

/// Turns words of a file into words for ever.
#[derive(Debug, Default)]
pub(super) struct Words {
    kept: BTreeSet<&'static str>,
}

impl Words {
    /// The same word, or `other` where there are too many.
    pub fn keep(&mut self, word: &str) -> &'static str {
        if let Some(&kept) = self.kept.get(word) {
            return kept;
        }
        let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if self.kept.len() >= MOST || word.len() > LONGEST || !plain {
            return "other";
        }
        let kept: &'static str = Box::leak(word.to_owned().into_boxed_str());
        self.kept.insert(kept);
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_words_are_kept() {
        let mut words = Words::default();
        assert_eq!(words.keep("inlined"), "inlined");
        assert_eq!(words.keep("\x1b[2J"), "other");
        for number in 0..1000 {
            words.keep(&format!("w{number}"));
        }
        assert_eq!(words.kept.len(), MOST);
        assert_eq!(words.keep("inlined"), "inlined");
    }
}
