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

/// What reading the values of a call costs, by the steps that it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueCosts {
    /// One step, in ns.
    step_ns: u32,
}

impl ValueCosts {
    /// What a call costs beside its steps, in steps: its element in the map and a larger record. It was measured so
    /// (0.45 µs, and 0.11 for a step); both are memory that is copied, so it is not far from that elsewhere.
    const OF_CALL: u32 = 4;

    /// What a step costs, where all that is read of a call of so many takes `ns`.
    #[must_use]
    pub fn of_call_with(steps: u32, ns: u32) -> Self {
        Self {
            step_ns: ns.div_ceil(steps + Self::OF_CALL),
        }
    }

    /// At the entry of a function with so many steps there.
    #[must_use]
    pub fn entry_ns(self, steps: usize) -> u64 {
        (steps as u64 + u64::from(Self::OF_CALL)) * u64::from(self.step_ns)
    }

    /// At its return.
    #[must_use]
    pub fn exit_ns(self, steps: usize) -> u64 {
        steps as u64 * u64::from(self.step_ns)
    }
}
