//! Single calls, which come as they return → calls with those inside them → a tree of all paths.
//!
//! For recordings, which are read at leisure; what is kept is bounded all the same.

use std::collections::HashMap;

use super::States;
use super::report::{CallEvent, Outcome};

/// Calls that wait for the call around them, at most: about 200 bytes each.
const WAITING: usize = 500_000;
/// Paths told apart: a recursion can make any number of them.
const PATHS: usize = 100_000;

/// A call and the traced calls directly inside it, in the order in which they returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nested {
    /// The call.
    pub call: CallEvent,
    /// Those inside it: at most as many levels as the kernel follows.
    pub inside: Vec<Nested>,
}

/// Puts calls into those around them.
#[derive(Debug, Default)]
pub struct Nesting {
    waiting: HashMap<u64, Vec<Nested>>,
    kept: usize,
}

impl Nesting {
    /// Takes the next call that returned and gives those that no other call is around, or whose
    /// outer call is not among them.
    pub fn add(&mut self, call: CallEvent) -> Vec<Nested> {
        let outermost = call.depth == 0;
        let goid = call.goid;
        let waiting = self.waiting.entry(goid).or_default();
        let is_inside = |before: &Nested| {
            before.call.depth > call.depth && before.call.start_unix_ns >= call.start_unix_ns
        };
        let first = waiting
            .iter()
            .rposition(|before| !is_inside(before))
            .map_or(0, |outside| outside + 1);
        let inside = waiting.split_off(first);
        waiting.push(Nested { call, inside });
        self.kept += 1;
        if outermost {
            let complete = self.waiting.remove(&goid).unwrap_or_default();
            self.kept -= complete.iter().map(count).sum::<usize>().min(self.kept);
            return complete;
        }
        if self.kept > WAITING {
            return self.rest();
        }
        Vec::new()
    }

    /// All that still wait: the calls around them have not returned, or are not known.
    pub fn rest(&mut self) -> Vec<Nested> {
        self.kept = 0;
        let mut goroutines: Vec<_> = std::mem::take(&mut self.waiting).into_iter().collect();
        goroutines.sort_unstable_by_key(|&(goid, _)| goid);
        goroutines
            .into_iter()
            .flat_map(|(_, calls)| calls)
            .collect()
    }
}

/// What a call did while none of the calls inside it was open: adds up to its exclusive time.
fn exclusive(call: &CallEvent, inside: &[Nested]) -> Option<States> {
    let mut own = call.states.clone()?;
    for nested in inside {
        own.subtract(nested.call.states.as_ref()?);
    }
    // Each call's correction was taken off what it ran: so is what the corrections differ by.
    let waited = own.runnable_ns + own.waiting_ns + own.syscall_ns;
    own.running_ns = call.self_ns.checked_sub(waited)?;
    Some(own)
}

fn count(nested: &Nested) -> usize {
    1 + nested.inside.iter().map(count).sum::<usize>()
}

/// All calls of one path: of a function, called from the same functions on all levels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// The function's index in the plan.
    pub function: u32,
    /// The path of the caller, an index below this one's; `None`: nothing traced was around.
    pub caller: Option<usize>,
    /// Finished calls. 0 where only calls inside are known: this one has not returned.
    pub calls: u64,
    /// Those of them that were unwound.
    pub unwound: u64,
    /// Sum of their durations in ns.
    pub total_ns: u64,
    /// Sum of their exclusive times in ns.
    pub self_ns: u64,
    /// `self_ns` by state, of the calls whose states are known, and those of all calls inside them.
    pub self_states: States,
}

/// The tree of all paths.
#[derive(Debug, Default)]
pub struct CallTree {
    nesting: Nesting,
    paths: Vec<Path>,
    known: HashMap<(Option<usize>, u32), usize>,
}

impl CallTree {
    /// Adds a finished call.
    pub fn add(&mut self, call: &CallEvent) {
        for nested in self.nesting.add(call.bare()) {
            self.book(nested);
        }
    }

    /// Adds what waits for calls that never came, and gives all paths, callers first.
    pub fn finish(&mut self) -> &[Path] {
        for nested in self.nesting.rest() {
            self.book(nested);
        }
        &self.paths
    }

    /// The functions of a path, outermost first.
    #[must_use]
    pub fn functions(&self, path: usize) -> Vec<u32> {
        let mut functions = Vec::new();
        let mut next = Some(path);
        while let Some(path) = next.and_then(|index| self.paths.get(index)) {
            functions.push(path.function);
            next = path.caller;
        }
        functions.reverse();
        functions
    }

