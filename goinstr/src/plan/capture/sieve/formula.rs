//! As much of a condition as words of the data decide, and the tests that ask for it.

use goinstr_common::sieve::{DROP, MAX_TESTS, PASS, Test};

/// What is asked, and what that means together. It holds wherever the condition does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Formula {
    /// It may hold: this is not decided here.
    Open,
    /// It does not hold, of no call.
    Never,
    /// One question.
    Asked(Asked),
    /// All of them have to hold.
    All(Vec<Self>),
    /// One of them has to.
    Any(Vec<Self>),
}

/// A question, and the answer with which it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The question; where it leads is not known yet.
    pub test: Test,
    /// The answer.
    pub expected: bool,
}

impl Formula {
    /// For what is known now.
    pub fn decided(holds: bool) -> Self {
        match holds {
            true => Self::Open,
            false => Self::Never,
        }
    }

    /// With the other answer to its one question. What is no question stays as it is: nothing holds of a
    /// value that is nowhere, neither that it is so nor that it isn't.
    pub fn opposite(self) -> Self {
        match self {
            Self::Asked(Asked { test, expected }) => Self::Asked(Asked {
                test,
                expected: !expected,
            }),
            other => other,
        }
    }

    pub fn all(formulas: impl IntoIterator<Item = Self>) -> Self {
        let mut left = Vec::new();
        for formula in formulas {
            match formula {
                Self::Open => {}
                Self::Never => return Self::Never,
                formula => left.push(formula),
            }
        }
        match left.len() {
            0 => Self::Open,
            1 => left.remove(0),
            _ => Self::All(left),
        }
    }

    pub fn any(formulas: impl IntoIterator<Item = Self>) -> Self {
        let mut left = Vec::new();
        for formula in formulas {
            match formula {
                Self::Never => {}
                Self::Open => return Self::Open,
                formula => left.push(formula),
            }
        }
        match left.len() {
            0 => Self::Never,
            1 => left.remove(0),
            _ => Self::Any(left),
        }
    }

    /// Its tests, in order; none where it is not to be asked.
    pub fn tests(&self) -> Vec<Test> {
        let mut reversed = Vec::new();
        // Without any it is decided already.
        put(self, PASS, DROP, &mut reversed);
        let number = u32::try_from(reversed.len()).unwrap_or(u32::MAX);
        if number > MAX_TESTS {
            return Vec::new();
        }
        // What was put in as the n-th from the end.
        let place = |from_end: u32| match from_end {
            PASS | DROP => from_end,
            from_end => number - 1 - from_end,
        };
        reversed.reverse();
        for test in &mut reversed {
            test.then = place(test.then);
            test.otherwise = place(test.otherwise);
        }
        reversed
    }
}

/// Puts a formula's tests before those that are there, the last one first, so that each leads forward; what to
/// begin with. Tests are numbered from the end.
fn put(formula: &Formula, then: u32, otherwise: u32, tests: &mut Vec<Test>) -> u32 {
    match formula {
        Formula::Open => then,
        Formula::Never => otherwise,
        Formula::Asked(asked) => {
            let (then, otherwise) = match asked.expected {
                true => (then, otherwise),
                false => (otherwise, then),
            };
            tests.push(Test {
                then,
                otherwise,
                ..asked.test
            });
            u32::try_from(tests.len() - 1).unwrap_or(PASS)
        }
        Formula::All(all) => {
            (all.iter().rev()).fold(then, |next, formula| put(formula, next, otherwise, tests))
        }
        Formula::Any(any) => {
            (any.iter().rev()).fold(otherwise, |next, formula| put(formula, then, next, tests))
        }
    }
}
