//! `--where`: which single calls are told of, by their arguments and results.
//!
//! In: a text like `len(key) > 100 && shard == 3`. Out: a [`Condition`], asked of each call's values. What
//! can't be compared (another type, unreadable, of another function) does not match.

use thiserror::Error;

use super::report::CallValues;
use super::value::{Content, Value};

/// Comparisons in one condition.
const MOST: usize = 32;

/// A condition on the values of a call: alternatives, each of comparisons that must all hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition(Vec<Vec<Comparison>>);

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
struct Comparison {
    /// `len(…)` around it.
    length: bool,
    /// The parameter or result, then the fields.
    path: Vec<String>,
    operator: Operator,
    with: Constant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

#[derive(Clone, Debug, PartialEq)]
enum Constant {
    Int(i128),
    Float(f64),
    Text(String),
    Bool(bool),
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

    /// Whether it holds for a call.
    #[must_use]
    pub fn holds(&self, values: Option<&CallValues>) -> bool {
        let Some(values) = values else { return false };
        self.0
            .iter()
            .any(|all| all.iter().all(|comparison| comparison.holds(values)))
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

impl Comparison {
    fn holds(&self, values: &CallValues) -> bool {
        let Some((first, fields)) = self.path.split_first() else {
            return false;
        };
        let mut both = values.args.iter().chain(&values.returns);
        let Some(mut value) = both.find_map(|values| values.get(first)) else {
            return false;
        };
        for field in fields {
            // Through pointers, as Go does.
            while let Content::Pointer(_, Some(to)) = &value.content {
                value = to;
            }
            let Content::Struct(list) = &value.content else {
                return false;
            };
            let Some((_, found)) = list.iter().find(|(name, _)| name == field) else {
                return false;
            };
            value = found;
        }
        if self.length {
            return length(value).is_some_and(|length| self.number(i128::from(length)));
        }
        self.compare(value)
    }

    fn number(&self, value: i128) -> bool {
        match &self.with {
            Constant::Int(with) => self.ordered(value.cmp(with)),
            #[expect(clippy::cast_precision_loss, reason = "compared with a float")]
            Constant::Float(with) => (value as f64)
                .partial_cmp(with)
                .is_some_and(|order| self.ordered(order)),
            _ => false,
        }
    }

    fn ordered(&self, order: std::cmp::Ordering) -> bool {
        match self.operator {
            Operator::Equal => order.is_eq(),
            Operator::Unequal => order.is_ne(),
            Operator::Less => order.is_lt(),
            Operator::AtMost => order.is_le(),
            Operator::More => order.is_gt(),
            Operator::AtLeast => order.is_ge(),
        }
    }

    fn equal(&self, equal: bool) -> bool {
        match self.operator {
            Operator::Equal => equal,
            Operator::Unequal => !equal,
            _ => false,
        }
    }

    fn compare(&self, value: &Value) -> bool {
        match (&value.content, &self.with) {
            (Content::Unreadable(_) | Content::Cut | Content::Redacted, _) => false,
            (content, Constant::Nil) => self.equal(matches!(content, Content::Nil)),
            (Content::Bool(value), Constant::Bool(with)) => self.equal(value == with),
            (Content::Int(value), _) => self.number(i128::from(*value)),
            (Content::Uint(value), _) => self.number(i128::from(*value)),
            (Content::Float(value), Constant::Int(with)) => {
                #[expect(clippy::cast_precision_loss, reason = "compared with a float")]
                let with = *with as f64;
                value
                    .partial_cmp(&with)
                    .is_some_and(|order| self.ordered(order))
            }
            (Content::Float(value), Constant::Float(with)) => value
                .partial_cmp(with)
                .is_some_and(|order| self.ordered(order)),
            (Content::Text { bytes, length, .. }, Constant::Text(with)) => {
                text(bytes, *length, with.as_bytes()).is_some_and(|order| self.ordered(order))
            }
            (
                Content::Interface {
                    value: Some(value), ..
                }
                | Content::Pointer(_, Some(value)),
                _,
            ) => self.compare(value),
            _ => false,
        }
    }
}

/// How a string compares with another; `None`: too little of it was read to tell.
fn text(read: &[u8], length: u64, with: &[u8]) -> Option<std::cmp::Ordering> {
    if read.len() as u64 == length {
        return Some(read.cmp(with));
    }
    // The first difference decides; a longer one that begins alike is not decided by what was read.
    let common = read.len().min(with.len());
    let order = read.get(..common)?.cmp(with.get(..common)?);
    match order {
        std::cmp::Ordering::Equal if with.len() <= read.len() => Some(std::cmp::Ordering::Greater),
        std::cmp::Ordering::Equal => None,
        order => Some(order),
    }
}

fn length(value: &Value) -> Option<u64> {
    match &value.content {
        Content::Text { length, .. } | Content::List { length, .. } => Some(*length),
        Content::Map(length) => *length,
        Content::Nil => Some(0),
        Content::Pointer(_, Some(to)) => length(to),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::Values;
    use super::*;

    fn of(content: Content) -> Value {
        Value {
            type_name: String::new(),
            content,
        }
    }

    fn text(bytes: &[u8], length: u64) -> Value {
        let bytes = bytes.to_vec();
        of(Content::Text {
            bytes,
            length,
            capacity: None,
        })
    }

    fn holds(condition: &str) -> bool {
        let user = Content::Struct(vec![("ID".to_owned(), of(Content::Uint(7)))]);
        let values = CallValues {
            args: Some(Values(vec![
                ("key".to_owned(), text(b"abc", 3)),
                ("long".to_owned(), text(b"abc", 500)),
                ("shard".to_owned(), of(Content::Int(-3))),
                ("ok".to_owned(), of(Content::Bool(true))),
                (
                    "user".to_owned(),
                    of(Content::Pointer(8, Some(Box::new(of(user))))),
                ),
                ("rate".to_owned(), of(Content::Float(0.5))),
            ])),
            returns: Some(Values(vec![("err".to_owned(), of(Content::Nil))])),
        };
        Condition::parse(condition)
            .expect(condition)
            .holds(Some(&values))
    }

    #[test]
    fn comparisons_are_gos() {
        for (condition, expected) in [
            ("len(key) == 3 && shard == -3", true),
            ("len(key) > 3", false),
            ("len(long)>100&&shard<=-3", true),
            ("shard != 3 && shard < 0", true),
            ("key == \"abc\"", true),
            ("key != \"abc\" || ok == true", true),
            ("key >= \"abd\"", false),
            // Too little of it was read to tell whether it is that.
            ("long == \"abcdef\"", false),
            ("long != \"abx\"", true),
            ("user.ID == 0x7", true),
            ("user.Name == 1", false),
            ("rate < 0.6 && rate > 0", true),
            ("err == nil", true),
            ("err != nil", false),
            ("missing == 1", false),
            ("missing != 1", false),
            ("ok == 1", false),
        ] {
            assert_eq!(holds(condition), expected, "{condition}");
        }
        assert!(!Condition::parse("a == 1").expect("one").holds(None));
    }

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
