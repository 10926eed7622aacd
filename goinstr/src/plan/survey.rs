//! The chosen functions of a binary, each with its sites or with what stands in the way.
//!
//! Only chosen functions are decoded, on all CPUs where there are many. What `list` shows and what
//! a plan is made of come from here, so that they can't differ.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::num::NonZero;
use std::thread;

use super::obstacle::Obstacle;
use super::{Pattern, PlanError, Site, choose};
use crate::binary::{Function, GoBinary, Location, Vaddr, names};

/// Fewer functions than this are decoded sooner than a thread starts.
const WORTH_A_THREAD: usize = 256;
/// Callers of an inlined function that are looked up by name.
const CALLERS: usize = 3;

/// One chosen function.
#[derive(Clone, Debug)]
pub struct Surveyed<'b> {
    /// Name as the linker wrote it: with the type arguments.
    pub name: &'b str,
    /// Its body, unless it only exists inlined.
    pub function: Option<Function>,
    /// Where its calls begin and end, or why that can't be seen.
    pub verdict: Result<Sites, Obstacle>,
    /// Number of functions that hold an inlined copy of it.
    pub inlined_into: u32,
}

/// Where the calls of a function begin and end, in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sites {
    /// Where a call begins.
    pub entry: Site,
    /// Whether several hits of `entry` in one frame are one call.
    pub reenters: bool,
    /// Where calls end; empty for a function without a return.
    pub exits: Vec<Site>,
}

impl<'b> Surveyed<'b> {
    /// Name as stack traces and `pprof` print it.
    #[must_use]
    pub fn printed(&self) -> Cow<'b, str> {
        names::printed(self.name)
    }

    /// Address of its body.
    #[must_use]
    pub fn address(&self) -> Option<Vaddr> {
        self.function.map(|function| function.entry)
    }

    /// Bytes of its body, padding included.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.function.map(|function| function.size())
    }

    /// Where its source is.
    #[must_use]
    pub fn location(&self, binary: &'b GoBinary) -> Option<Location<'b>> {
        binary.location(&self.function?)
    }
}

/// What `patterns` choose of `binary`, by address; functions that only exist inlined last, by name.
///
/// # Errors
/// Those of [`choose`].
pub fn survey<'b>(
    binary: &'b GoBinary,
    patterns: &[Pattern],
) -> Result<Vec<Surveyed<'b>>, PlanError> {
    let inlined = binary.inlined();
    let chosen = chosen(binary, &inlined, patterns)?;
    let twins = Twins::among(&chosen);
    Ok(in_parallel(&chosen, |&(name, function)| {
        let callers = inlined.get(name).map_or(&[][..], Vec::as_slice);
        let verdict = match function {
            None => Err(inlined_everywhere(binary, callers)),
            Some(function) => match twins.body(name, &function) {
                Some(body) => Err(Obstacle::AbiWrapper { body }),
                None => sites(binary, &function),
            },
        };
        let inlined_into = u32::try_from(callers.len()).unwrap_or(u32::MAX);
        Surveyed {
            name,
            function,
            verdict,
            inlined_into,
        }
    }))
}

/// The names that `patterns` choose of `binary`, with their bodies by address; those of functions
/// that only exist inlined last, by name. `inlined` is [`GoBinary::inlined`]'s.
///
/// # Errors
/// Those of [`choose`].
pub(super) fn chosen<'b>(
    binary: &'b GoBinary,
    inlined: &HashMap<&'b str, Vec<&Function>>,
    patterns: &[Pattern],
) -> Result<Vec<(&'b str, Option<Function>)>, PlanError> {
    let functions = binary.functions();
    let mut names: Vec<&str> = functions
        .iter()
        .map(|function| binary.name(function))
        .collect();
    names.extend(without_body(inlined, &names));

    let prefixes = binary.main_package_prefixes();
    let is_default = |index: usize| match (functions.get(index), names.get(index)) {
        (Some(function), _) => binary.in_main_module(function),
        (None, Some(name)) => is_below(&prefixes, name),
        (None, None) => false,
    };
    let chosen = choose(patterns, &names, is_default)?;
    let indexed = names.iter().zip(chosen).enumerate();
    Ok(indexed
        .filter(|(_, (_, chosen))| *chosen)
        .map(|(index, (name, _))| (*name, functions.get(index).copied()))
        .collect())
}

