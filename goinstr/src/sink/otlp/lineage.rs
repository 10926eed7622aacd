//! Ids of spans and traces, and whose child a span is.
//!
//! A span's id is a function of its call alone (goroutine, beginning, function), so a call has the
//! same id whenever it is spoken of: as the parent of calls that have returned, before it has returned
//! itself, and at last as a span of its own. A trace is called after its outermost call.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use crate::aggregate::{CallEvent, OpenCall};
use crate::sink::Entry;

/// Outermost calls that are remembered because some of their children are told of already.
const REMEMBERED: usize = 1 << 16;

/// What a span is called, and what it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub trace: u128,
    pub span: u64,
    /// The span around it: on its goroutine, or of the call that started the goroutine.
    pub parent: Option<u64>,
    /// The span of another trace that started the goroutine, where this one's trace was told of
    /// before that was known.
    pub link: Option<(u128, u64)>,
}

/// A call, whether it has returned or not.
#[derive(Clone, Copy, Debug)]
struct Place {
    goid: u64,
    start_ns: u64,
    end_ns: u64,
    trace: u128,
    span: u64,
}

/// Gives ids to the entries of trees, in the order in which a forest shows them.
#[derive(Debug)]
pub(super) struct Lineage {
    /// Another one in each run: ids of two runs must not meet.
    seed: RandomState,
    /// What the next entry may be below, by level.
    above: Vec<Place>,
    /// Open calls by goroutine, outermost first.
    open: HashMap<u64, Vec<OpenCall>>,
    /// Outermost calls, by span, of which children were told of before they had returned.
    begun: HashSet<u64>,
}

impl Lineage {
    pub fn new() -> Self {
        Self {
            seed: RandomState::new(),
            above: Vec::new(),
            open: HashMap::new(),
            begun: HashSet::new(),
        }
    }

    /// Which calls are open while the entries to come are shown.
    pub fn settle(&mut self, open: Option<&[OpenCall]>) {
        self.above.clear();
        self.open.clear();
        for call in open.unwrap_or_default() {
            self.open.entry(call.goid).or_default().push(call.clone());
        }
    }

    /// The ids of an entry's span; `None`: it is an open call, which becomes a span when it has returned.
    pub fn ids(&mut self, entry: &Entry) -> Option<Ids> {
        match entry {
            Entry::Call {
                call,
                level,
                linked,
                ..
            } => Some(self.call_entry(call, *level, *linked)),
            Entry::Open { call, level } => {
                self.open_entry(call, *level);
                None
            }
        }
    }

    /// An open call that is shown because the calls in it are.
    fn open_entry(&mut self, call: &OpenCall, level: u32) {
        self.above.truncate(level as usize);
        let place = self.open_place(call);
        self.above.push(place);
    }

    /// The ids of a finished call.
    fn call_entry(&mut self, call: &CallEvent, level: u32, linked: bool) -> Ids {
        self.above.truncate(level as usize);
        let span = self.span(call.goid, call.start_unix_ns, call.function);
        let around = self.around(call, level, linked);
        let mut ids = Ids {
            trace: around.map_or_else(|| self.trace(span), |around| around.trace),
            span,
            parent: around.map(|around| around.span),
            link: None,
        };
        if self.begun.remove(&span) && (linked || around.is_none()) {
            ids.link = around.map(|around| (around.trace, around.span));
            ids.trace = self.trace(span);
            ids.parent = None;
        }
        self.above.push(Place {
            goid: call.goid,
            start_ns: call.start_unix_ns,
            end_ns: call.end_unix_ns(),
            trace: ids.trace,
            span,
        });
        ids
    }

    /// The ids of an open call that becomes a span because the measurement is over.
    pub fn at_end(&mut self, call: &OpenCall) -> Ids {
        let place = self.open_place(call);
        let around = call
            .depth
            .checked_sub(1)
            .and_then(|depth| self.open_at(call.goid, depth));
        let parent =
            around.map(|around| self.span(around.goid, around.start_unix_ns, around.function));
        Ids {
            trace: place.trace,
            span: place.span,
            parent,
            link: None,
        }
    }

    /// What a call was made in, as far as that is known.
    fn around(&mut self, call: &CallEvent, level: u32, linked: bool) -> Option<Place> {
        if level == 0 {
            return None;
        }
        if linked {
            return self.above.last().copied();
        }
        let holds = |place: &Place| {
            place.goid == call.goid && (place.start_ns..=place.end_ns).contains(&call.start_unix_ns)
        };
        let known = self.above.iter().rposition(holds);
        if let Some(at) = known.filter(|&at| at + 1 == level as usize) {
            return self.above.get(at).copied();
        }
        // Shown for itself, because the call that it was made in has not returned.
        let outer = call
            .depth
            .checked_sub(1)
            .and_then(|depth| self.open_at(call.goid, depth));
        let open = outer
            .filter(|outer| {
                call.parent == Some(outer.function) && outer.start_unix_ns <= call.start_unix_ns
            })
            .cloned();
        match open {
            Some(outer) => Some(self.open_place(&outer)),
            // The record of the one between was lost.
            None => known.and_then(|at| self.above.get(at).copied()),
        }
    }

    /// The open call that so many are around: at the end also the next one outside, where the call in
    /// between is of a function that was shed and will not become a span.
    fn open_at(&self, goid: u64, depth: u32) -> Option<&OpenCall> {
        let open = self.open.get(&goid)?;
        open.iter().rfind(|call| call.depth <= depth)
    }

    /// An open call, and that children of its goroutine's outermost are told of.
    fn open_place(&mut self, call: &OpenCall) -> Place {
        let outermost = self.open.get(&call.goid).and_then(|open| open.first());
        let outermost = outermost.unwrap_or(call);
        let root = self.span(outermost.goid, outermost.start_unix_ns, outermost.function);
        if self.begun.len() < REMEMBERED {
            self.begun.insert(root);
        }
        Place {
            goid: call.goid,
            start_ns: call.start_unix_ns,
            end_ns: u64::MAX,
            trace: self.trace(root),
            span: self.span(call.goid, call.start_unix_ns, call.function),
        }
    }

    /// Never 0, which is no id.
    fn span(&self, goid: u64, start_ns: u64, function: u32) -> u64 {
        self.seed.hash_one((goid, start_ns, function)).max(1)
    }

    /// The trace whose outermost call has this span.
    fn trace(&self, root: u64) -> u128 {
        u128::from(self.seed.hash_one((root, 0u8))) << 64
            | u128::from(self.seed.hash_one((root, 1u8)).max(1))
    }
}

/// How deep an entry stands in its tree: 0 begins one.
pub(super) const fn level(entry: &Entry) -> u32 {
    match entry {
        Entry::Call { level, .. } | Entry::Open { level, .. } => *level,
    }
}
