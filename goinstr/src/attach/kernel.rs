//! The loaded kernel program and its maps, read as what they mean.

use std::os::fd::{AsFd as _, BorrowedFd};

use aya::{
    Ebpf, EbpfError, EbpfLoader, Pod,
    maps::{HashMap, Map, MapData, MapError, RingBuf},
};
use aya_log::EbpfLogger;
use goinstr_common::{
    caller::CallerKey,
    counter::{COUNTERS, Lost},
    histogram::{HistBlock, OCTAVES, range},
    hits, ret,
    shadow::{
        CHUNK_FRAMES, ChunkKey, Frame, HEAD_FRAMES, MAX_FRAMES, ShadowChunk, ShadowHead, ShadowKey,
    },
    stat::FuncStat,
    state::StateSum,
};

use super::{
    Aggregation, AttachError, Costs, EntryCosts, Gauge, Hits, Returns, Scope, Settings, Watch,
    captures, log_level, mapped::Mapped, returning, sizes::Sizes, states,
};
use crate::{binary::RecoverySp, plan::ProbePlan};

/// The kernel program, compiled by this crate's build script.
pub(super) static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/goinstr-ebpf"));

/// A wait is told of with its stack where it takes at least this part of the shortest call that is.
const WAITS_IN_A_CALL: u64 = 16;

/// The loaded kernel program: its maps as what they mean.
pub struct Kernel {
    pub(super) ebpf: Ebpf,
    functions: usize,
    stepped: Vec<bool>,
    costs: Costs,
    gauge: Gauge,
    hist_dir: Mapped<u32>,
    hist_blocks: Mapped<HistBlock>,
    /// Whether it knows how to follow threads.
    pub(super) follows_threads: bool,
    /// Where goroutines' states are followed.
    state_sums: Option<Mapped<StateSum>>,
}

/// A key or value of a hash map as aya reads it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Wire<T>(T);

// SAFETY: wire types of goinstr-common are repr(C) without padding, any bit pattern is a value.
unsafe impl Pod for Wire<ShadowKey> {}
// SAFETY: as above.
unsafe impl Pod for Wire<ShadowHead> {}
// SAFETY: as above.
unsafe impl Pod for Wire<ChunkKey> {}
// SAFETY: as above.
unsafe impl Pod for Wire<ShadowChunk> {}
// SAFETY: as above.
unsafe impl Pod for Wire<CallerKey> {}