fn inlined_everywhere(binary: &GoBinary, callers: &[&Function]) -> Obstacle {
    let name = |caller: &&Function| binary.printed_name(caller).into_owned();
    Obstacle::Inlined {
        into: u32::try_from(callers.len()).unwrap_or(u32::MAX),
        callers: callers.iter().take(CALLERS).map(name).collect(),
    }
}

fn sites(binary: &GoBinary, function: &Function) -> Result<Sites, Obstacle> {
    let sites = binary.call_sites(function).map_err(Obstacle::Code)?;
    Ok(Sites {
        entry: site(binary, sites.entry.address)?,
        reenters: sites.entry.reenters,
        exits: sites
            .exits
            .iter()
            .map(|&exit| site(binary, exit))
            .collect::<Result<_, _>>()?,
    })
}

/// The site at an address of the binary.
pub(super) fn site(binary: &GoBinary, address: Vaddr) -> Result<Site, Obstacle> {
    let offset = binary
        .file_offset(address)
        .ok_or(Obstacle::NotInFile { at: address })?;
    Ok(Site {
        file: 0,
        address,
        offset,
    })
}

/// Names of functions that were inlined somewhere and have no body of their own, ascending.
fn without_body<'b>(inlined: &HashMap<&'b str, Vec<&Function>>, bodies: &[&str]) -> Vec<&'b str> {
    let bodies: HashSet<&str> = bodies.iter().copied().collect();
    let mut names: Vec<&str> = inlined
        .keys()
        .copied()
        .filter(|name| !bodies.contains(name))
        .collect();
    names.sort_unstable();
    names
}

/// Whether the package of `name` is one of `prefixes` or below it.
fn is_below(prefixes: &[String], name: &str) -> bool {
    let path = names::import_path(names::package(name));
    let below = |prefix: &String| {
        path.strip_prefix(prefix.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    prefixes.iter().any(below)
}

/// Names that two functions have: the body, and the wrapper by which the other calling convention
/// gets there. The symbol table tells them apart by `.abi0`, pclntab doesn't.
struct Twins<'b>(HashMap<&'b str, Vaddr>);

impl<'b> Twins<'b> {
    fn among(chosen: &[(&'b str, Option<Function>)]) -> Self {
        let wrapped = |(name, function): &(&'b str, Option<Function>)| {
            function.filter(Function::is_wrapper).map(|_| *name)
        };
        let wrapped: HashSet<&str> = chosen.iter().filter_map(wrapped).collect();
        let body = |(name, function): &(&'b str, Option<Function>)| {
            let function = function.filter(|function| !function.is_wrapper())?;
            wrapped.contains(name).then_some((*name, function.entry))
        };
        Self(chosen.iter().filter_map(body).collect())
    }

    /// The body that `function` is only a wrapper of.
    fn body(&self, name: &str, function: &Function) -> Option<Vaddr> {
        function
            .is_wrapper()
            .then(|| self.0.get(name).copied())
            .flatten()
    }
}

/// `items` mapped, in their order, on as many CPUs as pay.
pub(super) fn in_parallel<T: Sync, R: Send>(items: &[T], map: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cpus = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = cpus.min(items.len() / WORTH_A_THREAD).max(1);
    let chunk = items.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let map = &map;
        let mut chunks = items.chunks(chunk);
        // The first is this thread's own.
        let own = chunks.next().unwrap_or_default();
        let others: Vec<_> = chunks
            .map(|items| scope.spawn(move || items.iter().map(map).collect::<Vec<_>>()))
            .collect();
        let mut results: Vec<R> = Vec::with_capacity(items.len());
        results.extend(own.iter().map(map));
        for other in others {
            match other.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}
