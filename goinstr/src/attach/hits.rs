//! Hits of sites that are in no function's count: those of coverage, and of goroutines' states.

use goinstr_common::hits::{EMULATED, STEPPED, STRIDE};

use super::{Costs, mapped::Mapped};

/// Hits, by what the kernel does with the instruction under the probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// It is emulated.
    pub emulated: u64,
    /// A copy of it is single-stepped.
    pub stepped: u64,
}

impl Hits {
    /// What the map `HIT_COUNTS` has, of all CPUs together.
    pub(super) fn of(counts: &Mapped<u64>) -> Self {
        let of_kind = |kind| {
            let of_cpus = (kind as usize..).step_by(STRIDE as usize);
            of_cpus.map_while(|index| counts.get(index)).sum()
        };
        Self {
            emulated: of_kind(EMULATED),
            stepped: of_kind(STEPPED),
        }
    }

    /// All of them.
    #[must_use]
    pub fn all(self) -> u64 {
        self.emulated + self.stepped
    }

    /// What they cost the target, in ns, where hits cost so much.
    #[must_use]
    pub fn cost_ns(self, costs: &Costs) -> u64 {
        let emulated = u64::from(costs.emulated.entry_ns(costs.exit_ns));
        let stepped = u64::from(costs.stepped.entry_ns(costs.exit_ns));
        self.emulated
            .saturating_mul(emulated)
            .saturating_add(self.stepped.saturating_mul(stepped))
    }
}
