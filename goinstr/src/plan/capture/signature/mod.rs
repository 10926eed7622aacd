//! Signatures that were typed, for binaries whose debug information is gone:
//! `main.(*Cache).Get(c *Cache, key string, n int) (value []byte, ok bool)`.
//!
//! In: text, in Go's own syntax behind the name that `goinstr list` prints; a method's receiver is its
//! first parameter. Out: a [`GivenSignature`], whose types have the layouts that Go gives them. Only
//! what a value consists of has to be known: a type behind a pointer may be any name.

mod known;
mod parser;
#[cfg(test)]
mod tests;
mod token;
mod written;

use thiserror::Error;

pub use self::written::WrittenTypes;
use crate::binary::{Signature, names};
use crate::plan::Pattern;

/// Types and lists inside of each other.
const NESTED: u32 = 32;

/// What a function takes and gives, as it was typed.
#[derive(Clone, Debug)]
pub struct GivenSignature {
    function: Pattern,
    pub(super) signature: Signature,
    pub(super) types: WrittenTypes,
}

/// A text that is no signature, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("--signature {text:?}: at character {at}, {problem}")]
pub struct BadSignature {
    text: String,
    /// From 1 on.
    at: usize,
    problem: Problem,
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Problem {
    #[error(
        "a function's name and its parameters are expected: main.(*Cache).Get(c *Cache, key string) (n int, err error)"
    )]
    NoFunction,
    #[error("{0:?} begins nothing that a signature has")]
    Strange(char),
    #[error("the {0} is never closed")]
    Unclosed(char),
    #[error("{expected} is expected, not {found}")]
    Expected {
        expected: &'static str,
        found: String,
    },
    #[error(
        "{0} is a type that is not known: write what it is made of instead, such as int32, struct{{ X, Y int32 }} \
         or interface{{ M() }} (behind a *, and in a map, chan or func, any name will do)"
    )]
    UnknownType(String),
    #[error("names and types are mixed: give all of a list's entries a name, or none")]
    Mixed,
    #[error("this is too large")]
    Large,
    #[error("types are nested too deeply")]
    Deep,
}

impl GivenSignature {
    /// Reads a signature.
    ///
    /// # Errors
    /// [`BadSignature`]: what was expected, and where.
    pub fn parse(text: &str) -> Result<Self, BadSignature> {
        let bad = |(at, problem): (usize, Problem)| BadSignature {
            text: text.to_owned(),
            at: text.get(..at).map_or(0, |before| before.chars().count()) + 1,
            problem,
        };
        let begin = text.len() - text.trim_start().len();
        let open = parameters(text, begin).ok_or_else(|| bad((begin, Problem::NoFunction)))?;
        let name = text.get(begin..open).unwrap_or_default().trim_end();
        let function = Pattern::parse(name)
            .ok()
            .filter(|_| !name.starts_with(['!', '/']) && !name.contains(char::is_whitespace));
        // Spaces stand in type arguments alone.
        let function = function
            .or_else(|| Pattern::parse(name).ok().filter(|_| name.contains('[')))
            .ok_or_else(|| bad((begin, Problem::NoFunction)))?;
        let (signature, types) =
            parser::parse(text, open, &names::import_path(names::package(name))).map_err(bad)?;
        Ok(Self {
            function,
            signature,
            types,
        })
    }

    /// The function's name, as it was typed.
    #[must_use]
    pub fn function(&self) -> &str {
        self.function.text()
    }

    /// Whether it is that function's.
    #[must_use]
    pub fn is_of(&self, name: &str) -> bool {
        self.function.is_name(name)
    }
}

/// Where the parameters begin: the first bracket that is neither a receiver's nor among type arguments.
fn parameters(text: &str, begin: usize) -> Option<usize> {
    let mut brackets = 0u32;
    let mut receiver = false;
    let mut previous = None;
    for (at, c) in text.char_indices().skip_while(|&(at, _)| at < begin) {
        match c {
            '[' => brackets += 1,
            ']' => brackets = brackets.checked_sub(1)?,
            _ if brackets > 0 => {}
            '(' if previous == Some('.') => receiver = true,
            ')' if receiver => receiver = false,
            '(' => return (at > begin && !receiver).then_some(at),
            _ => {}
        }
        previous = Some(c);
    }
    None
}