impl Kernel {
    /// Makes the maps, sized for the plan, and fixes the program's settings.
    pub(super) fn load(
        plan: &ProbePlan,
        stepped: Vec<bool>,
        settings: &Settings,
    ) -> Result<Self, AttachError> {
        let functions = plan.functions.len();
        let cpus = aya::util::nr_cpus().unwrap_or(1);
        let sizes = Sizes::new(functions, cpus, settings.target_memory)
            .watching(settings.watch)
            .with_states(plan.states.is_some(), functions)
            .with_captures(plan.captures.as_ref());
        let counts_only = u32::from(settings.watch != Watch::Calls);
        let (callers, told) = match settings.watch {
            Watch::Calls => (0, false),
            Watch::Entries { callers, told } => (u32::from(callers), told),
        };
        let shedding = u32::from(settings.shedding);
        let windows = u32::from(settings.windows);
        let (in_panic, in_g, sp) = match plan.layout.recovery {
            RecoverySp::InG { offset } => (0u32, offset, 0u32),
            RecoverySp::InPanic { panic, sp } => (1, panic, sp),
        };
        let tgid = match settings.scope {
            Scope::Process {
                kernel_pid: Some(pid),
                ..
            } => pid,
            Scope::Process {
                kernel_pid: None, ..
            }
            | Scope::Everyone => 0,
        };
        let ring_carries_all = u32::from(settings.aggregation == Aggregation::Ring);
        let stripe_mask = sizes.stripes - 1;
        let (returns, load_bias, known_site_bits) = match settings.returns {
            Returns::Program { load_bias } => (ret::BY_PROGRAM, load_bias, u64::MAX),
            // Segments are loaded by whole pages: within a page all is where the file has it.
            Returns::Kernel if returning::kernel_lets_programs() => {
                (ret::BY_KERNEL_OR_ANOTHER, 0, 0xfff)
            }
            Returns::Kernel => (ret::BY_KERNEL, 0, 0),
        };
        let report_slow = u32::from(settings.slower_than_ns.is_some());
        let slower_than = settings.slower_than_ns.unwrap_or(0);
        // Who started a goroutine matters where single calls are told of.
        let parent_goid = match settings.slower_than_ns.is_some() || told {
            true => plan.layout.parent_goid.unwrap_or(0),
            false => 0,
        };
        let states = u32::from(plan.states.is_some());
        let task_pid = plan
            .states
            .as_ref()
            .filter(|states| states.status.is_some())
            .and_then(|_| states::task_pid_offset());
        let follow_threads = u32::from(task_pid.is_some());
        let task_pid_offset = task_pid.unwrap_or(0);
        let stacks = u32::from(settings.stacks);
        let chains = u32::from(settings.chains);
        // Of a call a shorter wait is no more than one of many.
        let told_wait = match settings.slower_than_ns {
            Some(ns) if settings.stacks && plan.states.is_some() => ns / WAITS_IN_A_CALL,
            _ => u64::MAX,
        };
        let captures = u32::from(plan.captures.is_some());
        // Where the ring buffer carries the statistics too, it carries every call.
        let conditional = plan.captures.as_ref().is_some_and(|plan| plan.conditional);
        let conditions = u32::from(conditional && settings.aggregation == Aggregation::Kernel);
        let hit_counts = match plan.states {
            Some(_) => u32::try_from(cpus).unwrap_or(1) * hits::STRIDE,
            None => 1,
        };
        let costs = settings.costs;
        let log_level = log_level::of_kernel_side();
        let mut loader = EbpfLoader::new();
        loader
            .override_global("TARGET_TGID", &tgid, true)
            .override_global("GOID_OFFSET", &plan.layout.goid, true)
            .override_global("PARENT_GOID_OFFSET", &parent_goid, true)
            .override_global("RECOVERY_IN_PANIC", &in_panic, true)
            .override_global("RECOVERY_G_OFFSET", &in_g, true)
            .override_global("RECOVERY_SP_OFFSET", &sp, true)
            .override_global("STRIPE_MASK", &stripe_mask, true)
            .override_global("BLOCKS", &sizes.hist_blocks, true)
            .override_global("RING_CARRIES_ALL", &ring_carries_all, true)
            .override_global("OWN_EMULATED_NS", &costs.emulated.own_ns, true)
            .override_global("OWN_STEPPED_NS", &costs.stepped.own_ns, true)
            .override_global("PAIR_EMULATED_NS", &costs.emulated.pair_ns, true)
            .override_global("PAIR_STEPPED_NS", &costs.stepped.pair_ns, true)
            .override_global("EXIT_NS", &costs.exit_ns, true)
            .override_global("COUNTS_ONLY", &counts_only, true)
            .override_global("WINDOWS", &windows, true)
            .override_global("COUNT_CALLERS", &callers, true)
            .override_global("SHEDDING", &shedding, true)
            .override_global("STATES", &states, true)
            .override_global("FOLLOW_THREADS", &follow_threads, true)
            .override_global("CAPTURES", &captures, true)
            .override_global("CONDITIONS", &conditions, true)
            .override_global("TASK_PID_OFFSET", &task_pid_offset, true)
            .override_global("WAITREASON_OFFSET", &plan.layout.waitreason, true)
            .override_global("STACKS", &stacks, true)
            .override_global("CHAINS", &chains, true)
            .override_global("TOLD_WAIT_NS", &told_wait, true)
            .override_global("SCHED_SP_OFFSET", &plan.layout.sched_sp, true)
            .override_global("SCHED_PC_OFFSET", &plan.layout.sched_pc, true)
            .override_global("SCHED_BP_OFFSET", &plan.layout.sched_bp, true)
            .override_global("RETURNS", &returns, true)
            .override_global("LOAD_BIAS", &load_bias, true)
            .override_global("KNOWN_SITE_BITS", &known_site_bits, true)
            .override_global("REPORT_SLOW", &report_slow, true)
            .override_global("SLOWER_THAN_NS", &slower_than, true)
            .override_global(aya_log::LEVEL, &log_level, true)
            .map_max_entries("STATS", sizes.stats)
            .map_max_entries(
                "STANDING",
                u32::try_from(functions.max(1)).unwrap_or(u32::MAX),
            )
            .map_max_entries("HIST_DIR", sizes.hist_dir)
            .map_max_entries("HIST_BLOCKS", sizes.hist_blocks)
            .map_max_entries("SHADOW", sizes.shadows)
            .map_max_entries("SHADOW_DEEP", sizes.chunks)
            .map_max_entries("CALLERS", sizes.callers)
            .map_max_entries("CLOCKS", sizes.clocks)
            .map_max_entries("THREADS", sizes.threads)
            .map_max_entries("STATE_SUMS", sizes.state_sums)
            .map_max_entries("RECIPES", sizes.recipes)
            .map_max_entries("STEPS", sizes.steps)
            .map_max_entries("TESTS", sizes.tests)
            .map_max_entries("CAPTURED", sizes.captured)
            .map_max_entries("HIT_COUNTS", hit_counts)
            .map_max_entries("CALLS", settings.ring_bytes);
        let mut ebpf = loader.load(OBJECT).map_err(load_error)?;
        if let Some(states) = &plan.states {
            states::give_slots(&mut ebpf, &states.waits)?;
        }
        if let Some(wanted) = &plan.captures {
            captures::give_recipes(&mut ebpf, wanted)?;
        }
        Ok(Self {
            gauge: Gauge::new(
                mapped(&ebpf, "CONTROL", 1)?,
                mapped(&ebpf, "STANDING", functions.max(1))?,
                mapped(&ebpf, "STATS", sizes.stats as usize)?,
                mapped(&ebpf, "COUNTERS", COUNTERS as usize)?,
                mapped(&ebpf, "HIT_COUNTS", hit_counts as usize)?,
                sizes.stripes as usize,
            ),
            hist_dir: mapped(&ebpf, "HIST_DIR", sizes.hist_dir as usize)?,
            hist_blocks: mapped(&ebpf, "HIST_BLOCKS", sizes.hist_blocks as usize)?,
            follows_threads: task_pid.is_some(),
            state_sums: match plan.states {
                Some(_) => Some(mapped(&ebpf, "STATE_SUMS", sizes.state_sums as usize)?),
                None => None,
            },
            ebpf,
            functions,
            stepped,
            costs,
        })
    }

