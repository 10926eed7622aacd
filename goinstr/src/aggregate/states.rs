//! What calls did while they were open.

use std::collections::BTreeMap;

use goinstr_common::state::StateTimes;
use serde::{Deserialize, Serialize};

/// A duration by what the goroutine did in it, in ns: the four add up to the duration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct States {
    /// On a CPU.
    pub running_ns: u64,
    /// Could run, and waited for a P or a CPU.
    pub runnable_ns: u64,
    /// Parked.
    pub waiting_ns: u64,
    /// In a system call, in C, or blocked in the kernel otherwise.
    pub syscall_ns: u64,
    /// `waiting_ns` by the runtime's own names of the reasons.
    pub waiting: BTreeMap<String, u64>,
}

impl States {
    /// What the kernel program measured of `duration_ns`; `name` tells what a slot was waited for.
    #[must_use]
    pub fn of<'n>(times: &StateTimes, duration_ns: u64, name: impl Fn(usize) -> &'n str) -> Self {
        let mut waiting: BTreeMap<String, u64> = BTreeMap::new();
        for (slot, &ns) in times
            .waiting_ns
            .iter()
            .enumerate()
            .filter(|(_, ns)| **ns != 0)
        {
            *waiting.entry(name(slot).to_owned()).or_default() += ns;
        }
        Self {
            running_ns: duration_ns.saturating_sub(times.sum()),
            runnable_ns: times.runnable_ns,
            waiting_ns: waiting.values().sum(),
            syscall_ns: times.syscall_ns,
            waiting,
        }
    }

    /// Takes another's times to its own.
    pub fn add(&mut self, other: &Self) {
        self.running_ns = self.running_ns.saturating_add(other.running_ns);
        self.runnable_ns = self.runnable_ns.saturating_add(other.runnable_ns);
        self.waiting_ns = self.waiting_ns.saturating_add(other.waiting_ns);
        self.syscall_ns = self.syscall_ns.saturating_add(other.syscall_ns);
        for (reason, &ns) in &other.waiting {
            let sum = self.waiting.entry(reason.clone()).or_default();
            *sum = sum.saturating_add(ns);
        }
    }

    /// Takes another's times, which are among its own, off.
    pub fn subtract(&mut self, other: &Self) {
        self.running_ns = self.running_ns.saturating_sub(other.running_ns);
        self.runnable_ns = self.runnable_ns.saturating_sub(other.runnable_ns);
        self.syscall_ns = self.syscall_ns.saturating_sub(other.syscall_ns);
        for (reason, &ns) in &other.waiting {
            if let Some(sum) = self.waiting.get_mut(reason) {
                *sum = sum.saturating_sub(ns);
            }
        }
        self.waiting_ns = self.waiting.values().sum();
    }

    /// Each state with its time, waits by their reasons: as `running`, `waiting: chan receive`.
    pub fn named(&self) -> impl Iterator<Item = (String, u64)> {
        let waits = self.waiting.iter();
        [
            ("running".to_owned(), self.running_ns),
            ("runnable".to_owned(), self.runnable_ns),
            ("system call".to_owned(), self.syscall_ns),
        ]
        .into_iter()
        .chain(waits.map(|(reason, &ns)| (format!("waiting: {reason}"), ns)))
        .filter(|&(_, ns)| ns > 0)
    }

    /// Bytes that it takes beside its own: about so many.
    pub(super) fn heap_bytes(&self) -> usize {
        let wait = |reason: &String| size_of::<(String, u64)>() + reason.len();
        self.waiting.keys().map(wait).sum()
    }

    /// All together.
    #[must_use]
    pub fn total_ns(&self) -> u64 {
        self.running_ns + self.runnable_ns + self.waiting_ns + self.syscall_ns
    }

    /// The reason that most of the waiting was for.
    #[must_use]
    pub fn top_reason(&self) -> Option<(&str, u64)> {
        let (name, ns) = self.waiting.iter().max_by_key(|(_, ns)| **ns)?;
        Some((name, *ns))
    }
}
