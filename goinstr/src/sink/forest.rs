//! Puts single calls, which come as they return, back into trees.
//!
//! In: finished calls, innermost first, of many goroutines at once, and now and then which calls
//! are open. Out: calls in the order in which they began, each under the one it was made in; a
//! goroutine's tree under the call that started the goroutine. What is kept meanwhile is bounded
//! in number and in time: a root may never return.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::aggregate::{CallEvent, OpenCall};
use crate::plan::ProbePlan;

/// Bytes of calls kept at most: some 200,000 calls of which only the times are asked for.
const KEPT_BYTES: usize = 32 << 20;
/// How long finished calls wait for the one around them, in ns.
const PATIENCE_NS: u64 = 2_000_000_000;
/// How long a finished tree waits for the call that started its goroutine, in ns.
const LINK_PATIENCE_NS: u64 = 10_000_000_000;
/// Levels of goroutines that start goroutines that are shown as such.
const LINK_LEVELS: u32 = 64;

/// Which part of the trees is wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Cut {
    /// Whether a function, by its index in the plan, may be a tree's root; `None`: whatever is outermost.
    pub roots: Option<Vec<bool>>,
    /// At most so many levels.
    pub levels: Option<u32>,
}

impl Cut {
    /// What the plan asks for, by the indices that its functions have now that it is armed.
    pub fn of(plan: &ProbePlan, levels: Option<u32>) -> Self {
        Self {
            roots: plan.roots.clone(),
            levels,
        }
    }
}

/// One line of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A finished call.
    Call {
        call: CallEvent,
        /// Levels below the tree's root.
        level: u32,
        /// The tree's root: its duration.
        root_ns: u64,
        /// It is the outermost of a goroutine that the call above it started.
        linked: bool,
    },
    /// A call that has not returned, though calls inside it have waited long enough.
    Open { call: OpenCall, level: u32 },
}

/// The calls of one goroutine whose outermost has returned.
#[derive(Debug)]
struct Tree {
    /// In the order in which they began.
    calls: Vec<CallEvent>,
}

impl Tree {
    fn root(&self) -> Option<&CallEvent> {
        self.calls.first()
    }
}

/// Calls that wait for those around them.
#[derive(Debug, Default)]
pub(super) struct Forest {
    cut: Cut,
    /// Finished calls inside of others that have not returned, by goroutine, in order of return.
    pending: HashMap<u64, Vec<CallEvent>>,
    /// The same where the outermost has returned, and roots that were asked for are to be found among them.
    whole: Vec<Vec<CallEvent>>,
    /// Finished trees, in order of return.
    finished: Vec<Tree>,
    /// Functions whose calls that were open are not told of.
    shed: HashSet<u32>,
    kept: Kept,
}

/// How much waits.
#[derive(Debug, Default, PartialEq, Eq)]
struct Kept {
    calls: usize,
    bytes: usize,
}

impl Kept {
    fn add(&mut self, call: &CallEvent) {
        self.calls += 1;
        self.bytes += call.bytes();
    }

    fn remove(&mut self, calls: &[CallEvent]) {
        self.calls -= calls.len();
        self.bytes -= calls.iter().map(CallEvent::bytes).sum::<usize>();
    }

    /// Whether nothing can wait any longer.
    const fn is_too_much(&self) -> bool {
        self.bytes > KEPT_BYTES
    }
}

impl Forest {
    pub fn new(cut: Cut) -> Self {
        Self {
            cut,
            ..Self::default()
        }
    }

    /// Calls that wait.
    pub const fn kept(&self) -> usize {
        self.kept.calls
    }

    /// Whether the function was asked for as a root, where some were.
    fn is_root(&self, function: u32) -> Option<bool> {
        let roots = self.cut.roots.as_ref()?;
        Some(roots.get(function as usize) == Some(&true))
    }

    /// Whether a tree may begin with the call: it is of a root, or was made in a call of one that was shed
    /// meanwhile, which will not be told of.
    fn may_begin(&self, call: &CallEvent) -> bool {
        let is_root = |function| self.is_root(function) == Some(true);
        let begins = |parent| is_root(parent) && self.shed.contains(&parent);
        is_root(call.function) || call.parent.is_some_and(begins)
    }

    /// No call of the function comes any more.
    pub fn shed(&mut self, function: u32) {
        self.shed.insert(function);
    }

    /// Takes a call that has returned.
    pub fn add(&mut self, call: CallEvent) {
        self.kept.add(&call);
        let pending = self.pending.entry(call.goid).or_default();
        if call.depth > 0 {
            pending.push(call);
            return;
        }
        let goid = call.goid;
        if self.cut.roots.is_some() {
            pending.push(call);
            // Not yet: which functions were shed is told after the calls.
            self.whole.extend(self.pending.remove(&goid));
            return;
        }
        // What returned before on this goroutine and began later was inside it.
        let inside = pending
            .iter()
            .rposition(|before| before.start_unix_ns < call.start_unix_ns)
            .map_or(0, |outside| outside + 1);
        let mut calls = pending.split_off(inside);
        calls.push(call);
        self.finished.push(tree(calls));
        if let Some(rest) = self.pending.remove(&goid) {
            self.finish_rest(rest);
        }
    }