    fn book(&mut self, root: Nested) {
        // Below the function that is around it, although that call is not finished or not known.
        let around = root.call.parent.and_then(|parent| self.path(None, parent));
        let mut left = vec![(around, root)];
        while let Some((caller, nested)) = left.pop() {
            let call = nested.call;
            let Some(index) = self.path(caller, call.function) else {
                // No room for another path: its time is its caller's.
                if let Some(path) = caller.and_then(|caller| self.paths.get_mut(caller)) {
                    path.self_ns = path.self_ns.saturating_add(call.duration_ns);
                }
                continue;
            };
            if let Some(path) = self.paths.get_mut(index) {
                path.calls += 1;
                path.unwound += u64::from(call.outcome == Outcome::Unwound);
                path.total_ns = path.total_ns.saturating_add(call.duration_ns);
                path.self_ns = path.self_ns.saturating_add(call.self_ns);
                if let Some(states) = exclusive(&call, &nested.inside) {
                    path.self_states.add(&states);
                }
            }
            left.extend(
                nested
                    .inside
                    .into_iter()
                    .map(|inside| (Some(index), inside)),
            );
        }
    }

    fn path(&mut self, caller: Option<usize>, function: u32) -> Option<usize> {
        if let Some(&index) = self.known.get(&(caller, function)) {
            return Some(index);
        }
        if self.paths.len() >= PATHS {
            return None;
        }
        let index = self.paths.len();
        self.paths.push(Path {
            function,
            caller,
            ..Path::default()
        });
        self.known.insert((caller, function), index);
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(function: u32, goid: u64, depth: u32, start: u64, end: u64) -> CallEvent {
        CallEvent {
            function,
            goid,
            parent_goid: None,
            start_unix_ns: start,
            duration_ns: end - start,
            self_ns: end - start,
            corrected_ns: 0,
            outcome: Outcome::Returned,
            parent: (depth > 0).then_some(9),
            depth,
            states: None,
            callers: Vec::new(),
            stack: None,
            values: None,
        }
    }

    fn tree(calls: &[CallEvent]) -> Vec<(Vec<u32>, u64, u64)> {
        let mut tree = CallTree::default();
        for call in calls {
            tree.add(call);
        }
        let paths = tree.finish().to_vec();
        let told =
            |(index, path): (usize, &Path)| (tree.functions(index), path.calls, path.total_ns);
        let mut told: Vec<_> = paths.iter().enumerate().map(told).collect();
        told.sort();
        told
    }

    #[test]
    fn calls_of_two_goroutines_at_once_make_their_paths() {
        let told = tree(&[
            call(2, 1, 2, 12, 14),
            call(3, 2, 1, 11, 15),
            call(2, 1, 2, 14, 15),
            call(1, 1, 1, 11, 18),
            call(0, 2, 0, 10, 19),
            call(2, 1, 1, 18, 19),
            call(0, 1, 0, 10, 20),
        ]);
        assert_eq!(
            told,
            [
                (vec![0], 2, 19),
                (vec![0, 1], 1, 7),
                (vec![0, 1, 2], 2, 3),
                (vec![0, 2], 1, 1),
                (vec![0, 3], 1, 4),
            ]
        );
    }

    #[test]
    fn calls_inside_one_that_never_returns_hang_below_it() {
        let told = tree(&[
            call(2, 1, 4, 12, 14),
            call(1, 1, 3, 11, 15),
            call(1, 1, 3, 16, 17),
        ]);
        assert_eq!(
            told,
            [(vec![9], 0, 0), (vec![9, 1], 2, 5), (vec![9, 1, 2], 1, 2)]
        );
    }

    #[test]
    fn a_call_is_inside_none_that_began_later() {
        let told = tree(&[call(2, 1, 1, 5, 8), call(0, 1, 0, 10, 20)]);
        assert_eq!(
            told,
            [(vec![0], 1, 10), (vec![9], 0, 0), (vec![9, 2], 1, 3)]
        );
    }

    #[test]
    fn a_recursion_without_end_fills_no_memory() {
        let mut tree = CallTree::default();
        for goid in 0..100 {
            for depth in (0..2000).rev() {
                tree.add(&call(goid, u64::from(goid), depth, u64::from(depth), 5000));
            }
        }
        assert_eq!(tree.finish().len(), PATHS);
    }
}
