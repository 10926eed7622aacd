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

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name, as scripts know it.
    pub name: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// What follows, where that is worth a word.
    pub consequence: Option<String>,
    /// The command that mends it, or what else does.
    pub remedy: Option<String>,
}

impl Check {
    /// All is well.
    pub fn good(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Good,
            detail: detail.into(),
            consequence: None,
            remedy: None,
        }
    }

    /// Something is less than it could be.
    pub fn limited(
        name: &'static str,
        detail: impl Into<String>,
        consequence: impl Into<String>,
    ) -> Self {
        Self {
            verdict: Verdict::Limited,
            consequence: Some(consequence.into()),
            ..Self::good(name, detail)
        }
    }

    /// Nothing can be measured.
    pub fn fatal(
        name: &'static str,
        detail: impl Into<String>,
        consequence: impl Into<String>,
    ) -> Self {
        Self {
            verdict: Verdict::Fatal,
            ..Self::limited(name, detail, consequence)
        }
    }

    /// What follows.
    #[must_use]
    pub fn consequence(mut self, consequence: impl Into<String>) -> Self {
        self.consequence = Some(consequence.into());
        self
    }

    /// What mends it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}