    /// Calls around which the outermost has returned, of which some may be roots that were asked for.
    fn finish_rest(&mut self, rest: Vec<CallEvent>) {
        if rest.is_empty() {
            return;
        }
        if self.cut.roots.is_none() {
            // Their outermost call's record was lost: they are shown without it.
            self.finished.push(tree(rest));
            return;
        }
        let calls = tree(rest).calls;
        let mut shown = Vec::new();
        for call in calls {
            let under = shown.last().is_some_and(|tree: &Tree| {
                tree.root()
                    .is_some_and(|root| call.depth > root.depth && begins_in(root, &call))
            });
            if under {
                if let Some(tree) = shown.last_mut() {
                    tree.calls.push(call);
                }
            } else if self.may_begin(&call) {
                shown.push(Tree { calls: vec![call] });
            } else {
                self.kept.remove(std::slice::from_ref(&call));
            }
        }
        self.finished.append(&mut shown);
    }

    /// Whether it would help to know which calls are open.
    pub fn asks_for_open(&self) -> bool {
        !(self.pending.is_empty() && self.whole.is_empty())
            || self
                .finished
                .iter()
                .any(|tree| tree.root().is_some_and(|root| root.parent_goid.is_some()))
    }

    /// What can be shown at `now_ns`. `open`: the calls that are open, outermost first on each
    /// goroutine, where they were looked at; all that returned before was added. A call that will not be told
    /// of, because its function was shed, is not among them: nothing waits for it.
    pub fn ready(&mut self, open: Option<&[OpenCall]>, now_ns: u64) -> Vec<Entry> {
        let mut by_goid: HashMap<u64, Vec<&OpenCall>> = HashMap::new();
        for call in open.unwrap_or_default() {
            by_goid.entry(call.goid).or_default().push(call);
        }
        let mut entries = Vec::new();
        for calls in std::mem::take(&mut self.whole) {
            self.finish_rest(calls);
        }
        if open.is_some() {
            self.give_up(&by_goid, now_ns, &mut entries);
        }
        let mut finished = std::mem::take(&mut self.finished);
        // A tree waits while the call that started its goroutine may still come.
        let mut waits = vec![false; finished.len()];
        let many = self.kept.is_too_much();
        let parents = Parents::of(&finished);
        for (index, tree) in finished.iter().enumerate() {
            let Some(root) = tree.root() else { continue };
            let late = many || root.end_unix_ns().saturating_add(LINK_PATIENCE_NS) < now_ns;
            waits[index] = !late
                && root.parent_goid.is_some_and(|parent| {
                    open.is_none()
                        || by_goid.get(&parent).is_some_and(|open| {
                            open.iter().any(|call| {
                                call.start_unix_ns <= root.start_unix_ns
                                    && self.is_root(call.function) != Some(false)
                            })
                        })
                });
        }
        // What is linked to a tree that waits, waits with it.
        let above: Vec<Option<usize>> = (0..finished.len())
            .map(|index| parents.of_tree(&finished, index))
            .collect();
        let mut top = above.clone();
        for _ in 0..LINK_LEVELS {
            for index in 0..top.len() {
                if let Some(next) = top[index].and_then(|up| top[up]) {
                    top[index] = Some(next);
                }
            }
        }
        let mut below: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut roots = Vec::new();
        let mut stay = vec![false; finished.len()];
        for index in 0..finished.len() {
            stay[index] = top[index].map_or(waits[index], |up| waits[up]);
            match above[index] {
                Some(up) if !stay[index] => below.entry(up).or_default().push(index),
                None if !stay[index] => roots.push(index),
                _ => {}
            }
        }
        for (tree, _) in finished.iter().zip(&stay).filter(|(_, stays)| !**stays) {
            self.kept.remove(&tree.calls);
        }
        for root in roots {
            self.show(
                &mut finished,
                &below,
                root,
                0,
                None,
                LINK_LEVELS,
                &mut entries,
            );
        }
        let waiting = finished.into_iter().zip(stay);
        self.finished = waiting
            .filter_map(|(tree, stays)| stays.then_some(tree))
            .collect();
        entries
    }

