//! The words in which users say which functions: names, globs, regular expressions, exceptions.
//!
//! In: the text of a pattern. Out: a [`Pattern`] that is asked about names one at a time.
//!
//! Names contain `*`, `[`, `(` and `.` themselves, so a pattern is compared as it stands before
//! it is taken for a glob (see [`Pattern::is_name`]), and three things of a glob mean themselves:
//! a `*` right after `(` unless `)` follows (`(*conn)` is a pointer receiver, `(*)` any receiver),
//! brackets, and `[...]`, which stands for whatever type arguments there are.

use std::borrow::Cow;

use regex::Regex;
use thiserror::Error;

use crate::binary::names;

/// What one word of the command line chooses.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As it was typed.
    text: String,
    /// Whether it takes away.
    negated: bool,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// No wildcard in it: only that name.
    Name,
    /// Matches a whole name.
    Glob(Regex),
    /// Matches anywhere in a name.
    Regex(Regex),
}

/// Why a pattern is none. The command line is wrong then.
#[derive(Debug, Error)]
pub enum PatternError {
    /// Nothing in it.
    #[error("the pattern {text:?} is empty: give a function, a glob such as 'main.*', or /REGEX/")]
    Empty { text: String },
    /// The regular expression doesn't parse.
    #[error("the regular expression in {text:?} is wrong: {reason}")]
    Regex { text: String, reason: String },
}

impl Pattern {
    /// Reads a pattern as it was typed.
    ///
    /// # Errors
    /// [`PatternError`] for an empty pattern or a regular expression that doesn't parse.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (negated, body) = match text.strip_prefix('!') {
            Some(body) => (true, body),
            None => (false, text),
        };
        let regex = body
            .strip_prefix('/')
            .and_then(|rest| rest.strip_suffix('/'));
        if body.is_empty() || regex == Some("") {
            return Err(PatternError::Empty {
                text: text.to_owned(),
            });
        }
        let wrong = |error: regex::Error| PatternError::Regex {
            text: text.to_owned(),
            reason: one_line(&error),
        };
        let kind = if let Some(regex) = regex {
            Kind::Regex(Regex::new(regex).map_err(wrong)?)
        } else if let Some(regex) = glob(body) {
            Kind::Glob(Regex::new(&regex).map_err(wrong)?)
        } else {
            Kind::Name
        };
        Ok(Self {
            text: body.to_owned(),
            negated,
            kind,
        })
    }

    /// The pattern without its `!`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it takes away from what was chosen before.
    #[must_use]
    pub fn is_negated(&self) -> bool {
        self.negated
    }

    /// Whether it is a regular expression, which no name is near to.
    #[must_use]
    pub fn is_regex(&self) -> bool {
        matches!(self.kind, Kind::Regex(_))
    }

    /// Whether the pattern, taken literally, is this name in one of its forms.
    /// Where a name is so, the pattern means that one only.
    #[must_use]
    pub fn is_name(&self, name: &str) -> bool {
        !self.is_regex() && self.forms(name).any(|form| form == self.text)
    }

    /// Whether the pattern as a glob or regular expression matches this name in one of its forms.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match &self.kind {
            Kind::Name => self.is_name(name),
            Kind::Glob(regex) | Kind::Regex(regex) => {
                self.forms(name).any(|form| regex.is_match(&form))
            }
        }
    }

    /// The forms in which users have seen a name: as the linker writes it, with its type arguments
    /// as `[...]`, as `pprof` and stack traces print it (the same but for generic methods of
    /// generic types), and with the dots of its import path not escaped.
    fn forms<'n>(&self, name: &'n str) -> impl Iterator<Item = Cow<'n, str>> {
        let generic = name.contains('[') && (self.is_regex() || self.text.contains("[...]"));
        let escaped = name.contains('%') && !self.text.contains('%');
        let plain = Cow::Borrowed(name);
        let short = generic.then(|| Cow::Owned(without_type_arguments(name)));
        let printed = generic.then(|| names::printed(name));
        let dotted = escaped.then(|| {
            let dotted = names::import_path(name);
            if generic {
                Cow::Owned(without_type_arguments(&dotted))
            } else {
                dotted
            }
        });
        std::iter::once(plain)
            .chain(short)
            .chain(printed)
            .chain(dotted)
    }
}

/// The regular expression of a glob; `None` if there is no wildcard in it.
fn glob(text: &str) -> Option<String> {
    let mut regex = String::from(r"\A(?s:");
    let mut wild = false;
    let mut previous = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let pointer = c == '*' && previous == Some('(') && chars.peek() != Some(&')');
        match c {
            '*' if !pointer => {
                regex.push_str(".*");
                wild = true;
            }
            '?' => {
                regex.push('.');
                wild = true;
            }
            _ => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
        previous = Some(c);
    }
    regex.push_str(r")\z");
    wild.then_some(regex)
}

/// The name with each outermost pair of brackets emptied to `[...]`.
#[must_use]
pub fn without_type_arguments(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let mut depth = 0usize;
    for c in name.chars() {
        match c {
            '[' => {
                if depth == 0 {
                    short.push_str("[...");
                }
                depth += 1;
            }
            ']' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    short.push(']');
                }
            }
            _ if depth == 0 => short.push(c),
            _ => {}
        }
    }
    // Brackets that never close are no type arguments.
    if depth > 0 { name.to_owned() } else { short }
}

