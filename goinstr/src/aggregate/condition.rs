//! Whether a `--where` holds for a call.
//!
//! In: a [`Condition`] and the call's values. What can't be compared (another type, unreadable, of another
//! function) does not match. The kernel side keeps back calls for which this surely says no
//! (`plan/capture/sieve.rs`): what begins to match here has to pass there.

use std::cmp::Ordering;

use super::report::CallValues;
use super::value::{Content, Value};
use crate::plan::{Comparison, Condition, Constant};

impl Condition {
    /// Whether it holds for a call.
    #[must_use]
    pub fn holds(&self, values: Option<&CallValues>) -> bool {
        let Some(values) = values else { return false };
        self.alternatives()
            .any(|all| all.iter().all(|comparison| comparison.holds_of(values)))
    }
}

impl Comparison {
    fn holds_of(&self, values: &CallValues) -> bool {
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
fn text(read: &[u8], length: u64, with: &[u8]) -> Option<Ordering> {
    if read.len() as u64 == length {
        return Some(read.cmp(with));
    }
    // The first difference decides; a longer one that begins alike is not decided by what was read.
    let common = read.len().min(with.len());
    let order = read.get(..common)?.cmp(with.get(..common)?);
    match order {
        Ordering::Equal if with.len() <= read.len() => Some(Ordering::Greater),
        Ordering::Equal => None,
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
mod sieved;
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
}
