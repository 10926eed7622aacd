//! Names of values that must not be read: secrets.

use globset::{GlobBuilder, GlobMatcher};
use thiserror::Error;

/// Names that are redacted unless other ones are given.
const USUAL: [&str; 12] = [
    "*password*",
    "*passwd*",
    "*passphrase*",
    "*secret*",
    "*token*",
    "*apikey*",
    "*api_key*",
    "*credential*",
    "*authorization*",
    "*cookie*",
    "*privatekey*",
    "*private_key*",
];

/// Names of parameters, results and fields whose values are not read.
#[derive(Clone, Debug)]
pub struct Redaction(Vec<GlobMatcher>);

/// A name that can't be read as one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("--redact {0:?} is no name: write names or globs (user, '*key*') with commas between them")]
pub struct BadRedaction(String);

impl PartialEq for Redaction {
    fn eq(&self, other: &Self) -> bool {
        let globs = |of: &Self| {
            let globs = of.0.iter().map(|glob| glob.glob().clone());
            globs.collect::<Vec<_>>()
        };
        globs(self) == globs(other)
    }
}

impl Eq for Redaction {}

impl Default for Redaction {
    fn default() -> Self {
        Self::of(&USUAL.join(",")).unwrap_or(Self(Vec::new()))
    }
}

impl Redaction {
    /// Globs with commas between them; an empty text redacts nothing.
    ///
    /// # Errors
    /// [`BadRedaction`] for one that is no glob.
    pub fn of(text: &str) -> Result<Self, BadRedaction> {
        let globs = text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        globs
            .map(|name| {
                GlobBuilder::new(name)
                    .case_insensitive(true)
                    .build()
                    .map(|glob| glob.compile_matcher())
                    .map_err(|_| BadRedaction(name.to_owned()))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether values of this name must not be read.
    #[must_use]
    pub fn hides(&self, name: &str) -> bool {
        self.0.iter().any(|glob| glob.is_match(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_anywhere() {
        let usual = Redaction::default();
        for hidden in ["password", "userPassword", "AccessToken", "APIKey"] {
            assert!(usual.hides(hidden), "{hidden}");
        }
        assert!(!usual.hides("key") && !usual.hides("n"));
        let own = Redaction::of(" user , card*").expect("globs");
        assert!(own.hides("User") && own.hides("cardNumber") && !own.hides("password"));
        assert!(!Redaction::of("").expect("none").hides("password"));
        assert!(Redaction::of("[").is_err());
    }
}
