//! How large the maps have to be for a plan.

use goinstr_common::histogram::{HistBlock, OCTAVES};
use goinstr_common::stat::FuncStat;

use super::{Watch, captures};
use crate::plan::CapturePlan;

/// Memory for the totals at most, in bytes: with more functions, CPUs share stripes.
const STATS_BUDGET: usize = 8 << 20;
/// Memory for histogram blocks at most, in bytes.
const HIST_BUDGET: usize = 64 << 20;
/// Blocks a function: durations of one function rarely span more than 2^16.
const BLOCKS_PER_FUNCTION: usize = 16;
/// Memory a goroutine takes at least, in bytes: its stack is 2 KiB or more (Go's `stackMin`).
const GOROUTINE_BYTES: u64 = 2048;
/// Shadow stacks there is room for at least and at most. The table is not preallocated; room alone
/// costs 16 bytes each.
const SHADOWS: std::ops::RangeInclusive<u64> = (1 << 16)..=(1 << 20);
/// Chunks for calls nested deeper than a shadow stack's head, 1 KiB each when used.
const CHUNKS: u32 = 1 << 16;

/// Places that call, all functions together: not preallocated, 64 bytes each when used.
const CALLERS: u32 = 1 << 18;

/// Goroutines whose states are followed at once at most, 3 KiB each when used.
const CLOCKS: u32 = 1 << 16;
/// Open calls whose arguments are kept at once, 3 KiB each while they are open.
const CAPTURED: u32 = 1 << 14;
/// Threads that are followed; a Go program has 10,000 at most (`debug.SetMaxThreads`).
const THREADS: u32 = 1 << 14;

/// Numbers of elements of the maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Stripes of the totals: a power of two.
    pub stripes: u32,
    pub stats: u32,
    pub hist_dir: u32,
    pub hist_blocks: u32,
    pub shadows: u32,
    pub chunks: u32,
    pub clocks: u32,
    pub threads: u32,
    pub state_sums: u32,
    pub callers: u32,
    pub recipes: u32,
    pub steps: u32,
    pub tests: u32,
    pub captured: u32,
}

impl Sizes {
    /// The sizes for a number of functions on a number of CPUs.
    pub fn new(functions: usize, cpus: usize, target_memory: Option<u64>) -> Self {
        let functions = functions.max(1);
        let mut stripes = cpus.max(1).next_power_of_two();
        while stripes > 1 && functions * stripes * size_of::<FuncStat>() > STATS_BUDGET {
            stripes /= 2;
        }
        let blocks = (functions * BLOCKS_PER_FUNCTION).min(HIST_BUDGET / size_of::<HistBlock>());
        // Twice what its memory could hold now: it may grow while it is measured.
        let goroutines =
            target_memory.map_or(*SHADOWS.start(), |bytes| bytes / GOROUTINE_BYTES * 2);
        let fit = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            stripes: fit(stripes),
            stats: fit(functions * stripes),
            hist_dir: fit(functions * OCTAVES as usize),
            hist_blocks: fit(blocks),
            shadows: fit(goroutines.clamp(*SHADOWS.start(), *SHADOWS.end()) as usize),
            chunks: CHUNKS,
            clocks: 1,
            threads: 1,
            state_sums: 1,
            callers: 1,
            recipes: 1,
            steps: 1,
            tests: 1,
            captured: 1,
        }
    }

    /// With room for the states of goroutines, where they are `wanted`.
    pub fn with_states(self, wanted: bool, functions: usize) -> Self {
        if !wanted {
            return self;
        }
        Self {
            clocks: self.shadows.min(CLOCKS),
            threads: THREADS,
            state_sums: u32::try_from(functions.max(1)).unwrap_or(u32::MAX),
            ..self
        }
    }

    /// With room for arguments and results, where they are wanted.
    pub fn with_captures(self, wanted: Option<&CapturePlan>) -> Self {
        let Some(plan) = wanted else { return self };
        let fit = |n: usize| u32::try_from(n.max(1)).unwrap_or(u32::MAX);
        Self {
            recipes: fit(plan.functions.len()),
            steps: fit(captures::steps(plan)),
            tests: fit(captures::tests(plan)),
            captured: CAPTURED,
            ..self
        }
    }

    /// Leaves out the tables that are not needed for what is watched.
    pub fn watching(self, watch: Watch) -> Self {
        match watch {
            Watch::Calls => self,
            Watch::Entries { callers, .. } => Self {
                hist_dir: OCTAVES,
                hist_blocks: 1,
                callers: if callers { CALLERS } else { 1 },
                ..self
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_stays_in_its_budget_whatever_the_number_of_functions_and_cpus() {
        for functions in [0, 1, 7, 1_000, 30_000, 100_000] {
            for cpus in [1, 2, 3, 64, 448] {
                let sizes = Sizes::new(functions, cpus, None);
                assert!(sizes.stripes.is_power_of_two());
                let stats = sizes.stats as usize * size_of::<FuncStat>();
                assert!(stats <= STATS_BUDGET.max(functions * size_of::<FuncStat>()));
                assert!(sizes.hist_blocks as usize * size_of::<HistBlock>() <= HIST_BUDGET);
                assert!(sizes.hist_blocks >= 1 && sizes.hist_dir >= 64);
            }
        }
    }

    #[test]
    fn few_functions_get_a_stripe_a_cpu() {
        assert_eq!(Sizes::new(10, 64, None).stripes, 64);
        assert_eq!(Sizes::new(10, 3, None).stripes, 4);
        assert_eq!(Sizes::new(100_000, 64, None).stripes, 1);
    }

    #[test]
    fn room_for_shadow_stacks_follows_the_targets_memory() {
        assert_eq!(Sizes::new(1, 1, None).shadows, 1 << 16);
        assert_eq!(Sizes::new(1, 1, Some(1 << 20)).shadows, 1 << 16);
        assert_eq!(Sizes::new(1, 1, Some(512 << 20)).shadows, 1 << 19);
        assert_eq!(Sizes::new(1, 1, Some(1 << 40)).shadows, 1 << 20);
    }
}
