//! Patterns, one after the other → which of the names they choose.

use super::nearest::nearest;
use super::{Pattern, PlanError};
use crate::binary::names;

/// Which of `names` the patterns choose together, in the order of `names`.
///
/// `is_default` says which names, by index, are meant when nothing is chosen explicitly: no pattern at all,
/// or only ones that take away.
///
/// # Errors
/// [`PlanError::NoSuchFunction`] for the first pattern that matches no name (one that takes away
/// too: what it was to protect would be measured), [`PlanError::AllTakenAway`] when nothing is left.
pub fn choose(
    patterns: &[Pattern],
    names: &[&str],
    is_default: impl Fn(usize) -> bool,
) -> Result<Vec<bool>, PlanError> {
    let mut chosen = if patterns.first().is_none_or(Pattern::is_negated) {
        (0..names.len()).map(is_default).collect()
    } else {
        vec![false; names.len()]
    };
    let any_default = chosen.contains(&true);
    for pattern in patterns {
        let matched = matched(pattern, names);
        if matched.is_empty() {
            return Err(no_such_function(pattern, names));
        }
        for index in matched {
            if let Some(chosen) = chosen.get_mut(index) {
                *chosen = !pattern.is_negated();
            }
        }
    }
    if chosen.contains(&true) {
        Ok(chosen)
    } else if patterns.is_empty() || (!any_default && patterns.iter().all(Pattern::is_negated)) {
        Err(PlanError::NoDefault)
    } else {
        Err(PlanError::AllTakenAway)
    }
}

/// The names that are the pattern literally, or else those that it matches.
fn matched(pattern: &Pattern, names: &[&str]) -> Vec<usize> {
    let which = |matches: &dyn Fn(&str) -> bool| -> Vec<usize> {
        let indexed = names.iter().enumerate();
        indexed
            .filter(|(_, name)| matches(name))
            .map(|(index, _)| index)
            .collect()
    };
    let literal = which(&|name| pattern.is_name(name));
    if literal.is_empty() {
        which(&|name| pattern.matches(name))
    } else {
        literal
    }
}

fn no_such_function(pattern: &Pattern, names: &[&str]) -> PlanError {
    let mut printed = Vec::new();
    if !pattern.is_regex() {
        printed.extend(names.iter().map(|name| names::printed(name)));
    }
    let nearest = nearest(pattern.text(), printed.iter().map(AsRef::as_ref));
    PlanError::NoSuchFunction {
        pattern: pattern.text().to_owned(),
        nearest: nearest.into_iter().map(str::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &[
        "main.main",
        "main.work",
        "main.tiny",
        "main.(*T).Get",
        "main.(*Tree).Get",
        "net/http.(*conn).serve",
        "runtime.mallocgc",
    ];

    fn chosen(patterns: &[&str]) -> Result<Vec<&'static str>, PlanError> {
        let patterns: Vec<_> = patterns
            .iter()
            .map(|text| Pattern::parse(text).expect("a pattern"))
            .collect();
        let chosen = choose(&patterns, NAMES, |index| NAMES[index].starts_with("main."))?;
        Ok(NAMES
            .iter()
            .zip(chosen)
            .filter(|(_, chosen)| *chosen)
            .map(|(name, _)| *name)
            .collect())
    }

    #[test]
    fn without_a_pattern_the_main_module_is_meant() {
        assert_eq!(chosen(&[]).expect("chosen"), NAMES[..5]);
    }

    #[test]
    fn exceptions_take_away_from_what_stands_before_them() {
        assert_eq!(chosen(&["main.*", "!main.tiny"]).expect("chosen").len(), 4);
        assert_eq!(
            chosen(&["main.*", "!*Get", "main.(*T).Get"]).expect("chosen"),
            NAMES[..4]
        );
        assert_eq!(
            chosen(&["!main.(*).Get"]).expect("chosen"),
            ["main.main", "main.work", "main.tiny"]
        );
    }

    #[test]
    fn an_exact_name_means_only_itself() {
        assert_eq!(
            chosen(&["main.(*T).Get"]).expect("chosen"),
            ["main.(*T).Get"]
        );
    }

    #[test]
    fn a_pattern_without_match_names_the_nearest() {
        let error = chosen(&["main.wrok"]).expect_err("none");
        let PlanError::NoSuchFunction { nearest, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(nearest[0], "main.work");
        assert!(error.to_string().contains("main.work"), "{error}");
        assert!(matches!(
            chosen(&["main.*", "!main.tyni"]),
            Err(PlanError::NoSuchFunction { .. })
        ));
    }

    #[test]
    fn nothing_left_is_an_error() {
        assert!(matches!(
            chosen(&["main.*", "!*"]),
            Err(PlanError::AllTakenAway)
        ));
    }
}
