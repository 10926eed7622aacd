//! A condition and a function's shapes → what the kernel program asks of the bytes that it has copied.
//!
//! In: a [`Condition`], and where the values stand that it names. Out: a [`Sieve`]: tests of single words, which drop
//! a call only where userspace would surely say that the condition doesn't hold (`aggregate/condition.rs`, of the
//! values that `aggregate/reading.rs` makes). So nothing here asks whether a value could be read: where it
//! couldn't, a comparison with it holds for nobody, and a word that is 0 instead at most lets a call pass.
//! What single words don't tell is left open, and passes too.

mod field;
mod formula;

use goinstr_common::sieve::Test;

use self::field::Field;
use self::formula::Formula;
use super::shape::{Chunk, Shape, ShapeKind, Word};
use crate::plan::condition::{Comparison, Condition, Constant, Operator};

/// Words of a string that are compared: 128 bytes. A constant that goes on behind them is compared up to there.
const TEXT_WORDS: usize = 16;

/// What the kernel program finds out of a condition for the calls of one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sieve {
    /// No call can match: the function has no such value, or one of another type.
    pub never: bool,
    /// What is asked at the entry; nothing: every call passes.
    pub entry: Vec<Test>,
    /// The same at the return, where results decide too.
    pub exit: Vec<Test>,
}

impl Sieve {
    /// For a function whose parameters and results have these shapes.
    #[must_use]
    pub fn of(
        condition: &Condition,
        parameters: &[(String, Shape)],
        results: &[(String, Shape)],
    ) -> Self {
        let all = |results_known| {
            let values = Known {
                parameters,
                results,
                results_known,
            };
            let alternatives = condition.alternatives();
            Formula::any(
                alternatives.map(|all| Formula::all(all.iter().map(|c| values.formula(c)))),
            )
        };
        let (entry, exit) = (all(false), all(true));
        Self {
            never: entry == Formula::Never,
            exit: match exit == entry {
                true => Vec::new(),
                false => exit.tests(),
            },
            entry: entry.tests(),
        }
    }
}

/// The values of a function's calls.
struct Known<'s> {
    parameters: &'s [(String, Shape)],
    results: &'s [(String, Shape)],
    /// Whether the results are there yet.
    results_known: bool,
}

impl Known<'_> {
    fn formula(&self, comparison: &Comparison) -> Formula {
        let Some((first, fields)) = comparison.path.split_first() else {
            return Formula::Never;
        };
        let of = |list: &'_ [(String, Shape)]| list.iter().position(|(name, _)| name == first);
        // As `CallValues` are looked at: a parameter of the name hides a result.
        let (shape, is_result) = match (of(self.parameters), of(self.results)) {
            (Some(at), _) => (self.parameters.get(at), false),
            (None, Some(at)) => (self.results.get(at), true),
            (None, None) => (None, false),
        };
        let Some((_, shape)) = shape else {
            return Formula::Never;
        };
        let formula = of_value(&shape.kind, fields, comparison);
        match formula {
            Formula::Never => Formula::Never,
            _ if is_result && !self.results_known => Formula::Open,
            formula => formula,
        }
    }
}

/// A value without the chunks it was copied by.
fn bare(mut kind: &ShapeKind) -> &ShapeKind {
    while let ShapeKind::Copied(_, inner) = kind {
        kind = inner;
    }
    kind
}

fn of_value(kind: &ShapeKind, fields: &[String], comparison: &Comparison) -> Formula {
    let mut kind = bare(kind);
    let mut on_the_way = Vec::new();
    for field in fields {
        while let ShapeKind::Pointer {
            address,
            to: Some(to),
        } = kind
        {
            on_the_way.push(is_nil(*address, false));
            kind = bare(&to.kind);
        }
        let ShapeKind::Struct(list) = kind else {
            return Formula::Never;
        };
        let Some((_, found)) = list.iter().find(|(name, _)| name == field) else {
            return Formula::Never;
        };
        kind = bare(&found.kind);
    }
    on_the_way.push(match comparison.length {
        true => length(kind, comparison),
        false => compared(kind, comparison),
    });
    Formula::all(on_the_way)
}

