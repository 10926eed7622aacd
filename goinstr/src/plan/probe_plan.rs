//! The plan itself: which functions, which sites, in which order.

use std::path::PathBuf;

use super::{CapturePlan, PlanError, StatePlan};
use crate::binary::{FileOffset, RuntimeLayout, Vaddr};

/// A place in the file for a uprobe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Which file: 0 is the program, then those of [`ProbePlan::libraries`].
    pub file: usize,
    /// Where the instruction stands when the program is loaded without bias.
    pub address: Vaddr,
    /// Where it stands in the file.
    pub offset: FileOffset,
}

/// One function to be measured. Its index in [`ProbePlan::functions`] is its id in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFunction {
    /// Name as stack traces print it: of a generic function, several can have the same.
    pub name: String,
    /// Name as the linker wrote it, where it differs: with the type arguments.
    pub symbol: Option<String>,
    /// Source file and line of the `func` keyword, where the binary tells.
    pub location: Option<Location>,
    /// Where a call begins.
    pub entry: Site,
    /// Whether several hits of `entry` in one frame are one call.
    pub reenters: bool,
    /// Where calls end; empty for a function without a return.
    pub exits: Vec<Site>,
    /// Number of functions that hold an inlined copy of it, whose calls can't be seen: 0 for none.
    pub inlined_into: u32,
}

/// Another file of the process with Go functions of the same runtime: a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// Path as the process sees it.
    pub path: PathBuf,
    /// Path under which this goinstr can open the very file that the process has mapped.
    pub open_path: PathBuf,
    /// The runtime's functions are in each such file, and calls in it go to its own.
    pub unwind: UnwindSites,
}

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Path as the compiler recorded it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

/// A function that a pattern chose and that is not measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Name as stack traces print it.
    pub function: String,
    /// Why, as the contract spells it: `inlined`, `tail_call`, `undecodable`, `not_go`, …
    pub reason: &'static str,
    /// The same for a person, with what to do about it.
    pub detail: String,
}

/// Sites in the runtime that tell when open calls have been abandoned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnwindSites {
    /// Entry of `runtime.recovery(gp)`, which runs on g0 with `gp` in the first argument register.
    pub recovery: Option<Site>,
    /// Entry of `runtime.Goexit`: a panic that is recovered further out does not end the calls that
    /// its deferred functions are still to run in.
    pub goexit_entry: Option<Site>,
    /// The call of `runtime.goexit1` in `runtime.Goexit`: the deferred functions have run, g is in its register.
    pub goexit: Option<Site>,
}

/// What is to be measured, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbePlan {
    /// The functions, in address order within each file.
    pub functions: Vec<PlannedFunction>,
    /// What was chosen and can't be measured.
    pub skipped: Vec<Skipped>,
    /// Where the runtime abandons frames.
    pub unwind: UnwindSites,
    /// What is measured beside the program's own file.
    pub libraries: Vec<Library>,
    /// Where goroutines change their states, where that is asked for.
    pub states: Option<StatePlan>,
    /// Which values of calls are read, where they are asked for.
    pub captures: Option<CapturePlan>,
    /// With which functions a tree of calls may begin, one for each in their order; `None`: with whatever is
    /// outermost.
    pub roots: Option<Vec<bool>>,
    /// Offsets in the runtime's structures.
    pub layout: RuntimeLayout,
}

impl ProbePlan {
    /// The library that a function is in, if it isn't in the program's own file.
    #[must_use]
    pub fn library_of(&self, function: &PlannedFunction) -> Option<&Library> {
        self.libraries.get(function.entry.file.checked_sub(1)?)
    }

    /// Takes the functions out for which `gone` holds of their index; those behind them move up.
    ///
    /// What has an element for each function loses the same ones: one of them left behind would be
    /// taken for its neighbour's.
    pub fn take_out(&mut self, gone: impl Fn(usize) -> bool) -> Vec<PlannedFunction> {
        if let Some(captures) = &mut self.captures {
            without(&mut captures.functions, &gone);
        }
        if let Some(roots) = &mut self.roots {
            without(roots, &gone);
        }
        without(&mut self.functions, &gone)
    }

    /// Leaves out functions that loop back to where a call begins: to tell such a turn from a call, each call
    /// has to be followed to its end all the time, which `option` rules out.
    ///
    /// # Errors
    /// [`PlanError::NothingMeasurable`] where nothing is left.
    pub fn leave_out_loops(&mut self, option: &str) -> Result<(), PlanError> {
        let reenters: Vec<bool> = self.functions.iter().map(|f| f.reenters).collect();
        let loops = self.take_out(|index| reenters.get(index) == Some(&true));
        self.skipped.extend(loops.into_iter().map(|function| Skipped {
            function: function.name,
            reason: "loops_to_entry",
            detail: format!(
                "it loops back to where its calls begin, so that these can't be counted without following \
                 each to its end; measure it without {option}"
            ),
        }));
        match self.functions.as_slice() {
            [] => Err(PlanError::NothingMeasurable {
                skipped: std::mem::take(&mut self.skipped),
            }),
            _ => Ok(()),
        }
    }
}

/// Takes the elements out for whose index `gone` holds.
fn without<T>(elements: &mut Vec<T>, gone: impl Fn(usize) -> bool) -> Vec<T> {
    let mut indices = 0..;
    elements
        .extract_if(.., |_| indices.next().is_some_and(&gone))
        .collect()
}
