//! What probes cost on this machine, in ns.

/// What probes cost and how much of it falls into the durations. All zero: not known, nothing is corrected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// At an entry site whose instruction the kernel emulates.
    pub emulated: EntryCosts,
    /// At an entry site whose instruction is single-stepped.
    pub stepped: EntryCosts,
    /// A hit of a return.
    pub exit_ns: u32,
}

/// What the probes of one call cost, by the kind of its entry site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryCosts {
    /// What an empty function's duration is: its probes add so much to each call's own duration.
    pub own_ns: u32,
    /// What a call's two hits take together: they add so much to the durations of the calls around it.
    pub pair_ns: u32,
}

impl EntryCosts {
    /// A hit of the entry site alone.
    #[must_use]
    pub fn entry_ns(self, exit_ns: u32) -> u32 {
        self.pair_ns.saturating_sub(exit_ns)
    }
}
