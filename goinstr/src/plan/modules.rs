//! A process with several files of Go functions: the program and its plugins.
//!
//! In: each file and the user's patterns. Out: one [`ProbePlan`] over all of them. All have the
//! same runtime, and the functions of a package that several of them link are in each of them:
//! calls go to the caller's own file's, so all are meant.

use std::path::PathBuf;

use super::{Library, Pattern, PlanError, PlannedFunction, ProbePlan, UnwindSites, plan};
use crate::binary::GoBinary;

/// One file with Go functions.
#[derive(Debug)]
pub struct Module {
    /// What is in it.
    pub binary: GoBinary,
    /// Path as the process sees it.
    pub path: PathBuf,
    /// Path under which this goinstr can open it.
    pub open_path: PathBuf,
}

/// What is to be measured of `program` and of the `libraries` in the same process.
///
/// # Errors
/// Those of [`plan`]. A pattern must match in one of the files, not in all.
pub fn plan_modules(
    program: &GoBinary,
    libraries: &[Module],
    patterns: &[Pattern],
) -> Result<ProbePlan, PlanError> {
    if libraries.is_empty() {
        return plan(program, patterns);
    }
    let binaries = std::iter::once(program).chain(libraries.iter().map(|module| &module.binary));
    let mut whole = ProbePlan {
        functions: Vec::new(),
        skipped: Vec::new(),
        unwind: UnwindSites::of(program, 0),
        layout: program.runtime_layout()?,
        libraries: Vec::new(),
        states: None,
        captures: None,
        roots: None,
    };
    let own = applicable(binaries.clone(), patterns)?;
    for (file, (binary, own)) in binaries.zip(own).enumerate() {
        let part = own.map(|patterns| plan(binary, &patterns));
        match part {
            Some(Ok(part)) => {
                let functions = part.functions.into_iter();
                whole.functions.extend(functions.map(|f| f.moved_to(file)));
                whole.skipped.extend(part.skipped);
            }
            Some(Err(PlanError::NothingMeasurable { skipped })) => whole.skipped.extend(skipped),
            Some(Err(PlanError::NoDefault | PlanError::AllTakenAway)) | None => {}
            Some(Err(error)) => return Err(error),
        }
    }
    let nothing_chosen = whole.skipped.is_empty();
    if whole.functions.is_empty() {
        return Err(match patterns.first() {
            None if nothing_chosen => PlanError::NoDefault,
            Some(_) if nothing_chosen => PlanError::AllTakenAway,
            _ => PlanError::NothingMeasurable {
                skipped: whole.skipped,
            },
        });
    }
    whole.libraries = libraries
        .iter()
        .enumerate()
        .map(|(index, module)| Library {
            path: module.path.clone(),
            open_path: module.open_path.clone(),
            unwind: UnwindSites::of(&module.binary, index + 1),
        })
        .collect();
    Ok(whole)
}

/// The patterns that concern each of several files: those that match a name in it. `None` where
/// patterns choose, and nothing in this file.
///
/// # Errors
/// [`PlanError::NoSuchFunction`] for a pattern that matches in none; its nearest names are those of
/// the first file.
pub fn applicable<'b>(
    binaries: impl Iterator<Item = &'b GoBinary>,
    patterns: &[Pattern],
) -> Result<Vec<Option<Vec<Pattern>>>, PlanError> {
    let by_default = patterns.first().is_none_or(Pattern::is_negated);
    let mut matched = vec![false; patterns.len()];
    let mut files = Vec::new();
    let mut first = None;
    for binary in binaries {
        first.get_or_insert(binary);
        let names = names(binary, patterns);
        let mut own = Vec::new();
        for (pattern, matched) in patterns.iter().zip(&mut matched) {
            let is = |name: &&str| pattern.is_name(name) || pattern.matches(name);
            if names.iter().any(is) {
                *matched = true;
                own.push(pattern.clone());
            }
        }
        let concerned = by_default || own.first().is_some_and(|first| !first.is_negated());
        files.push(concerned.then_some(own));
    }
    let unmatched = patterns.iter().zip(matched).find(|(_, matched)| !matched);
    if let (Some((pattern, _)), Some(first)) = (unmatched, first) {
        // It fails, and says what is near.
        super::survey(first, std::slice::from_ref(pattern))?;
    }
    Ok(files)
}

/// All names of a file, functions without a body too; none where there is nothing to match.
fn names<'b>(binary: &'b GoBinary, patterns: &[Pattern]) -> Vec<&'b str> {
    if patterns.is_empty() {
        return Vec::new();
    }
    let with_body = binary.functions().iter();
    let mut names: Vec<&str> = with_body.map(|function| binary.name(function)).collect();
    names.extend(binary.inlined().into_keys());
    names
}

impl PlannedFunction {
    fn moved_to(mut self, file: usize) -> Self {
        self.entry.file = file;
        for exit in &mut self.exits {
            exit.file = file;
        }
        self
    }
}
