//! Which values of a function's calls are read, by which steps, and what the bytes then mean.
//!
//! In: the binary's debug information. Out: a [`CapturePlan`].
//! Where values are follows from Go's register ABI; what debug information says about registers and
//! what pclntab says about the arguments' size must agree with it, or nothing is read: a wrong value is
//! worse than none.

mod abi;
mod compile;
mod redaction;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use goinstr_common::capture::Step;

use self::abi::{Assigned, Part, Place};
use self::compile::Compiler;
pub use self::redaction::{BadRedaction, Redaction};
pub use self::shape::{Chunk, Shape, ShapeKind, Word};
use super::ProbePlan;
use crate::binary::{
    Arch, DebugTypes, Function, GoBinary, GoKind, Parameter, Signature, TypeRef, TypeSource, Vaddr,
};

/// How much of a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pointers that are followed one behind the other, and structures inside of each other.
    pub depth: u32,
    /// Bytes of a string.
    pub bytes: u32,
    /// Elements of a slice or array.
    pub items: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 2,
            bytes: 128,
            items: 4,
        }
    }
}

/// Which values are asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Of parameters, at the entry.
    pub arguments: bool,
    /// Of results, at the return.
    pub results: bool,
    /// How much of each.
    pub limits: Limits,
    /// Which of them must not be read.
    pub redaction: Redaction,
}

/// What is read of all functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturePlan {
    /// One for each function of the plan, in its order.
    pub functions: Vec<FunctionCapture>,
    /// Whether arguments were asked for.
    pub arguments: bool,
    /// Whether results were asked for.
    pub results: bool,
    /// Where the program's descriptions of types begin, by the file's own addresses.
    pub types: Option<Vaddr>,
}

/// What is read of a function's calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionCapture {
    /// What its parameters mean, by name.
    pub parameters: Vec<(String, Shape)>,
    /// What its results mean, by name.
    pub results: Vec<(String, Shape)>,
    /// The steps at its entry.
    pub entry: Vec<Step>,
    /// The steps at its return.
    pub exit: Vec<Step>,
    /// Where in the data the registers at the return go.
    pub exit_at: u32,
    /// Bytes of data in all; 0: nothing is read.
    pub bytes: u32,
    /// Why nothing of it can be read.
    pub obstacle: Option<&'static str>,
}

const NO_SIGNATURE: &str = "the binary has no debug information about it";
const IN_LIBRARY: &str = "it is in a plugin";
const MOVED: &str =
    "its calls are seen only after its first instructions, which may have changed them";
const ASSEMBLY: &str = "it is written in assembly";

impl CapturePlan {
    /// What is `wanted` of the functions of a plan.
    #[must_use]
    pub fn of(binary: &GoBinary, plan: &ProbePlan, wanted: &Wanted) -> Self {
        let sections = binary.debug_sections();
        let types = sections.as_ref().map(DebugTypes::new);
        let entries: Vec<Option<Function>> = plan
            .functions
            .iter()
            .map(|function| match function.entry.file {
                0 => binary.function_at(function.entry.address).copied(),
                _ => None,
            })
            .collect();
        let addresses: Vec<Vaddr> = entries.iter().flatten().map(|f| f.entry).collect();
        let signatures = types
            .as_ref()
            .map_or_else(HashMap::new, |types| types.signatures(&addresses));
        let functions = entries
            .iter()
            .map(|function| {
                let Some(function) = function else {
                    return FunctionCapture::without(IN_LIBRARY);
                };
                let signature = signatures.get(&function.entry);
                match (&types, signature) {
                    (Some(types), Some(signature)) => {
                        FunctionCapture::of(binary, function, types, signature, wanted)
                    }
                    _ => FunctionCapture::without(NO_SIGNATURE),
                }
            })
            .collect();
        Self {
            functions,
            arguments: wanted.arguments,
            results: wanted.results,
            types: binary.types_address().map(Vaddr),
        }
    }
}

impl FunctionCapture {
    fn without(obstacle: &'static str) -> Self {
        Self {
            obstacle: Some(obstacle),
            ..Self::default()
        }
    }

    fn of(
        binary: &GoBinary,
        function: &Function,
        types: &dyn TypeSource,
        signature: &Signature,
        wanted: &Wanted,
    ) -> Self {
        if function.is_assembly() {
            return Self::without(ASSEMBLY);
        }
        match binary.call_sites(function) {
            // Results are where they are, wherever the call was seen to begin.
            Ok(sites) if sites.entry.keeps_arguments || !wanted.arguments => {}
            _ => return Self::without(MOVED),
        }
        let generic = binary.name(function).contains("[go.shape.");
        let width = binary.arguments_size(function).map(u64::from);
        let assigned = places(
            &WithDictionary(types),
            binary.arch(),
            signature,
            width,
            generic,
        );
        Self::compiled(types, signature, &assigned, wanted)
    }

    /// The steps and shapes of what is wanted of values whose places are known.
    fn compiled(
        types: &dyn TypeSource,
        signature: &Signature,
        assigned: &Assigned,
        wanted: &Wanted,
    ) -> Self {
        let mut entry = Compiler::at_entry(types, wanted.limits, &wanted.redaction);
        let parameters = if wanted.arguments {
            named(&mut entry, &signature.parameters, &assigned.parameters, "p")
        } else {
            Vec::new()
        };
        let exit_at = entry.end();
        let mut exit = Compiler::at_return(types, wanted.limits, &wanted.redaction, exit_at);
        let results = if wanted.results {
            named(&mut exit, &signature.results, &assigned.results, "r")
        } else {
            Vec::new()
        };
        Self {
            bytes: if wanted.results { exit.end() } else { exit_at },
            exit_at,
            parameters,
            results,
            entry: entry.steps,
            exit: exit.steps,
            obstacle: None,
        }
    }
}

/// The shapes by name: those without one get a letter and their number.
fn named(
    compiler: &mut Compiler<'_>,
    list: &[Parameter],
    places: &[Place],
    letter: &str,
) -> Vec<(String, Shape)> {
    let mut shapes = Vec::new();
    for (index, (parameter, place)) in list.iter().zip(places).enumerate() {
        let named = |name: &&str| !name.starts_with('~') && *name != "_";
        let name = parameter.name.as_deref().filter(named);
        // What the compiler adds is nobody's argument.
        if name.is_some_and(|name| name.starts_with('.')) {
            continue;
        }
        let shape = compiler.value(name, parameter.ty, place);
        let name = name.map_or_else(|| format!("{letter}{index}"), str::to_owned);
        shapes.push((name, shape));
    }
    shapes
}

/// Where the values are: where the ABI puts them if all that is known agrees with that, else, of
/// parameters, where debug information sees them at the first instruction.
fn places(
    types: &dyn TypeSource,
    arch: Arch,
    signature: &Signature,
    width: Option<u64>,
    generic: bool,
) -> Assigned {
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
            with.insert(
                at,
                Parameter {
                    name: Some(".dict".to_owned()),
                    ty: DICTIONARY,
                    seen: Vec::new(),
                },
            );
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
    fn get(&self, at: TypeRef) -> Option<std::rc::Rc<crate::binary::GoType>> {
        if at == DICTIONARY {
            return Some(std::rc::Rc::new(crate::binary::GoType {
                name: "dictionary".to_owned(),
                size: 8,
                kind: GoKind::Uint,
            }));
        }
        self.0.get(at)
    }
}
