//! What is asked of the kernel side, apart from the sites.

use super::{Costs, Method};

/// Which processes are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One process.
    Process {
        /// Its id in goinstr's own pid namespace.
        pid: u32,
        /// Its id as `bpf_get_current_pid_tgid` gives it, where that is known: then the program
        /// looks for itself, because a filter of the kernel may let a forked child through.
        kernel_pid: Option<u32>,
    },
    /// Every process that runs the file, now and later.
    Everyone,
}

/// Who makes statistics of the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// The kernel program, in histograms.
    Kernel,
    /// Userspace: each call travels through the ring buffer.
    Ring,
}

/// What is watched of the functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Watch {
    /// Calls from their beginning to their end.
    #[default]
    Calls,
    /// Their beginnings alone: no site at a return, no goroutine looked up. A function whose own code
    /// branches back to its entry site is followed all the same, for a loop to be told from a call.
    Entries {
        /// Count by caller too.
        callers: bool,
        /// Tell of each call as it begins, with its arguments where those are asked for. Functions that branch
        /// back to their entry sites can't be among them.
        told: bool,
    },
}

/// Who executes the return instruction at a return site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Returns {
    /// The kernel, by a single step.
    #[default]
    Kernel,
    /// The kernel program, by writing the registers. Only where [`Returns::obstacle`] finds none.
    Program {
        /// What the loader added to the file's addresses in the process that is measured.
        load_bias: u64,
    },
}

impl Returns {
    /// Its name in the JSON session record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Program { .. } => "program",
        }
    }
}

/// What is asked of the kernel side.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which processes count.
    pub scope: Scope,
    /// What is watched.
    pub watch: Watch,
    /// Whether functions may be shed while they are measured.
    pub shedding: bool,
    /// Whether returns are armed for part of the time only: see [`super::Windows`].
    pub windows: bool,
    /// Who executes the returns.
    pub returns: Returns,
    /// Who makes statistics.
    pub aggregation: Aggregation,
    /// Report each call at least this long, in ns.
    pub slower_than_ns: Option<u64>,
    /// With each such call, the measured calls around it.
    pub chains: bool,
    /// With each such call, its stack.
    pub stacks: bool,
    /// Size of the ring buffer, in bytes: a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// Resident memory of the target in bytes, where it is known: bounds the goroutines it can have.
    pub target_memory: Option<u64>,
    /// Corrects durations for what probes cost; all zero: does not.
    pub costs: Costs,
    /// Arm in this way; `None`: in the best way that the kernel has.
    pub method: Option<Method>,
    /// Which functions of the plan were seen to be called before, by index; what is not known is not in it.
    pub called: Vec<bool>,
}

impl Settings {
    /// Calls of these processes, put together in the kernel, and nothing beside. The ring buffer, which hardly anything
    /// goes through then, has 64 KiB.
    #[must_use]
    pub fn of(scope: Scope) -> Self {
        Self {
            scope,
            watch: Watch::Calls,
            shedding: false,
            windows: false,
            returns: Returns::Kernel,
            aggregation: Aggregation::Kernel,
            slower_than_ns: None,
            chains: false,
            stacks: false,
            ring_bytes: 1 << 16,
            target_memory: None,
            costs: Costs::default(),
            method: None,
            called: Vec::new(),
        }
    }
}