    /// Tells the program what to do with hits; one of `goinstr_common::control`'s phases.
    pub fn set_phase(&self, phase: u32) {
        self.gauge.set_phase(phase);
    }

    /// What changes while it is measured, for whoever watches it from another thread.
    #[must_use]
    pub fn gauge(&self) -> Gauge {
        self.gauge.clone()
    }

    /// Whether a function's calls are no longer followed.
    #[must_use]
    pub fn is_shed(&self, function: u32) -> bool {
        self.gauge.is_shed(function)
    }

    /// Whether a function's entry site is single-stepped.
    #[must_use]
    pub fn is_stepped(&self, function: u32) -> bool {
        self.stepped.get(function as usize) == Some(&true)
    }

    /// Number of functions in the plan.
    #[must_use]
    pub fn functions(&self) -> usize {
        self.functions
    }

    /// What the probes of a function's calls cost, as it was given to the program.
    #[must_use]
    pub fn entry_costs(&self, function: u32) -> EntryCosts {
        match self.stepped.get(function as usize) {
            Some(true) => self.costs.stepped,
            _ => self.costs.emulated,
        }
    }

    /// What probes cost, as it was given to the program.
    #[must_use]
    pub fn costs(&self) -> Costs {
        self.costs
    }

    /// The totals of a function so far. Each field is exact, but they are not of one moment while calls go on.
    #[must_use]
    pub fn totals(&self, function: u32) -> FuncStat {
        self.gauge.totals(function)
    }

