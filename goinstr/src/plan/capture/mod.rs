//! Which values of a function's calls are read, by which steps, and what the bytes then mean.
//!
//! In: the binary's debug information, or signatures as they were given. Out: a [`CapturePlan`].
//! Where values are follows from Go's register ABI; what debug information says about registers and
//! what pclntab says about the arguments' size must agree with it, or nothing is read: a wrong value is
//! worse than none.

mod abi;
mod compile;
mod failure;
mod places;
mod redaction;
mod shape;
mod sieve;
mod signature;
#[cfg(test)]
mod tests;
mod unread;

use std::collections::HashMap;

use goinstr_common::capture::Step;

use self::abi::{Assigned, Place};
use self::compile::Compiler;
pub use self::redaction::{BadRedaction, Redaction};
pub use self::shape::{Chunk, ContextStep, ErrorShape, InnerShape, Shape, ShapeKind, Word};
pub use self::sieve::Sieve;
pub use self::signature::{BadSignature, GivenSignature};
pub use self::unread::Unread;
use super::{Condition, ProbePlan};
use crate::binary::{
    DebugTypes, Function, GoBinary, Parameter, Signature, TypeSource, Vaddr, names,
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
    /// Signatures that hold whatever debug information says; of several of one function the last that agrees
    /// with the function table.
    pub signatures: Vec<GivenSignature>,
    /// Only calls are told of for which this holds.
    pub condition: Option<Condition>,
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
    /// What must not be shown of what only the program itself names.
    pub redaction: Redaction,
    /// The program's Go: 21 of 1.21.
    pub go_minor: Option<u32>,
    /// Whether only calls are told of for which a condition holds.
    pub conditional: bool,
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
    pub obstacle: Option<Unread>,
    /// Whether its signature is one that was given.
    pub given: bool,
    /// What the kernel program asks of its calls, where only some are told of.
    pub sieve: Sieve,
}

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
            .zip(&plan.functions)
            .map(|(function, planned)| {
                let Some(function) = function else {
                    return FunctionCapture::without(Unread::InLibrary);
                };
                let given = wanted.signatures.iter().rev();
                let given = given.filter(|given| given.is_of(&planned.name));
                let mut given =
                    given.map(|given| FunctionCapture::given(binary, function, given, wanted));
                if let Some(last) = given.next() {
                    // Of a generic function's instances, whose names are the same, each has its own.
                    let agrees = |capture: &FunctionCapture| capture.obstacle.is_none();
                    return match agrees(&last) {
                        true => last,
                        false => given.find(agrees).unwrap_or(last),
                    };
                }
                let signature = signatures.get(&function.entry);
                match (&types, signature) {
                    (Some(types), Some(signature)) => {
                        FunctionCapture::of(binary, function, types, signature, wanted)
                    }
                    _ => FunctionCapture::without(Unread::NoSignature),
                }
            })
            .collect();
        Self {
            functions,
            arguments: wanted.arguments,
            results: wanted.results,
            types: binary.types_address().map(Vaddr),
            redaction: wanted.redaction.clone(),
            go_minor: binary.go_minor(),
            conditional: wanted.condition.is_some(),
        }
    }
}

impl FunctionCapture {
    fn without(obstacle: Unread) -> Self {
        Self {
            obstacle: Some(obstacle),
            ..Self::default()
        }
    }

    /// By what debug information says.
    fn of(
        binary: &GoBinary,
        function: &Function,
        types: &dyn TypeSource,
        signature: &Signature,
        wanted: &Wanted,
    ) -> Self {
        if let Some(obstacle) = obstacle(binary, function, wanted) {
            return Self::without(obstacle);
        }
        let generic = binary.name(function).contains("[go.shape.");
        let width = binary.arguments_size(function).map(u64::from);
        let assigned = places::places(types, binary.arch(), signature, width, generic);
        Self::compiled(types, signature, &assigned, wanted, &|| {
            binary.context_deadline()
        })
    }

    /// By what was typed.
    fn given(
        binary: &GoBinary,
        function: &Function,
        given: &GivenSignature,
        wanted: &Wanted,
    ) -> Self {
        if let Some(obstacle) = obstacle(binary, function, wanted) {
            return Self::without(obstacle);
        }
        let dictionary = dictionary(binary, function);
        let width = binary.arguments_size(function).map(u64::from);
        let GivenSignature {
            types, signature, ..
        } = given;
        match places::given(types, binary.arch(), signature, width, dictionary) {
            Ok(assigned) => Self {
                given: true,
                ..Self::compiled(types, signature, &assigned, wanted, &|| {
                    binary.context_deadline()
                })
            },
            Err(obstacle) => Self::without(obstacle),
        }
    }

    /// The steps and shapes of what is wanted of values whose places are known.
    fn compiled(
        types: &dyn TypeSource,
        signature: &Signature,
        assigned: &Assigned,
        wanted: &Wanted,
        deadline: &dyn Fn() -> Option<u32>,
    ) -> Self {
        let mut entry = Compiler::at_entry(types, wanted, deadline);
        let parameters = if wanted.arguments {
            named(&mut entry, &signature.parameters, &assigned.parameters, "p")
        } else {
            Vec::new()
        };
        let exit_at = entry.end();
        let mut exit = Compiler::at_return(types, wanted, deadline, exit_at);
        let results = if wanted.results {
            named(&mut exit, &signature.results, &assigned.results, "r")
        } else {
            Vec::new()
        };
        let condition = wanted.condition.as_ref();
        let sieve = condition.map_or_else(Sieve::default, |condition| {
            Sieve::of(condition, &parameters, &results)
        });
        let capture = Self {
            bytes: if wanted.results { exit.end() } else { exit_at },
            exit_at,
            parameters,
            results,
            entry: entry.steps,
            exit: exit.steps,
            obstacle: None,
            given: false,
            sieve,
        };
        match capture.sieve.never {
            false => capture,
            // None of its calls is told of: nothing has to be read.
            true => Self {
                bytes: 0,
                entry: Vec::new(),
                exit: Vec::new(),
                ..capture
            },
        }
    }
}

/// Why nothing of a function can be read, whatever its signature.
fn obstacle(binary: &GoBinary, function: &Function, wanted: &Wanted) -> Option<Unread> {
    if function.is_assembly() {
        return Some(Unread::Assembly);
    }
    match binary.call_sites(function) {
        // Results are where they are, wherever the call was seen to begin.
        Ok(sites) if sites.entry.keeps_arguments || !wanted.arguments => None,
        _ => Some(Unread::Moved),
    }
}

/// The number of the hidden parameter that generic code has: behind a receiver, up to Go 1.19 before it
/// (`src/cmd/compile/internal/noder/`: `stencil.go` then, `reader.go` since). Not so closures, which have theirs
/// from the function around them, and code that only calls the generic one.
///
/// Without debug information an instance's name doesn't say what its type arguments are; which of several
/// signatures is its own must not depend on a guess about this.
fn dictionary(binary: &GoBinary, function: &Function) -> Option<usize> {
    let name = binary.name(function);
    let shaped = name.contains("[...]") || name.contains("[go.shape.");
    let generic = shaped && !function.is_wrapper() && !names::is_closure(name);
    let behind =
        names::receiver(name).is_some() && binary.go_minor().is_none_or(|minor| minor >= 20);
    generic.then_some(usize::from(behind))
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