/// The last line of a regex error says what is wrong; the others draw where.
fn one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        let pattern = Pattern::parse(pattern).expect("a pattern");
        pattern.is_name(name) || pattern.matches(name)
    }

    #[test]
    fn names_are_matched_as_they_stand() {
        for name in [
            "main.work",
            "net/http.(*conn).serve",
            "main.run.func1",
            "main.(*T[go.shape.string,go.shape.int]).Put",
            "main.E.Val-fm",
            "gopkg.in/yaml%2ev3.Unmarshal",
            "type:.eq.struct { F uintptr; X0 *main.T }",
        ] {
            let pattern = Pattern::parse(name).expect("a pattern");
            assert!(pattern.is_name(name), "{name}");
            assert!(!pattern.is_name(&format!("{name}x")), "{name}");
            assert!(!pattern.is_name(&format!("x{name}")), "{name}");
        }
        assert!(!matches("main.work", "mainxwork"));
    }

    #[test]
    fn the_star_of_a_pointer_receiver_is_itself() {
        assert!(matches("main.(*T).*", "main.(*T).Get"));
        assert!(!matches("main.(*T).*", "main.(*FooT).Get"));
        assert!(!matches("main.(*T).*", "main.T.Get"));
        assert!(matches("main.(*).Get", "main.(*T).Get"));
        assert!(matches("main.(**).Get", "main.(*T).Get"));
        assert!(!matches(
            "net/http.(*conn).serve",
            "net/http.(*fooconn).serve"
        ));
    }

    #[test]
    fn globs_cross_dots_and_slashes_and_cover_the_whole_name() {
        assert!(matches("*ServeHTTP", "net/http.(*ServeMux).ServeHTTP"));
        assert!(matches(
            "github.com/acme/*",
            "github.com/acme/app/store.(*DB).Get"
        ));
        assert!(matches("main.*", "main.run.func1"));
        assert!(!matches("main.*", "domain.run"));
        assert!(!matches("*ServeHTTP", "main.ServeHTTP.func1"));
        assert!(matches("main.?et", "main.Get"));
        assert!(!matches("main.?et", "main.Griet"));
    }

    #[test]
    fn three_dots_stand_for_any_type_arguments() {
        let full = "main.(*Cache[go.shape.string,main.Pair[int]]).Get";
        assert!(matches("main.(*Cache[...]).Get", full));
        assert!(matches("main.(*Cache[...]).*", full));
        assert!(matches("main.(*Cache[...]).Get", "main.(*Cache[...]).Get"));
        assert!(!matches("main.(*Cache[...]).Get", "main.(*Cache[int]).Put"));
        assert!(!matches("main.F[...]", "main.F[int].func1"));
        assert!(matches("main.F[...].func1", "main.F[int].func1"));
        assert!(matches("main.(*Cache*).Get", full));
        assert!(matches(r"/^main\.\(\*Cache\[\.\.\.\]\)/", full));
    }

    #[test]
    fn only_slashes_on_both_ends_make_a_regular_expression() {
        assert!(matches(r"/^main\.(Get|Put)/", "main.Getter"));
        assert!(!matches(r"/^main\.(Get|Put)$/", "main.Getter"));
        assert!(matches("github.com/a/b.C", "github.com/a/b.C"));
        assert!(!matches("github.com/a/b.C", "github.com/a/bxC"));
        assert!(matches("!/serve/", "net/http.(*conn).serve"));
        assert!(Pattern::parse("!/serve/").expect("a pattern").is_negated());
    }

    #[test]
    fn an_escaped_dot_may_be_typed_as_a_dot() {
        let name = "gopkg.in/yaml%2ev3.(*Node).Decode";
        assert!(matches("gopkg.in/yaml.v3.(*Node).Decode", name));
        assert!(matches("gopkg.in/yaml.v3.*", name));
        assert!(matches("gopkg.in/yaml%2ev3.*", name));
    }

    #[test]
    fn what_is_no_pattern_is_refused_in_one_line() {
        for text in ["", "!", "//", "!//"] {
            assert!(
                matches!(Pattern::parse(text), Err(PatternError::Empty { .. })),
                "{text}"
            );
        }
        let error = Pattern::parse("/a(b/").expect_err("unclosed").to_string();
        assert_eq!(
            error,
            r#"the regular expression in "/a(b/" is wrong: unclosed group"#
        );
    }

    proptest! {
        /// Whatever a name contains, typing it exactly chooses it.
        #[test]
        fn every_name_typed_exactly_is_itself(name in "[a-z%/.()*\\[\\]{} ,]{1,24}") {
            prop_assume!(!(name.starts_with('/') && name.ends_with('/')));
            let pattern = Pattern::parse(&name).expect("a pattern");
            prop_assert!(pattern.is_name(&name), "{}", name);
        }

        /// A glob agrees with the obvious recursive definition.
        #[test]
        fn globs_agree_with_their_definition(glob in "[ab.*?]{1,8}", name in "[ab.]{0,10}") {
            fn model(glob: &[u8], name: &[u8]) -> bool {
                match (glob.split_first(), name.split_first()) {
                    (None, None) => true,
                    (Some((b'*', rest)), _) => {
                        model(rest, name) || name.split_first().is_some_and(|(_, tail)| model(glob, tail))
                    }
                    (Some((b'?', rest)), Some((_, tail))) => model(rest, tail),
                    (Some((a, rest)), Some((b, tail))) => a == b && model(rest, tail),
                    _ => false,
                }
            }
            prop_assert_eq!(matches(&glob, &name), model(glob.as_bytes(), name.as_bytes()));
        }
    }
}
