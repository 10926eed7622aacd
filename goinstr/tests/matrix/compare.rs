//! What goinstr reads in a binary, held against the truth.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use goinstr::binary::{
    Function, GoBinary, LayoutSource, RuntimeLayout, Vaddr,
    code::{CallSites, Refusal, Unmeasurable},
};

use crate::truth::{TrueFunction, Truth};

/// How many agree.
#[derive(Debug, Default)]
pub struct Score {
    /// Functions that exist, and those of them found under their name.
    pub functions: usize,
    pub found: usize,
    /// Functions whose sites the truth tells, and those of them with exactly these.
    pub sites: usize,
    pub right: usize,
    /// Functions that are rightly not measured, for one reason or another.
    pub refused: usize,
    pub faults: Vec<String>,
}

/// Compares `binary` with the truth about its unstripped twin; `returns` are a second opinion on
/// assembly, which the first one's decoder doesn't know all of.
pub fn compare(
    binary: &Path,
    truth: &Truth,
    returns: Option<&BTreeSet<u64>>,
) -> Result<Score, String> {
    let read = GoBinary::open(binary).map_err(|why| format!("{}: {why}", binary.display()))?;
    let functions: BTreeMap<u64, &Function> = read
        .functions()
        .iter()
        .map(|function| (function.entry.0, function))
        .collect();
    let mut score = Score::default();
    for (at, expected) in truth.iter().filter(|(_, function)| function.is_go()) {
        score.functions += 1;
        let Some(function) = functions.get(at) else {
            score
                .faults
                .push(format!("{at:#x} {} is missing", expected.name));
            continue;
        };
        let name = read.name(function);
        if plain(name) != plain(&expected.name) {
            score
                .faults
                .push(format!("{at:#x} {} is called {name}", expected.name));
            continue;
        }
        score.found += 1;
        if function.is_assembly() != expected.is_assembly() {
            score
                .faults
                .push(format!("{at:#x} {name} is from {}", expected.file));
        }
        let sites = read.call_sites(function);
        match judge(&sites, *at, function, expected, returns) {
            Verdict::Right => {
                score.sites += 1;
                score.right += 1;
            }
            Verdict::RightlyRefused => score.refused += 1,
            Verdict::Untold => {}
            Verdict::Wrong => {
                score.sites += 1;
                score
                    .faults
                    .push(format!("{name}: {sites:x?}, in truth {expected:x?}"));
            }
        }
    }
    for (at, function) in functions {
        if function.is_not_go() {
            continue;
        }
        match truth.get(&at) {
            None => score
                .faults
                .push(format!("{at:#x} {} does not exist", read.name(function))),
            Some(other) if !other.is_go() => score
                .faults
                .push(format!("{at:#x} {} is not Go", read.name(function))),
            Some(_) => {}
        }
    }
    Ok(score)
}

/// Whether the runtime's offsets are the same without DWARF, from the table of versions, as by the
/// twin's DWARF.
pub fn layouts(twin: &Path, binary: &Path) -> Result<Option<String>, String> {
    let read = |path: &Path| {
        let binary = GoBinary::open(path).map_err(|why| format!("{}: {why}", path.display()))?;
        binary.runtime_layout().map_err(|why| why.to_string())
    };
    let (by_dwarf, found) = (read(twin)?, read(binary)?);
    if by_dwarf.source != LayoutSource::Dwarf {
        return Err("the twin has no DWARF".to_owned());
    }
    let same = RuntimeLayout {
        source: by_dwarf.source,
        ..found
    } == by_dwarf;
    Ok((!same).then(|| format!("{found:?}, by DWARF {by_dwarf:?}")))
}

enum Verdict {
    Right,
    RightlyRefused,
    Wrong,
    /// The truth doesn't tell.
    Untold,
}

fn judge(
    sites: &Result<CallSites, Unmeasurable>,
    start: u64,
    function: &Function,
    truth: &TrueFunction,
    returns: Option<&BTreeSet<u64>>,
) -> Verdict {
    if truth.is_assembly() {
        return match (sites, returns) {
            (Err(_), _) => Verdict::RightlyRefused,
            (Ok(_), None) => Verdict::Untold,
            (Ok(sites), Some(returns)) => {
                let true_returns = returns.range(start..function.end.0).copied();
                right(sites.exits.iter().map(|exit| exit.0).eq(true_returns))
            }
        };
    }
    let only_returns = truth.returns.first() == Some(&truth.entry);
    match sites {
        Err(Unmeasurable::TailCall { .. }) if truth.jumps_out => Verdict::RightlyRefused,
        Err(Unmeasurable::LockPrefix { .. }) if truth.locked => Verdict::RightlyRefused,
        Err(Unmeasurable::Unprobeable {
            why: Refusal::Return,
            ..
        }) if only_returns => Verdict::RightlyRefused,
        Err(_) => Verdict::Wrong,
        Ok(sites) => {
            let entered = [truth.entry, truth.restarted].contains(&sites.entry.address.0)
                || truth.locked && sites.entry.address > Vaddr(truth.entry);
            // Where a table leads isn't known: saying yes is the safe side.
            let reenters = sites.entry.reenters == truth.loops
                || truth.locked
                || truth.tables && !truth.checked && sites.entry.reenters;
            right(
                entered
                    && reenters
                    && !truth.jumps_out
                    && sites.entry.after_stack_check == truth.checked
                    && sites
                        .exits
                        .iter()
                        .map(|exit| exit.0)
                        .eq(truth.returns.iter().copied()),
            )
        }
    }
}

fn right(right: bool) -> Verdict {
    if right {
        Verdict::Right
    } else {
        Verdict::Wrong
    }
}

/// A name without what only the symbol table knows: the calling convention, and before Go 1.21 the
/// type arguments.
fn plain(name: &str) -> String {
    let name = name.strip_suffix(".abi0").unwrap_or(name);
    let mut plain = String::with_capacity(name.len());
    let mut depth = 0;
    for c in name.chars() {
        match c {
            '[' => {
                if depth == 0 {
                    plain.push('[');
                }
                depth += 1;
            }
            ']' => {
                depth -= 1;
                if depth == 0 {
                    plain.push(']');
                }
            }
            // Go's tools print the middle dot of the compiler's own names as they print a package's.
            '·' if depth == 0 => plain.push('.'),
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    plain
}
