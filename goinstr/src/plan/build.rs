//! The survey → the plan.

use super::obstacle::Obstacle;
use super::survey::{Sites, site, survey};
use super::{Location, Pattern, PlanError, PlannedFunction, ProbePlan, Site, Skipped, UnwindSites};
use crate::binary::{GoBinary, LayoutSource, Vaddr};

/// What is to be measured of `binary` where `patterns` choose.
///
/// # Errors
/// Those of [`choose`](super::choose), [`PlanError::NothingMeasurable`] when no chosen function can
/// be measured, [`PlanError::Binary`] where the offsets of the runtime's structures are not known.
pub fn plan(binary: &GoBinary, patterns: &[Pattern]) -> Result<ProbePlan, PlanError> {
    let mut functions = Vec::new();
    let mut skipped = Vec::new();
    for surveyed in survey(binary, patterns)? {
        let location = surveyed.location(binary).map(|at| Location {
            file: at.file.to_owned(),
            line: at.line,
        });
        let name = surveyed.printed().into_owned();
        match surveyed.verdict {
            Ok(Sites {
                entry,
                reenters,
                exits,
            }) => functions.push(PlannedFunction {
                symbol: (name != surveyed.name).then(|| surveyed.name.to_owned()),
                name,
                location,
                entry,
                reenters,
                exits,
                inlined_into: surveyed.inlined_into,
            }),
            // Its calls are all seen, in its body.
            Err(Obstacle::AbiWrapper { .. }) => {}
            Err(obstacle) => skipped.push(Skipped {
                function: name,
                reason: obstacle.reason(),
                detail: obstacle.detail(),
            }),
        }
    }
    if functions.is_empty() {
        return Err(PlanError::NothingMeasurable { skipped });
    }
    Ok(ProbePlan {
        functions,
        skipped,
        unwind: UnwindSites::of(binary, 0),
        layout: binary.runtime_layout()?,
        libraries: Vec::new(),
        states: None,
        captures: None,
        roots: None,
    })
}

impl UnwindSites {
    /// The runtime's places in a file, which the plan numbers so.
    pub(super) fn of(binary: &GoBinary, file: usize) -> Self {
        let at = |address: Option<Vaddr>| {
            let site = site(binary, address?).ok()?;
            Some(Site { file, ..site })
        };
        // Nothing but a panic that is recovered would show whether its way was guessed right.
        let guessed = binary
            .runtime_layout()
            .is_ok_and(|layout| layout.source == LayoutSource::NewestKnown);
        Self {
            recovery: at(binary.recovery_entry()).filter(|_| !guessed),
            goexit_entry: at(binary.goexit_entry()),
            goexit: at(binary.goexit_call()),
        }
    }
}