    /// The filled slots of a function's histogram: lowest value, number of values, number of calls.
    pub fn histogram(&self, function: u32) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        (0..OCTAVES).flat_map(move |octave| {
            let entry = self
                .hist_dir
                .get_u32((function * OCTAVES + octave) as usize)
                .unwrap_or(0);
            // Block numbers count from 1; 0 is none.
            let block = (entry as usize)
                .checked_sub(1)
                .and_then(|block| self.hist_blocks.get(block));
            block.into_iter().flat_map(move |block| {
                block
                    .counts
                    .into_iter()
                    .enumerate()
                    .filter(|&(_, calls)| calls != 0)
                    .map(move |(slot, calls)| {
                        #[expect(clippy::cast_possible_truncation, reason = "a slot is below 64")]
                        let (low, width) = range(octave, slot as u32);
                        (low, width, calls)
                    })
            })
        })
    }

    /// The states of a function's finished calls so far, where they are followed.
    #[must_use]
    pub fn states(&self, function: u32) -> Option<StateSum> {
        self.state_sums.as_ref()?.get(function as usize)
    }

    /// A counter of `goinstr_common::counter`.
    #[must_use]
    pub fn counter(&self, index: u32) -> u64 {
        self.gauge.counter(index)
    }

    /// Hits of the sites that tell of goroutines' states so far.
    #[must_use]
    pub fn state_hits(&self) -> Hits {
        self.gauge.state_hits()
    }

    /// Calls lost for a reason.
    #[must_use]
    pub fn lost(&self, reason: Lost) -> u64 {
        self.counter(reason.index())
    }

    /// The number of calls that are open for goinstr alone: an earlier window has seen them begin, and
    /// their returns were not watched. Exact when no program runs any more.
    pub fn cut_off_calls(&self) -> Result<u64, AttachError> {
        if self.gauge.window() == 0 {
            // There never was one: all goroutines' heads need not be read.
            return Ok(0);
        }
        let heads: HashMap<_, Wire<ShadowKey>, Wire<ShadowHead>> = self.hash("SHADOW")?;
        let mut calls = 0;
        for element in heads.iter() {
            let (_, Wire(head)) = element.map_err(|error| map_error("SHADOW", error))?;
            if head.window != self.gauge.window() {
                calls += u64::from(head.depth);
            }
        }
        Ok(calls)
    }

    /// The calls that are open, with the goroutine's id. Exact when no program runs any more.
    pub fn open_calls(&self) -> Result<Vec<(u64, Frame)>, AttachError> {
        let heads: HashMap<_, Wire<ShadowKey>, Wire<ShadowHead>> = self.hash("SHADOW")?;
        let chunks: HashMap<_, Wire<ChunkKey>, Wire<ShadowChunk>> = self.hash("SHADOW_DEEP")?;
        let mut open = Vec::new();
        for element in heads.iter() {
            let (Wire(key), Wire(head)) = element.map_err(|error| map_error("SHADOW", error))?;
            if head.window != self.gauge.window() {
                continue;
            }
            let depth = head.depth.min(MAX_FRAMES);
            let in_head = depth.min(HEAD_FRAMES) as usize;
            open.extend(
                head.frames[..in_head]
                    .iter()
                    .map(|&frame| (head.goid, frame)),
            );
            let mut left = depth.saturating_sub(HEAD_FRAMES);
            for chunk in 0.. {
                if left == 0 {
                    break;
                }
                let key = ChunkKey {
                    stack: key,
                    chunk,
                    pad: 0,
                };
                let Wire(found) = chunks
                    .get(&Wire(key), 0)
                    .map_err(|error| map_error("SHADOW_DEEP", error))?;
                let here = left.min(CHUNK_FRAMES);
                open.extend(
                    found.frames[..here as usize]
                        .iter()
                        .map(|&frame| (head.goid, frame)),
                );
                left -= here;
            }
        }
        Ok(open)
    }

    /// Calls by function and caller so far, where they were asked for.
    pub fn callers(&self) -> Result<Vec<(CallerKey, u64)>, AttachError> {
        let callers: HashMap<_, Wire<CallerKey>, u64> = self.hash("CALLERS")?;
        callers
            .iter()
            .map(|element| element.map(|(Wire(key), calls)| (key, calls)))
            .collect::<Result<_, _>>()
            .map_err(|error| map_error("CALLERS", error))
    }

    fn hash<K: Pod, V: Pod>(
        &self,
        name: &'static str,
    ) -> Result<HashMap<&MapData, K, V>, AttachError> {
        let map = self.ebpf.map(name).ok_or_else(|| missing(name))?;
        HashMap::try_from(map).map_err(|error| map_error(name, error))
    }

    /// The ring buffer of single calls; only the first asker gets it.
    pub fn take_ring(&mut self) -> Result<RingBuf<MapData>, AttachError> {
        let map = self
            .ebpf
            .take_map("CALLS")
            .ok_or_else(|| missing("CALLS"))?;
        RingBuf::try_from(map).map_err(|error| map_error("CALLS", error))
    }

    /// The kernel side's diagnostics, where they were asked for.
    pub fn take_logger(&mut self) -> Option<EbpfLogger<&'static dyn log::Log>> {
        (log_level::of_kernel_side() != 0)
            .then(|| EbpfLogger::init(&mut self.ebpf).ok())
            .flatten()
    }
}

