//! Indices of the map `COUNTERS`: an array of `u64`, each added to atomically by the kernel.

/// Reasons for which a call is lost. Each is a term of the ledger: an entry was counted, and the
/// call can be neither `returned`, `unwound` nor `in_flight`.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lost {
    /// No room in the ring buffer for the call's record (only where the ring buffer carries all calls).
    RingFull = 0,
    /// No room for another goroutine's shadow stack.
    TableFull = 1,
    /// More calls open on one goroutine than a shadow stack holds.
    StackFull = 2,
    /// The g register did not hold the g of the stack that the call ran on.
    ForeignStack = 3,
    /// `runtime.g` could not be read at the g register's address.
    UnreadableG = 4,
    /// It was open when its function was shed.
    Shed = 5,
    /// It began while durations were not measured.
    NotTimed = 6,
    /// It was open when durations ceased to be measured.
    WindowEnd = 7,
}

impl Lost {
    /// All reasons, in the order of their indices.
    pub const ALL: [Self; 8] = [
        Self::RingFull,
        Self::TableFull,
        Self::StackFull,
        Self::ForeignStack,
        Self::UnreadableG,
        Self::Shed,
        Self::NotTimed,
        Self::WindowEnd,
    ];

    /// The reason's name in the JSON ledger.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::TableFull => "table_full",
            Self::StackFull => "stack_full",
            Self::ForeignStack => "foreign_stack",
            Self::UnreadableG => "unreadable_g",
            Self::Shed => "shed",
            Self::NotTimed => "not_timed",
            Self::WindowEnd => "window_end",
        }
    }

    /// The reason's index in the map `COUNTERS`.
    #[must_use]
    pub const fn index(self) -> u32 {
        self as u32
    }
}

/// Names the other elements, behind those of [`Lost`].
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $index:literal;)*) => {
        $($(#[$doc])* pub const $name: u32 = $index;)*
        const INDICES: &[u32] = &[$($name),*];
    };
}

counters! {
    /// Returns of calls that were open before recording began.
    ORPHAN_RETURNS = 8;
    /// Returns of calls whose entry is counted as lost.
    LOST_RETURNS = 9;
    /// Hits of an entry site within a call that is already open (a loop back to the first byte).
    REENTRIES = 10;
    /// Records dropped for want of room where the call itself is counted all the same.
    DROPPED_RECORDS = 11;
    /// Finished calls that found neither a histogram block nor room for a record: in the totals, not in the quantiles.
    UNBINNED = 12;
    /// Hits of the sites on `runtime.recovery` and in `runtime.Goexit`.
    UNWIND_HITS = 13;
    /// Calls closed because their goroutine was another one when its `g` was next seen.
    STALE_FRAMES = 14;
    /// Calls whose arguments and results were asked for and not read, for want of room.
    UNCAPTURED = 15;
    /// Stacks and chains of callers dropped for want of room: their calls are told of without.
    DROPPED_STACKS = 16;
    /// Calls that are not told of because they don't match the condition.
    KEPT_BACK = 17;
}

/// Number of elements of the map `COUNTERS`.
pub const COUNTERS: u32 = 32;

/// Each has an element of its own.
const _: () = {
    let mut next = Lost::ALL.len() as u32;
    let mut at = 0;
    while at < INDICES.len() {
        assert!(INDICES[at] == next, "the indices go on without a gap");
        next += 1;
        at += 1;
    }
    assert!(next <= COUNTERS);
};
