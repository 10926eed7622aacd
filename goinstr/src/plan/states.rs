//! Where the runtime tells what goroutines do, for `--states`.

use super::survey::site;
use super::{Site, WaitSlots};
use crate::binary::GoBinary;

/// A state that a goroutine can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoState {
    /// On a thread.
    Running,
    /// Parked, for a reason.
    Waiting,
    /// In a system call or in C.
    Syscall,
}

/// A site at which a state begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateSite {
    /// Where.
    pub site: Site,
    /// Which.
    pub state: GoState,
    /// Of the goroutine in the first argument; else of the one that runs.
    pub of_argument: bool,
}

/// What `--states` needs of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatePlan {
    /// Entry of `runtime.casgstatus(gp, old, new)`.
    pub status: Option<Site>,
    /// Where the runtime changes a goroutine's status without it.
    pub sites: Vec<StateSite>,
    /// The program's wait reasons.
    pub waits: WaitSlots,
}

impl StatePlan {
    /// The sites of a program; `None` where it has no `casgstatus` that can be probed.
    #[must_use]
    pub fn of(binary: &GoBinary) -> Option<Self> {
        let status = entry(binary, "runtime.casgstatus")?;
        let mut sites = Vec::new();
        let mut add = |site: Option<Site>, state, of_argument| {
            sites.extend(site.map(|site| StateSite {
                site,
                state,
                of_argument,
            }));
        };
        // Since 1.26 they change the status themselves, before they fall back on casgstatus.
        add(
            entry(binary, "runtime.reentersyscall"),
            GoState::Syscall,
            false,
        );
        add(
            entry(binary, "runtime.exitsyscall"),
            GoState::Running,
            false,
        );
        // A goroutine stopped for its stack to be scanned becomes `_Gpreempted` in its own way.
        add(entry(binary, "runtime.preemptPark"), GoState::Waiting, true);
        // iter.Pull (1.23): each side waits for the other; the return is where it goes on.
        add(entry(binary, "runtime.coroswitch"), GoState::Waiting, false);
        for exit in exits(binary, "runtime.coroswitch") {
            add(Some(exit), GoState::Running, false);
        }
        Some(Self {
            status: Some(status),
            sites,
            waits: WaitSlots::of(&binary.wait_reasons()),
        })
    }
}

fn entry(binary: &GoBinary, name: &str) -> Option<Site> {
    let function = binary.named(name).find(|function| !function.is_wrapper())?;
    let sites = binary.call_sites(function).ok()?;
    site(binary, sites.entry.address).ok()
}

fn exits(binary: &GoBinary, name: &str) -> Vec<Site> {
    let Some(function) = binary.named(name).find(|function| !function.is_wrapper()) else {
        return Vec::new();
    };
    let Ok(sites) = binary.call_sites(function) else {
        return Vec::new();
    };
    let exits = sites.exits.into_iter();
    exits.filter_map(|exit| site(binary, exit).ok()).collect()
}
