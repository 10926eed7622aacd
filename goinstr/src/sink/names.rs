//! What functions are called where only their names tell them apart.

use std::collections::HashMap;

use super::human::visible;
use crate::plan::{PlannedFunction, ProbePlan};

/// What to call each function: as stack traces do, but where several would be called the same.
pub(super) fn distinct(plan: &ProbePlan) -> Vec<String> {
    let mut times: HashMap<&str, usize> = HashMap::new();
    for function in &plan.functions {
        *times.entry(&function.name).or_default() += 1;
    }
    let name = |function: &PlannedFunction| {
        if times.get(function.name.as_str()) == Some(&1) {
            return visible(&function.name).into_owned();
        }
        let symbol = function.symbol.as_ref().unwrap_or(&function.name);
        match plan.library_of(function) {
            Some(library) => {
                visible(&format!("{symbol} ({})", library.path.display())).into_owned()
            }
            None => visible(symbol).into_owned(),
        }
    };
    plan.functions.iter().map(name).collect()
}

/// The name of one.
pub(super) fn of(names: &[String], function: u32) -> &str {
    let index = usize::try_from(function).unwrap_or(usize::MAX);
    names.get(index).map_or("?", String::as_str)
}
