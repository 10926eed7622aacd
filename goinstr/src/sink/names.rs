//! What functions are called where only their names tell them apart.

use std::borrow::Cow;
use std::collections::HashMap;

use super::visible::visible;
use crate::plan::ProbePlan;

/// What to call each function: as stack traces do, but where several would be called the same. Spelt out.
pub(super) fn distinct(plan: &ProbePlan) -> Vec<String> {
    let names = as_they_are(plan);
    names.map(|name| visible(&name).into_owned()).collect()
}

/// The same with every character of them: for JSON, and to compare.
pub(super) fn as_they_are(plan: &ProbePlan) -> impl Iterator<Item = Cow<'_, str>> {
    let mut times: HashMap<&str, usize> = HashMap::new();
    for function in &plan.functions {
        *times.entry(&function.name).or_default() += 1;
    }
    plan.functions.iter().map(move |function| {
        if times.get(function.name.as_str()) == Some(&1) {
            return Cow::Borrowed(function.name.as_str());
        }
        let symbol = function.symbol.as_ref().unwrap_or(&function.name);
        match plan.library_of(function) {
            Some(library) => Cow::Owned(format!("{symbol} ({})", library.path.display())),
            None => Cow::Borrowed(symbol.as_str()),
        }
    })
}

/// The same, with a number where even that leaves several with one name: as what metrics are told
/// apart by.
pub(super) fn unique(plan: &ProbePlan) -> Vec<String> {
    let mut taken: HashMap<String, usize> = HashMap::new();
    let name = |name: String| {
        let times = taken.entry(name.clone()).or_default();
        *times += 1;
        match *times {
            1 => name,
            n => format!("{name}#{n}"),
        }
    };
    distinct(plan).into_iter().map(name).collect()
}

/// The name of one.
pub(super) fn of(names: &[String], function: u32) -> &str {
    let index = usize::try_from(function).unwrap_or(usize::MAX);
    names.get(index).map_or("?", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sample;

    #[test]
    fn no_two_functions_have_the_same_metrics() {
        let mut plan = sample::plan();
        plan.functions.push(plan.functions[0].clone());
        plan.functions.push(plan.functions[1].clone());
        let mut other = plan.functions[1].clone();
        other.symbol = Some("main.(*Cache[go.shape.string]).Get".to_owned());
        plan.functions.push(other);
        let names = unique(&plan);
        assert_eq!(names[0], "main.work");
        assert_eq!(names[5], "main.work#2");
        assert_eq!(names[1], "main.(*Cache[go.shape.int]).Get");
        assert_eq!(names[6], "main.(*Cache[go.shape.int]).Get#2");
        assert_eq!(names[7], "main.(*Cache[go.shape.string]).Get");
    }
}