/// The maps by name, as the loader of another program needs them.
pub(super) fn map_fds(ebpf: &Ebpf) -> impl Iterator<Item = (&str, BorrowedFd<'_>)> {
    ebpf.maps()
        .filter_map(|(name, map)| Some((name, map_fd(map)?)))
}

/// The file descriptor of a map of the kinds that the program has.
fn map_fd(map: &Map) -> Option<BorrowedFd<'_>> {
    match map {
        Map::Array(data) | Map::HashMap(data) | Map::RingBuf(data) => Some(data.fd().as_fd()),
        _ => None,
    }
}

/// Maps the first `len` elements of a map.
pub(super) fn mapped<T>(ebpf: &Ebpf, name: &str, len: usize) -> Result<Mapped<T>, AttachError> {
    let fd = ebpf
        .map(name)
        .and_then(map_fd)
        .ok_or_else(|| missing(name))?;
    Mapped::new(fd, len).map_err(|source| AttachError::Map {
        what: name.to_owned(),
        source,
    })
}

pub(super) fn missing(name: &str) -> AttachError {
    AttachError::Program {
        program: name.to_owned(),
        reason: "no such map in the program".to_owned(),
    }
}

pub(super) fn map_error(name: &str, error: MapError) -> AttachError {
    match error {
        MapError::SyscallError(error) => AttachError::Map {
            what: name.to_owned(),
            source: error.io_error,
        },
        MapError::CreateError { io_error, .. } => AttachError::Map {
            what: name.to_owned(),
            source: io_error,
        },
        other => AttachError::Program {
            program: name.to_owned(),
            reason: other.to_string(),
        },
    }
}

pub(super) fn load_error(error: EbpfError) -> AttachError {
    let io = match &error {
        EbpfError::MapError(MapError::CreateError { io_error, .. }) => Some(io_error),
        EbpfError::MapError(MapError::SyscallError(error)) => Some(&error.io_error),
        _ => None,
    };
    match io.and_then(std::io::Error::raw_os_error) {
        Some(libc::EPERM | libc::EACCES) => {
            return AttachError::NotPermitted {
                what: "to make BPF maps",
            };
        }
        Some(libc::ENOSYS) => return AttachError::NoBpf,
        _ => {}
    }
    match error {
        EbpfError::MapError(error) => map_error("maps", error),
        other => AttachError::Program {
            program: "object".to_owned(),
            reason: other.to_string(),
        },
    }
}