fn compared(kind: &ShapeKind, comparison: &Comparison) -> Formula {
    let with = &comparison.with;
    if *with == Constant::Nil {
        return compared_with_nil(kind, comparison);
    }
    match bare(kind) {
        ShapeKind::Bool(word) => match with {
            // Any other byte is none, and neither equal nor unequal to one.
            Constant::Bool(with) => match comparison.operator {
                Operator::Equal => Field::of(*word, 1, false, |byte| byte.equal(u64::from(*with))),
                Operator::Unequal => {
                    Field::of(*word, 1, false, |byte| byte.equal(u64::from(!*with)))
                }
                _ => Formula::Never,
            },
            _ => Formula::Never,
        },
        ShapeKind::Int(word, size) => {
            Field::of(*word, *size, true, |field| field.number(comparison))
        }
        ShapeKind::Uint(word, size) => {
            Field::of(*word, *size, false, |field| field.number(comparison))
        }
        ShapeKind::Float(word, size) => match with {
            Constant::Int(_) | Constant::Float(_) => {
                Field::of(*word, *size, false, |_| Formula::Open)
            }
            _ => Formula::Never,
        },
        ShapeKind::String { length, bytes, .. } => match with {
            Constant::Text(with) => text(*length, *bytes, with.as_bytes(), comparison.operator),
            _ => Formula::Never,
        },
        ShapeKind::Bytes {
            address,
            length,
            bytes,
            ..
        } => match with {
            Constant::Text(with) => Formula::all([
                is_nil(*address, false),
                text(*length, *bytes, with.as_bytes(), comparison.operator),
            ]),
            _ => Formula::Never,
        },
        // Through it, however often.
        ShapeKind::Pointer {
            address,
            to: Some(to),
        } => Formula::all([is_nil(*address, false), compared(&to.kind, comparison)]),
        // What it holds is known by its type's name alone.
        ShapeKind::Interface { first, .. } => is_nil(*first, false),
        ShapeKind::Error(shape) => is_nil(shape.first, false),
        ShapeKind::Complex(..)
        | ShapeKind::Slice { .. }
        | ShapeKind::Pointer { to: None, .. }
        | ShapeKind::Copied(..)
        | ShapeKind::Array(..)
        | ShapeKind::Struct(_)
        | ShapeKind::Map(..)
        | ShapeKind::Address(_)
        | ShapeKind::Context { .. }
        | ShapeKind::Cut
        | ShapeKind::Redacted
        | ShapeKind::Unknown(_) => Formula::Never,
    }
}

/// The word that is 0 where a value of this kind is nil.
fn nilable(kind: &ShapeKind) -> Option<Word> {
    match kind {
        ShapeKind::Slice { address, .. }
        | ShapeKind::Bytes { address, .. }
        | ShapeKind::Pointer { address, .. }
        | ShapeKind::Map(address, _)
        | ShapeKind::Address(address) => Some(*address),
        ShapeKind::Interface { first, .. } | ShapeKind::Context { first, .. } => Some(*first),
        ShapeKind::Error(shape) => Some(shape.first),
        _ => None,
    }
}

fn compared_with_nil(kind: &ShapeKind, comparison: &Comparison) -> Formula {
    let expected = match comparison.operator {
        Operator::Equal => true,
        Operator::Unequal => false,
        _ => return Formula::Never,
    };
    let kind = bare(kind);
    match (kind, nilable(kind)) {
        (ShapeKind::Cut | ShapeKind::Redacted | ShapeKind::Unknown(_), _) => Formula::Never,
        (_, Some(word)) => is_nil(word, expected),
        // What can't be nil isn't.
        (_, None) => Formula::decided(!expected),
    }
}

fn length(kind: &ShapeKind, comparison: &Comparison) -> Formula {
    let kind = bare(kind);
    let number = |word: Word| Field::of(word, 8, false, |field| field.number(comparison));
    let otherwise = match kind {
        ShapeKind::String { length, .. } => return number(*length),
        ShapeKind::Array(_, length) => {
            return Formula::decided(comparison.number(i128::from(*length)));
        }
        ShapeKind::Bytes { length, .. } | ShapeKind::Slice { length, .. } => number(*length),
        ShapeKind::Map(_, Some(count)) if count.most >= 8 => number(Word::Data(count.at)),
        ShapeKind::Pointer { to: Some(to), .. } => length(&to.kind, comparison),
        _ => Formula::Never,
    };
    let Some(word) = nilable(kind) else {
        return Formula::Never;
    };
    // Nil has the length 0, whatever stands where others have theirs.
    Formula::any([
        Formula::all([is_nil(word, true), Formula::decided(comparison.number(0))]),
        Formula::all([is_nil(word, false), otherwise]),
    ])
}

/// Whether the word is 0, as it is `expected` to be or not to be.
fn is_nil(word: Word, expected: bool) -> Formula {
    let zero = Field::of(word, 8, false, |field| field.equal(0));
    match expected {
        true => zero,
        false => zero.opposite(),
    }
}

/// A string against a constant: its length, then its bytes, word by word.
fn text(length: Word, bytes: Option<Chunk>, with: &[u8], operator: Operator) -> Formula {
    let whole = u64::try_from(with.len()).unwrap_or(u64::MAX);
    let same_length = Field::of(length, 8, false, |field| field.equal(whole));
    let most = bytes.map_or(0, |chunk| chunk.most as usize);
    let fits = with.len() <= most;
    let words = with.chunks(8).zip((0..).step_by(8));
    let same = |(part, at): (&[u8], u32)| {
        let Some(chunk) = bytes else {
            return Formula::Never;
        };
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(part) {
            *to = *from;
        }
        Field::of_word(chunk.at.saturating_add(at), part.len(), |field| {
            field.equal(u64::from_le_bytes(word))
        })
    };
    match operator {
        // Of a longer string than is read, nobody knows that it is equal.
        Operator::Equal if !fits => Formula::Never,
        Operator::Equal => {
            let words = words.take(TEXT_WORDS).map(same);
            Formula::all(std::iter::once(same_length).chain(words))
        }
        Operator::Unequal if fits && with.len() <= TEXT_WORDS * 8 => {
            let words = words.map(|word| same(word).opposite());
            Formula::any(std::iter::once(same_length.opposite()).chain(words))
        }
        // Which of two comes first is asked of as many bytes as they begin alike with.
        _ => Formula::Open,
    }
}

#[cfg(test)]
mod tests;
