//! The recipes of arguments and results, given to the kernel side.

use aya::{Ebpf, Pod, maps::Array};
use goinstr_common::capture::{Recipe, Step};
use goinstr_common::sieve::{Sieve, Test};

use super::AttachError;
use super::kernel::{map_error, missing};
use crate::plan::CapturePlan;

/// An element as aya writes it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Wire<T>(T);

// SAFETY: wire types of goinstr-common are repr(C) without padding, any bit pattern is a value.
unsafe impl Pod for Wire<Recipe> {}
// SAFETY: as above.
unsafe impl Pod for Wire<Step> {}
// SAFETY: as above.
unsafe impl Pod for Wire<Test> {}

/// Number of steps of all functions.
pub(super) fn steps(plan: &CapturePlan) -> usize {
    let of = plan.functions.iter();
    of.map(|function| function.entry.len() + function.exit.len())
        .sum()
}

/// Number of tests of all functions.
pub(super) fn tests(plan: &CapturePlan) -> usize {
    let of = plan.functions.iter().map(|function| &function.sieve);
    of.map(|sieve| sieve.entry.len() + sieve.exit.len()).sum()
}

/// Tells the program what to read of each function's calls.
pub(super) fn give_recipes(ebpf: &mut Ebpf, plan: &CapturePlan) -> Result<(), AttachError> {
    let mut steps: Vec<Step> = Vec::new();
    let mut tests: Vec<Test> = Vec::new();
    let mut recipes = Vec::with_capacity(plan.functions.len());
    let fit = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let mut sieve = |of: &[Test]| {
        let first = tests.len();
        tests.extend(of);
        Sieve {
            first: fit(first),
            tests: fit(of.len()),
        }
    };
    for function in &plan.functions {
        let (entry, exit) = (steps.len(), steps.len() + function.entry.len());
        steps.extend(&function.entry);
        steps.extend(&function.exit);
        recipes.push(Recipe {
            entry: fit(entry),
            entry_steps: fit(function.entry.len()),
            exit: fit(exit),
            exit_steps: fit(function.exit.len()),
            exit_at: function.exit_at,
            bytes: function.bytes,
            entry_sieve: sieve(&function.sieve.entry),
            exit_sieve: sieve(&function.sieve.exit),
        });
    }
    fill(ebpf, "RECIPES", recipes.into_iter().map(Wire))?;
    fill(ebpf, "STEPS", steps.into_iter().map(Wire))?;
    fill(ebpf, "TESTS", tests.into_iter().map(Wire))
}

fn fill<T: Pod>(
    ebpf: &mut Ebpf,
    name: &'static str,
    elements: impl Iterator<Item = T>,
) -> Result<(), AttachError> {
    let map = ebpf.map_mut(name).ok_or_else(|| missing(name))?;
    let mut map: Array<_, T> = Array::try_from(map).map_err(|error| map_error(name, error))?;
    for (index, element) in (0..).zip(elements) {
        map.set(index, element, 0)
            .map_err(|error| map_error(name, error))?;
    }
    Ok(())
}
