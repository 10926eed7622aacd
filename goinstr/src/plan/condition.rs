//! `--where`: which single calls are told of, by their arguments and results.
//!
//! In: a text like `len(key) > 100 && shard == 3`. Out: a [`Condition`], which `aggregate` asks of each
//! call's values.

use std::cmp::Ordering;

use thiserror::Error;

/// Comparisons in one condition.
const MOST: usize = 32;

/// A condition on the values of a call: alternatives, each of comparisons that must all hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition(Vec<Vec<Comparison>>);

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// `len(…)` around it.
    pub length: bool,
    /// The parameter or result, then the fields.
    pub path: Vec<String>,
    /// How the value has to stand to the constant.
    pub operator: Operator,
    /// The constant.
    pub with: Constant,
}

/// How two values stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

/// What a value is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// An integer.
    Int(i128),
    /// A floating-point number.
    Float(f64),
    /// A string.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// `nil`
    Nil,
}

/// A condition that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "--where: {what} at {at:?}; write comparisons like 'len(key) > 100 && user.ID == 3 || err != nil'"
)]
pub struct BadCondition {
    what: &'static str,
    at: String,
}

impl Condition {
    /// Reads a condition: comparisons of names (`key`, `req.User.ID`, `len(key)`) with constants
    /// (integers, floats, quoted strings, `true`, `false`, `nil`), with `&&` and `||` between them.
    ///
    /// # Errors
    /// [`BadCondition`], with the place.
    pub fn parse(text: &str) -> Result<Self, BadCondition> {
        let mut rest = text;
        let mut alternatives = vec![Vec::new()];
        let mut number = 0;
        loop {
            let comparison = comparison(&mut rest)?;
            number += 1;
            if number > MOST {
                return Err(bad("too many comparisons", rest));
            }
            if let Some(last) = alternatives.last_mut() {
                last.push(comparison);
            }
            if take(&mut rest, "&&") {
                continue;
            }
            if take(&mut rest, "||") {
                alternatives.push(Vec::new());
                continue;
            }
            if rest.trim().is_empty() {
                return Ok(Self(alternatives));
            }
            return Err(bad("neither && nor || nor the end", rest));
        }
    }

    /// The parameters and results that it names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let comparisons = self.0.iter().flatten();
        comparisons.filter_map(|comparison| comparison.path.first().map(String::as_str))
    }

    /// Alternatives, each of comparisons that must all hold.
    pub fn alternatives(&self) -> impl Iterator<Item = &[Comparison]> {
        self.0.iter().map(Vec::as_slice)
    }
}

impl Comparison {
    /// Whether an integer compares so with the constant; with what is no number it does not.
    #[must_use]
    pub fn number(&self, value: i128) -> bool {
        match &self.with {
            Constant::Int(with) => self.ordered(value.cmp(with)),
            #[expect(clippy::cast_precision_loss, reason = "compared with a float")]
            Constant::Float(with) => (value as f64)
                .partial_cmp(with)
                .is_some_and(|order| self.ordered(order)),
            _ => false,
        }
    }

    /// Whether the operator holds of what stands in such an order to the constant.
    #[must_use]
    pub fn ordered(&self, order: Ordering) -> bool {
        match self.operator {
            Operator::Equal => order.is_eq(),
            Operator::Unequal => order.is_ne(),
            Operator::Less => order.is_lt(),
            Operator::AtMost => order.is_le(),
            Operator::More => order.is_gt(),
            Operator::AtLeast => order.is_ge(),
        }
    }

    /// The same of what has no order.
    #[must_use]
    pub fn equal(&self, equal: bool) -> bool {
        match self.operator {
            Operator::Equal => equal,
            Operator::Unequal => !equal,
            _ => false,
        }
    }
}

fn bad(what: &'static str, at: &str) -> BadCondition {
    BadCondition {
        what,
        at: at.chars().take(20).collect(),
    }
}

fn take(rest: &mut &str, word: &str) -> bool {
    match rest.trim_start().strip_prefix(word) {
        Some(behind) => {
            *rest = behind;
            true
        }
        None => false,
    }
}

fn comparison(rest: &mut &str) -> Result<Comparison, BadCondition> {
    let mut name = path(rest)?;
    let length =
        name.len() == 1 && name.first().is_some_and(|name| name == "len") && take(rest, "(");
    if length {
        name = path(rest)?;
        if !take(rest, ")") {
            return Err(bad("no closing bracket", rest));
        }
    }
    // The longer ones first.
    let operators = [
        ("==", Operator::Equal),
        ("!=", Operator::Unequal),
        ("<=", Operator::AtMost),
        (">=", Operator::AtLeast),
        ("<", Operator::Less),
        (">", Operator::More),
    ];
    let found = operators.iter().find(|(word, _)| take(rest, word));
    let Some(&(_, operator)) = found else {
        return Err(bad("no comparison", rest));
    };
    let with = constant(rest)?;
    let ordered = !matches!(operator, Operator::Equal | Operator::Unequal);
    if ordered && matches!(with, Constant::Bool(_) | Constant::Nil) {
        return Err(bad("true, false and nil are only equal or not", rest));
    }
    Ok(Comparison {
        length,
        path: name,
        operator,
        with,
    })
}

/// `a.b.c`.
fn path(rest: &mut &str) -> Result<Vec<String>, BadCondition> {
    let mut names = Vec::new();
    loop {
        let text = rest.trim_start();
        let end = text
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(text.len());
        let (name, behind) = text.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(bad("no name", text));
        }
        names.push(name.to_owned());
        *rest = behind;
        if !take(rest, ".") {
            return Ok(names);
        }
    }
}

fn constant(rest: &mut &str) -> Result<Constant, BadCondition> {
    let text = rest.trim_start();
    if let Some(quoted) = text.strip_prefix('"') {
        let mut value = String::new();
        let mut chars = quoted.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    *rest = quoted.get(at + 1..).unwrap_or("");
                    return Ok(Constant::Text(value));
                }
                '\\' => value.extend(chars.next().map(|(_, escaped)| match escaped {
                    'n' => '\n',
                    't' => '\t',
                    other => other,
                })),
                c => value.push(c),
            }
        }
        return Err(bad("a string without an end", text));
    }
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '+')))
        .unwrap_or(text.len());
    let (word, behind) = text.split_at(end);
    *rest = behind;
    let hexadecimal = word.strip_prefix("0x");
    match word {
        "true" => Ok(Constant::Bool(true)),
        "false" => Ok(Constant::Bool(false)),
        "nil" => Ok(Constant::Nil),
        word => hexadecimal
            .and_then(|digits| i128::from_str_radix(digits, 16).ok())
            .or_else(|| word.parse().ok())
            .map(Constant::Int)
            .or_else(|| word.parse().ok().map(Constant::Float))
            .ok_or_else(|| bad("no constant (strings stand in double quotes)", text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in [
            "",
            "key",
            "key ==",
            "key == abc",
            "== 3",
            "key == \"a",
            "a == 1 and b == 2",
            "len(key > 3",
            "ok < true",
            "1 == 1",
            "key == 3 &&",
        ] {
            assert!(Condition::parse(text).is_err(), "{text}");
        }
        assert!(Condition::parse(&"a == 1 && ".repeat(40)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            let _ = Condition::parse(&text);
        }
    }
}
