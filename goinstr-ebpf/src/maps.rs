//! The maps. Their sizes here are placeholders: userspace sets them from the plan before loading.

use aya_ebpf::{
    bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC},
    macros::map,
    maps::{Array, HashMap, RingBuf},
};
use goinstr_common::{
    caller::CallerKey,
    capture::{Captured, Recipe, Step},
    control::Control,
    counter::COUNTERS as COUNTER_COUNT,
    histogram::HistBlock,
    shadow::{ChunkKey, ShadowChunk, ShadowHead, ShadowKey},
    sieve::Test,
    stat::FuncStat,
    state::{Clock, StateSum, Thread},
};

/// The phase of the measurement.
#[map]
pub static CONTROL: Array<Control> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Totals, `stripes` elements a function. Mapped by userspace and read without stopping.
#[map]
pub static STATS: Array<FuncStat> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Which block holds a function's octave; see `goinstr_common::histogram`.
#[map]
pub static HIST_DIR: Array<u32> = Array::with_max_entries(64, BPF_F_MMAPABLE);

/// Histogram blocks, handed out as durations call for them.
#[map]
pub static HIST_BLOCKS: Array<HistBlock> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// What was lost, and what else is counted once for all functions.
#[map]
pub static COUNTERS: Array<u64> = Array::with_max_entries(COUNTER_COUNT, BPF_F_MMAPABLE);

/// When each site of a coverage was first hit, in ns; see `goinstr_common::coverage`.
#[map]
pub static FIRST_HITS: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Hits of a coverage's sites, one count a CPU.
#[map]
pub static HIT_COUNTS: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Shadow stacks. Not preallocated: sized for all goroutines there can be, paid for those there are.
#[map]
pub static SHADOW: HashMap<ShadowKey, ShadowHead> = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// Frames that a head has no room for.
#[map]
pub static SHADOW_DEEP: HashMap<ChunkKey, ShadowChunk> =
    HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// How each function stands; see `goinstr_common::standing`.
#[map]
pub static STANDING: Array<u32> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Calls by function and caller. Not preallocated: most functions have few callers.
#[map]
pub static CALLERS: HashMap<CallerKey, u64> = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// One zeroed head: what a new element is copied from (too large for the BPF stack).
#[map]
pub static EMPTY_HEAD: Array<ShadowHead> = Array::with_max_entries(1, 0);

/// One zeroed chunk.
#[map]
pub static EMPTY_CHUNK: Array<ShadowChunk> = Array::with_max_entries(1, 0);

/// Single calls, as `CallRecord`s.
#[map]
pub static CALLS: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// What goroutines with open calls do, where that is asked for. By the keys of `SHADOW`.
#[map]
pub static CLOCKS: HashMap<ShadowKey, Clock> = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// One zeroed clock.
#[map]
pub static EMPTY_CLOCK: Array<Clock> = Array::with_max_entries(1, 0);

/// Threads that run such goroutines, by thread id.
#[map]
pub static THREADS: HashMap<u32, Thread> = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// One zeroed thread.
#[map]
pub static EMPTY_THREAD: Array<Thread> = Array::with_max_entries(1, 0);

/// The slot of each wait reason.
#[map]
pub static WAIT_SLOT: Array<u32> = Array::with_max_entries(256, 0);

/// States of the finished calls, an element a function.
#[map]
pub static STATE_SUMS: Array<StateSum> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// What is read of each function's calls, where that is asked for.
#[map]
pub static RECIPES: Array<Recipe> = Array::with_max_entries(1, 0);

/// The steps of all recipes.
#[map]
pub static STEPS: Array<Step> = Array::with_max_entries(1, 0);

/// The tests of all sieves.
#[map]
pub static TESTS: Array<Test> = Array::with_max_entries(1, 0);

/// What was read of the calls that are open, by shadow stack and place on it.
#[map]
pub static CAPTURED: HashMap<ChunkKey, Captured> = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// One zeroed element of it.
#[map]
pub static EMPTY_CAPTURED: Array<Captured> = Array::with_max_entries(1, 0);
