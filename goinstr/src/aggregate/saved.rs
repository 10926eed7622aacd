//! Reads what coverage was saved as: goinstr's own lines of JSON, or a Go cover profile.
//!
//! In: the text of a file that may be anyone's. Out: a [`Profile`], or what is wrong with which line.

use serde::Deserialize;
use thiserror::Error;

use super::{Block, Profile, ProfileFunction};

/// Why a saved coverage can't be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SavedError {
    /// It begins like neither of the formats.
    #[error(
        "it is neither JSON of `goinstr cover` nor a Go cover profile (which begins with `mode:`)"
    )]
    Unknown,
    /// A line that its format doesn't have.
    #[error("line {line} is {what}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It has no coverage at all.
    #[error("it holds no coverage; was goinstr ended before it could report?")]
    Empty,
}

/// Lines of all blocks together that are believed: what is made of a profile has them one by one, and a few bytes can
/// say that there are as many as they like.
const MOST_LINES: u64 = 4_000_000;

/// The lines of JSON that matter here.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    Coverage {
        function: String,
        package: String,
        file: Option<String>,
        line: Option<u32>,
        covered: bool,
    },
    Lines {
        file: String,
        import: Option<String>,
        covered: Vec<u32>,
        uncovered: Vec<u32>,
    },
    #[serde(other)]
    Other,
}

impl Profile {
    /// Reads a saved coverage. Of one in phases, what ran in any of them.
    ///
    /// # Errors
    /// [`SavedError`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, SavedError> {
        let first = text.lines().next().unwrap_or("").trim_start();
        let profile = if first.starts_with("mode:") {
            Self::parse_go(text)?
        } else if first.starts_with('{') {
            Self::parse_json(text)?
        } else {
            return Err(SavedError::Unknown);
        };
        if profile.files.is_empty() && profile.functions.is_empty() {
            return Err(SavedError::Empty);
        }
        Ok(profile)
    }

    fn parse_json(text: &str) -> Result<Self, SavedError> {
        let mut profile = Self::default();
        for (number, text) in text
            .lines()
            .enumerate()
            .filter(|(_, text)| !text.is_empty())
        {
            let wrong = |_| SavedError::Line {
                line: number + 1,
                what: "not what `goinstr cover --output json` writes",
            };
            match serde_json::from_str(text).map_err(wrong)? {
                Line::Coverage {
                    function,
                    package,
                    file,
                    line,
                    covered,
                } => {
                    let known = profile.functions.entry(function);
                    let known = known.or_insert_with(|| ProfileFunction {
                        package,
                        place: file.zip(line),
                        ran: false,
                    });
                    known.ran |= covered;
                }
                Line::Lines {
                    file,
                    import,
                    covered,
                    uncovered,
                } => {
                    let known = profile.file(import.as_ref().unwrap_or(&file));
                    known.path = Some(file);
                    for line in covered {
                        known.lines.insert(line, true);
                    }
                    for line in uncovered {
                        known.lines.entry(line).or_default();
                    }
                }
                Line::Other => {}
            }
        }
        Ok(profile)
    }

    /// `file:line.column,line.column statements count`: `golang.org/x/tools/cover`, `profile.go`.
    fn parse_go(text: &str) -> Result<Self, SavedError> {
        let mut profile = Self::default();
        let mut lines: u64 = 0;
        for (number, text) in text.lines().enumerate() {
            // Profiles that were put together by `cat` have several such lines.
            if text.is_empty() || text.starts_with("mode:") {
                continue;
            }
            let (file, block, ran) = block(text).ok_or(SavedError::Line {
                line: number + 1,
                what: "no block of a Go cover profile",
            })?;
            let file = profile.file(file);
            match block.line() {
                Some(line) => *file.lines.entry(line).or_default() |= ran,
                None => {
                    let known = file.blocks.entry(block).or_insert_with(|| {
                        lines += block.lines();
                        false
                    });
                    *known |= ran;
                }
            }
            if lines > MOST_LINES {
                return Err(SavedError::Line {
                    line: number + 1,
                    what: "one too many: so many lines no program has",
                });
            }
        }
        Ok(profile)
    }
}

fn block(text: &str) -> Option<(&str, Block, bool)> {
    let (file, rest) = text.rsplit_once(':')?;
    let mut words = rest.split(' ');
    let (start, end) = words.next()?.split_once(',')?;
    let place = |text: &str| {
        let (line, column) = text.split_once('.')?;
        Some((line.parse().ok()?, column.parse().ok()?))
    };
    let block = Block {
        start: place(start)?,
        end: place(end)?,
        statements: words.next()?.parse().ok()?,
    };
    // Counts of `-covermode=atomic` can be large.
    let count: u64 = words.next()?.parse().ok()?;
    (words.next().is_none() && block.start <= block.end).then_some((file, block, count > 0))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_few_bytes_are_not_lines_without_end() {
        let mut text = "mode: set\n".to_owned();
        for file in 0..100 {
            let _ = writeln!(text, "a/{file}.go:1.5,900000.2 1 1");
        }
        let refused = Profile::parse(&text).expect_err("refused").to_string();
        assert!(refused.contains("line 32 is one too many"), "{refused}");
        // The same once more is no more.
        let again = "a/a.go:1.5,900000.2 1 1\n".repeat(100);
        Profile::parse(&format!("mode: set\n{again}")).expect("a profile");
    }

    #[test]
    fn a_go_profile_has_blocks_and_goinstrs_own_has_lines() {
        let text = "mode: atomic\na/b/c.go:3.14,5.2 2 18446744073709551615\na/b/c.go:7.1,8.1 1 0\n\
                    mode: set\nC:/x y.go:1.2,1.9 0 0\n";
        let profile = Profile::parse(text).expect("a profile");
        let file = &profile.files["a/b/c.go"];
        assert_eq!(file.blocks.values().collect::<Vec<_>>(), [&true]);
        assert_eq!(file.lines.iter().collect::<Vec<_>>(), [(&7, &false)]);
        assert!(profile.files.contains_key("C:/x y.go"));
    }

    #[test]
    fn json_of_several_phases_is_what_ran_in_any() {
        let text = r#"{"type":"session","schema":1}
{"type":"coverage","function":"main.a","package":"main","covered":true,"phase":1}
{"type":"lines","file":"/x/a.go","import":"x/a.go","covered":[1],"uncovered":[2]}
{"type":"coverage","function":"main.a","package":"main","covered":false,"phase":2}
{"type":"lines","file":"/x/a.go","import":"x/a.go","covered":[2],"uncovered":[1]}
"#;
        let profile = Profile::parse(text).expect("a profile");
        assert!(profile.functions["main.a"].ran);
        let lines = &profile.files["x/a.go"].lines;
        assert_eq!(lines.values().collect::<Vec<_>>(), [&true, &true]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(Profile::parse("hello"), Err(SavedError::Unknown));
        assert_eq!(Profile::parse("mode: set\n"), Err(SavedError::Empty));
        let wrong = Profile::parse("mode: set\na.go:1.2,3.4 5\n").expect_err("too short");
        assert!(wrong.to_string().contains("line 2"), "{wrong}");
        assert!(Profile::parse("mode: set\na.go:3.2,1.4 5 1\n").is_err());
        assert!(Profile::parse("{\"type\":\"lines\"}").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String, head in "(mode: set\n|\\{|)") {
            let _ = Profile::parse(&format!("{head}{text}"));
        }
    }
}
