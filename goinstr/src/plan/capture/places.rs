//! Where a function's values are: what the ABI says, if all that is known agrees with it.
//!
//! In: a signature, from debug information or as it was given. Out: [`Assigned`].

use std::rc::Rc;

use super::abi::{self, Assigned, Part, Place};
use super::unread::Unread;
use crate::binary::{Arch, GoKind, GoType, Parameter, Signature, TypeRef, TypeSource};

/// Where the values are: where the ABI puts them if all that is known agrees with that, else, of
/// parameters, where debug information sees them at the first instruction.
pub(super) fn places(
    types: &dyn TypeSource,
    arch: Arch,
    signature: &Signature,
    width: Option<u64>,
    generic: bool,
) -> Assigned {
    let types = &WithDictionary(types);
    if !in_order(signature) {
        return Assigned {
            parameters: vec![Place::Nowhere; signature.parameters.len()],
            results: vec![Place::Nowhere; signature.results.len()],
            width: 0,
        };
    }
    let mut agreed: Vec<Assigned> = Vec::new();
    for (parameters, hidden) in candidates(signature, generic) {
        let assigned = abi::assign(types, arch, &parameters, &signature.results);
        let Some(mut assigned) = assigned.filter(|assigned| Some(assigned.width) == width) else {
            continue;
        };
        let seen = parameters.iter().zip(&assigned.parameters);
        if seen
            .into_iter()
            .any(|(p, place)| contradicts(arch, p, place))
        {
            continue;
        }
        if let Some(hidden) = hidden {
            assigned.parameters.remove(hidden);
        }
        if !agreed.contains(&assigned) {
            agreed.push(assigned);
        }
    }
    if agreed.len() == 1
        && let Some(assigned) = agreed.pop()
    {
        return assigned;
    }
    // Results that are in registers are where they are whatever the parameters.
    let results = abi::assign(types, arch, &[], &signature.results).map(|a| a.results);
    let results = results
        .unwrap_or_default()
        .into_iter()
        .map(|place| match place {
            Place::Registers(parts) => Place::Registers(parts),
            Place::Stack(_) | Place::Nowhere => Place::Nowhere,
        });
    let mut results: Vec<Place> = results.collect();
    results.resize(signature.results.len(), Place::Nowhere);
    Assigned {
        parameters: signature
            .parameters
            .iter()
            .map(|parameter| seen(types, arch, parameter).unwrap_or(Place::Nowhere))
            .collect(),
        results,
        width: 0,
    }
}

/// Whether the numbers in the names of results that have none are those of their places: up to Go 1.17
/// they count the parameters too.
fn in_order(signature: &Signature) -> bool {
    let parameters = signature.parameters.len();
    signature.results.iter().enumerate().all(|(index, result)| {
        let number = result
            .name
            .as_deref()
            .and_then(|name| name.strip_prefix("~r").or(name.strip_prefix("~b")))
            .and_then(|number| number.parse::<usize>().ok());
        number.is_none_or(|number| number == index || number == parameters + index)
    })
}

/// The parameters that the function may have in truth, with the index of one that debug information
/// hides: up to some version, the dictionary of generic code.
fn candidates(signature: &Signature, generic: bool) -> Vec<(Vec<Parameter>, Option<usize>)> {
    let known = &signature.parameters;
    let mut candidates = vec![(known.clone(), None)];
    let told = known
        .iter()
        .any(|parameter| parameter.name.as_deref() == Some(".dict"));
    if generic && !told {
        for at in 0..=known.len().min(1) {
            let mut with = known.clone();
            with.insert(at, hidden());
            candidates.push((with, Some(at)));
        }
    }
    candidates
}

/// The type of a hidden dictionary.
const DICTIONARY: TypeRef = TypeRef(u64::MAX);

/// Whether debug information sees a part of it in another register.
fn contradicts(arch: Arch, parameter: &Parameter, place: &Place) -> bool {
    let Place::Registers(parts) = place else {
        return !parameter.seen.is_empty();
    };
    parameter.seen.iter().any(|seen| {
        let part = parts.iter().find(|part| part.offset == seen.offset);
        // Up to Go 1.19 the list of an interface is longer than the interface.
        part.is_some_and(|part| abi::numbered(arch, seen.register) != Some(part.register))
    })
}

/// The registers in which debug information sees all of it.
fn seen(types: &dyn TypeSource, arch: Arch, parameter: &Parameter) -> Option<Place> {
    let parts = abi::parts(types, arch, parameter.ty)?;
    if parts.is_empty() {
        return None;
    }
    let placed = parts.into_iter().map(|part| {
        let seen = parameter
            .seen
            .iter()
            .find(|seen| seen.offset == part.offset)?;
        let register = abi::numbered(arch, seen.register)?;
        Some(Part { register, ..part })
    });
    placed.collect::<Option<Vec<Part>>>().map(Place::Registers)
}

/// Types of which one more is known: the dictionary's.
struct WithDictionary<'t>(&'t dyn TypeSource);

impl TypeSource for WithDictionary<'_> {
    fn get(&self, at: TypeRef) -> Option<Rc<GoType>> {
        if at == DICTIONARY {
            return Some(Rc::new(GoType {
                name: "dictionary".to_owned(),
                size: 8,
                kind: GoKind::Uint,
            }));
        }
        self.0.get(at)
    }
}

/// Where the values of a signature are that was given; `dictionary`: the hidden parameter's number, in
/// generic code that has one.
///
/// # Errors
/// The arguments would not take the bytes that the function table says (`width`).
pub(super) fn given(
    types: &dyn TypeSource,
    arch: Arch,
    signature: &Signature,
    width: Option<u64>,
    dictionary: Option<usize>,
) -> Result<Assigned, Unread> {
    let types = &WithDictionary(types);
    let mut parameters = signature.parameters.clone();
    let at = dictionary.map(|at| at.min(parameters.len()));
    if let Some(at) = at {
        parameters.insert(at, hidden());
    }
    let assigned = abi::assign(types, arch, &parameters, &signature.results);
    let own = assigned.as_ref().map(|assigned| assigned.width);
    let agrees = assigned.filter(|assigned| Some(assigned.width) == width);
    let Some(mut assigned) = agrees else {
        let given = own;
        let told = width;
        return Err(Unread::Disagrees { given, told });
    };
    if let Some(at) = at {
        assigned.parameters.remove(at);
    }
    Ok(assigned)
}

/// The dictionary of generic code, as a parameter.
fn hidden() -> Parameter {
    Parameter {
        name: Some(".dict".to_owned()),
        ty: DICTIONARY,
        seen: Vec::new(),
    }
}
