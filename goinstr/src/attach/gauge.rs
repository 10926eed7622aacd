//! The maps that tell how it goes while it is measured: read, and here and there written, by several
//! threads at once.

use std::sync::Arc;

use goinstr_common::{control::Control, counter::REENTRIES, standing::SHED, stat::FuncStat};

use super::{Hits, mapped::Mapped};

/// How it goes while it is measured. Clones share the maps.
#[derive(Clone)]
pub struct Gauge {
    maps: Arc<Maps>,
    stripes: usize,
}

struct Maps {
    control: Mapped<Control>,
    standing: Mapped<u32>,
    stats: Mapped<FuncStat>,
    counters: Mapped<u64>,
    /// Of the sites of states, where there are some: a line for each CPU.
    hit_counts: Mapped<u64>,
}

impl Gauge {
    pub(super) fn new(
        control: Mapped<Control>,
        standing: Mapped<u32>,
        stats: Mapped<FuncStat>,
        counters: Mapped<u64>,
        hit_counts: Mapped<u64>,
        stripes: usize,
    ) -> Self {
        Self {
            maps: Arc::new(Maps {
                control,
                standing,
                stats,
                counters,
                hit_counts,
            }),
            stripes,
        }
    }

    pub(super) fn set_phase(&self, phase: u32) {
        self.maps.control.set_phase(phase);
    }

    /// Makes the next window the present one: what is open of earlier ones is given up.
    pub(super) fn next_window(&self) {
        self.maps.control.next_window();
    }

    /// The window that is open or was last; 0 where there are none.
    pub(super) fn window(&self) -> u32 {
        self.maps.control.window()
    }

    /// The totals of a function so far. Each field is exact, but they are not of one moment while calls go on.
    #[must_use]
    pub fn totals(&self, function: u32) -> FuncStat {
        let first = function as usize * self.stripes;
        (first..first + self.stripes)
            .filter_map(|index| self.maps.stats.get(index))
            .fold(FuncStat::default(), |sum, stripe| FuncStat {
                entries: sum.entries + stripe.entries,
                returned: sum.returned + stripe.returned,
                unwound: sum.unwound + stripe.unwound,
                total_ns: sum.total_ns.wrapping_add(stripe.total_ns),
                self_ns: sum.self_ns.wrapping_add(stripe.self_ns),
                min_inverted: sum.min_inverted.max(stripe.min_inverted),
                max_ns: sum.max_ns.max(stripe.max_ns),
                corrected_ns: sum.corrected_ns + stripe.corrected_ns,
            })
    }

    /// Which functions were called by now.
    pub(super) fn called(&self) -> Vec<bool> {
        let functions = 0..u32::try_from(self.maps.stats.len() / self.stripes).unwrap_or(u32::MAX);
        functions
            .map(|function| self.totals(function).entries > 0)
            .collect()
    }

    /// A counter of `goinstr_common::counter`.
    #[must_use]
    pub fn counter(&self, index: u32) -> u64 {
        self.maps.counters.get(index as usize).unwrap_or(0)
    }

    /// Hits of the sites that tell of goroutines' states. They cost what entries do, of which they do
    /// no more.
    #[must_use]
    pub fn state_hits(&self) -> Hits {
        Hits::of(&self.maps.hit_counts)
    }

    /// Hits of entry sites that were loops of an open call, of all functions together.
    #[must_use]
    pub fn reentries(&self) -> u64 {
        self.counter(REENTRIES)
    }

    /// Stops following a function's calls; false: that was done before. Its sites stay armed.
    pub(super) fn mark_shed(&self, function: u32) -> bool {
        // First the word that makes programs look, or a call open now could pass for an unwound one.
        self.maps.control.count_shed();
        self.maps
            .standing
            .set_bits(function as usize, SHED)
            .is_some_and(|before| before & SHED == 0)
    }

    /// Makes the next generation of links the current one of these functions.
    pub(super) fn next_generation(&self, functions: impl IntoIterator<Item = u32>) {
        for function in functions {
            self.maps.standing.increment(function as usize);
        }
    }

    /// Whether a function's calls are no longer followed.
    #[must_use]
    pub fn is_shed(&self, function: u32) -> bool {
        self.maps
            .standing
            .get_u32(function as usize)
            .is_some_and(|element| element & SHED != 0)
    }
}