    /// Shows what has waited too long for the call around it.
    fn give_up(
        &mut self,
        open: &HashMap<u64, Vec<&OpenCall>>,
        now_ns: u64,
        entries: &mut Vec<Entry>,
    ) {
        let many = self.kept.is_too_much();
        let late: Vec<u64> = self
            .pending
            .iter()
            .filter(|(goid, calls)| {
                let oldest = calls.iter().map(CallEvent::end_unix_ns).min().unwrap_or(0);
                let patience = match self.cut.roots {
                    Some(_) => LINK_PATIENCE_NS,
                    None => PATIENCE_NS,
                };
                let around = open.get(goid).map_or(&[][..], Vec::as_slice);
                // One that is inside of calls which were shed may be inside of a root.
                let comes = around.iter().zip(0..).any(|(call, place)| {
                    self.is_root(call.function) != Some(false) || call.depth > place
                });
                many || !comes || oldest.saturating_add(patience) < now_ns
            })
            .map(|(&goid, _)| goid)
            .collect();
        for goid in late {
            let Some(calls) = self.pending.remove(&goid) else {
                continue;
            };
            if self.cut.roots.is_some() {
                self.finish_rest(calls);
                continue;
            }
            self.kept.remove(&calls);
            let around = open.get(&goid).map_or(&[][..], Vec::as_slice);
            let calls = tree(calls).calls;
            let Some(first) = calls.first() else { continue };
            let (depth, start) = (first.depth, first.start_unix_ns);
            let holds = |call: &&&OpenCall| call.depth < depth && call.start_unix_ns <= start;
            let mut levels = 0;
            for call in around.iter().filter(holds) {
                if self.within(levels) {
                    entries.push(Entry::Open {
                        call: (*call).clone(),
                        level: levels,
                    });
                }
                levels += 1;
            }
            // Around it were more, which are not told of: they leave no level empty.
            let missing = depth.saturating_sub(levels);
            for call in calls {
                let least = levels.min(call.depth);
                let level = call.depth.saturating_sub(missing).max(least);
                if self.within(level) {
                    let root_ns = call.duration_ns;
                    entries.push(Entry::Call {
                        call,
                        level,
                        root_ns,
                        linked: false,
                    });
                }
            }
        }
    }

    fn within(&self, level: u32) -> bool {
        self.cut.levels.is_none_or(|levels| level < levels)
    }

    /// Shows a tree, and under its calls the trees of the goroutines they started. Takes their calls.
    #[expect(
        clippy::too_many_arguments,
        reason = "a step of a walk, with all that it walks through"
    )]
    fn show(
        &self,
        trees: &mut [Tree],
        below: &BTreeMap<usize, Vec<usize>>,
        index: usize,
        base: u32,
        root_ns: Option<u64>,
        levels: u32,
        entries: &mut Vec<Entry>,
    ) {
        let Some(tree) = trees.get_mut(index) else {
            return;
        };
        let calls = std::mem::take(&mut tree.calls);
        let Some(root) = calls.first() else { return };
        let root_depth = root.depth;
        let root_ns_here = root_ns.unwrap_or(root.duration_ns);
        let start = |link: usize| trees[link].root().map_or(0, |root| root.start_unix_ns);
        let links = below.get(&index).into_iter().flatten();
        let mut links: Vec<(u64, usize)> = links.map(|&link| (start(link), link)).collect();
        links.sort_by_key(|&(start, _)| start);
        let mut links = links.into_iter().peekable();
        let mut open: Vec<(u64, u32)> = Vec::new();
        let mut link =
            |(at, link): (u64, usize), open: &mut Vec<(u64, u32)>, entries: &mut Vec<Entry>| {
                while open.last().is_some_and(|&(end, _)| end < at) && open.len() > 1 {
                    open.pop();
                }
                let level = open.last().map_or(base, |&(_, level)| level + 1);
                if levels > 0 {
                    self.show(
                        trees,
                        below,
                        link,
                        level,
                        Some(root_ns_here),
                        levels - 1,
                        entries,
                    );
                }
            };
        for (place, call) in calls.into_iter().enumerate() {
            while let Some(next) = links.next_if(|&(start, _)| start < call.start_unix_ns) {
                link(next, &mut open, entries);
            }
            let level = base + call.depth.saturating_sub(root_depth);
            while open.last().is_some_and(|&(_, above)| above >= level) {
                open.pop();
            }
            open.push((call.end_unix_ns(), level));
            if self.within(level) {
                entries.push(Entry::Call {
                    call,
                    level,
                    root_ns: root_ns_here,
                    linked: root_ns.is_some() && place == 0,
                });
            }
        }
        for next in links {
            link(next, &mut open, entries);
        }
    }
}

/// Where each goroutine's trees are.
struct Parents(HashMap<u64, Vec<usize>>);

impl Parents {
    fn of(trees: &[Tree]) -> Self {
        let mut by_goid: HashMap<u64, Vec<usize>> = HashMap::new();
        for (index, tree) in trees.iter().enumerate() {
            if let Some(root) = tree.root() {
                by_goid.entry(root.goid).or_default().push(index);
            }
        }
        Self(by_goid)
    }

    /// The tree of the goroutine that started this one's, in which this one began.
    fn of_tree(&self, trees: &[Tree], index: usize) -> Option<usize> {
        let root = trees.get(index)?.root()?;
        let candidates = self.0.get(&root.parent_goid?)?;
        candidates.iter().copied().find(|&up| {
            up != index
                && trees[up]
                    .root()
                    .is_some_and(|parent| parent.goid != root.goid && begins_in(parent, root))
        })
    }
}

fn begins_in(outer: &CallEvent, inner: &CallEvent) -> bool {
    (outer.start_unix_ns..=outer.end_unix_ns()).contains(&inner.start_unix_ns)
}

/// Calls of one goroutine in the order in which they began.
fn tree(mut calls: Vec<CallEvent>) -> Tree {
    calls.sort_by_key(|call| (call.start_unix_ns, call.depth));
    Tree { calls }
}

#[cfg(test)]
mod tests;
