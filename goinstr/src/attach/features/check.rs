//! One thing that was checked: its result, what follows from it, what mends it.

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// goinstr measures without it, but less well.
    Limited,
    /// Nothing can be measured.
    Fatal,
}

/// One thing that was checked. It is made by the functions here alone, so that none that is not good is without
/// what follows and what mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    name: &'static str,
    detail: String,
    found: Found,
}

/// How it came out, with what has to be said of that.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    Good { consequence: Option<String> },
    Limited(Mend),
    Fatal(Mend),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mend {
    consequence: String,
    remedy: String,
}

impl Check {
    /// All is well.
    pub fn good(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            name,
            detail: detail.into(),
            found: Found::Good { consequence: None },
        }
    }

    /// All is well, and what follows is worth a word.
    pub fn noted(
        name: &'static str,
        detail: impl Into<String>,
        consequence: impl Into<String>,
    ) -> Self {
        Self {
            name,
            detail: detail.into(),
            found: Found::Good {
                consequence: Some(consequence.into()),
            },
        }
    }

    /// Something is less than it could be.
    pub fn limited(
        name: &'static str,
        detail: impl Into<String>,
        consequence: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            name,
            detail: detail.into(),
            found: Found::Limited(Mend::new(consequence, remedy)),
        }
    }

    /// Nothing can be measured.
    pub fn fatal(
        name: &'static str,
        detail: impl Into<String>,
        consequence: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            name,
            detail: detail.into(),
            found: Found::Fatal(Mend::new(consequence, remedy)),
        }
    }

    /// Its name, as scripts know it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How it came out.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.found {
            Found::Good { .. } => Verdict::Good,
            Found::Limited(_) => Verdict::Limited,
            Found::Fatal(_) => Verdict::Fatal,
        }
    }

    /// What was found.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What follows: always where it is not good, else where that is worth a word.
    #[must_use]
    pub fn consequence(&self) -> Option<&str> {
        match &self.found {
            Found::Good { consequence } => consequence.as_deref(),
            Found::Limited(mend) | Found::Fatal(mend) => Some(&mend.consequence),
        }
    }

    /// The command that mends it, or what else does: always where it is not good.
    #[must_use]
    pub fn remedy(&self) -> Option<&str> {
        match &self.found {
            Found::Good { .. } => None,
            Found::Limited(mend) | Found::Fatal(mend) => Some(&mend.remedy),
        }
    }

    /// The same, said of somebody.
    #[must_use]
    pub fn of(mut self, whom: &str) -> Self {
        self.detail = format!("{whom}: {}", self.detail);
        self
    }
}

impl Mend {
    fn new(consequence: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (consequence, remedy) = (consequence.into(), remedy.into());
        debug_assert!(!consequence.is_empty() && !remedy.is_empty());
        Self {
            consequence,
            remedy,
        }
    }
}
