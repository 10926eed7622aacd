//! Sites that are taken out again when they have been hit: what coverage arms.
//!
//! In: file offsets. Out: [`OneShots`], which tells when each was first hit. Taking out one site
//! takes the kernel as long as taking out all of a link, so hit sites go many at a time: a new link
//! with those that stay is armed, then the old one dropped. No hit is lost between: a site that
//! stays is armed by both for a while, and the program notes the first hit only.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
};

use aya::{Ebpf, EbpfLoader, programs::uprobe::UProbeLink};
use goinstr_common::{
    control::{Control, PHASE_ARMING, PHASE_CLOSING, PHASE_RECORDING},
    coverage::{HIT_COUNT_STRIDE, NOT_HIT},
};

use super::{
    AttachError, Method, Scope,
    kernel::{OBJECT, load_error, mapped},
    log_level,
    mapped::Mapped,
    multi::{self, Armer},
    perf,
};
use crate::binary::FileOffset;

/// The kernel program that runs at the sites.
const PROGRAM: &str = "cover";

/// Armed one-shot sites, and the maps they write to. A site is known by its index.
pub struct OneShots {
    /// How the sites are armed.
    pub method: Method,
    ebpf: Ebpf,
    control: Mapped<Control>,
    first_hits: Mapped<u64>,
    hit_counts: Mapped<u64>,
    cpus: u32,
    offsets: Vec<u64>,
    exe: PathBuf,
    scope: Scope,
    links: Links,
}

/// What keeps sites armed.
enum Links {
    Multi {
        armer: Armer,
        link: Option<OwnedFd>,
    },
    /// By site; `None` for one that was taken out.
    Perf {
        links: Vec<Option<UProbeLink>>,
        closer: Closer,
    },
}

impl OneShots {
    /// Loads the program and arms all sites in the file at `exe`, each only once however often it
    /// is named. Hits do nothing before [`OneShots::record`].
    pub fn arm(
        sites: &[FileOffset],
        exe: &Path,
        scope: Scope,
        method: Option<Method>,
    ) -> Result<Self, AttachError> {
        let offsets: Vec<u64> = sites.iter().map(|site| site.0).collect();
        let cpus = u32::try_from(aya::util::nr_cpus().unwrap_or(1)).unwrap_or(u32::MAX);
        let mut ebpf = load(offsets.len(), cpus, scope)?;
        let method = match method {
            Some(method) => method,
            None if multi::supported(&ebpf)? => Method::UprobeMulti,
            None => Method::PerfEvent,
        };
        let links = match method {
            Method::UprobeMulti => Links::Multi {
                armer: Armer::new(&ebpf, PROGRAM, exe, scope)?,
                link: None,
            },
            Method::PerfEvent => {
                perf::make_room(offsets.len())?;
                perf::load(&mut ebpf, PROGRAM, exe)?;
                Links::Perf {
                    links: offsets.iter().map(|_| None).collect(),
                    closer: Closer::start(),
                }
            }
        };
        let mut sites = Self {
            method,
            control: mapped(&ebpf, "CONTROL", 1)?,
            first_hits: mapped(&ebpf, "FIRST_HITS", offsets.len())?,
            hit_counts: mapped(&ebpf, "HIT_COUNTS", (cpus * HIT_COUNT_STRIDE) as usize)?,
            cpus,
            ebpf,
            offsets,
            exe: exe.to_owned(),
            scope,
            links,
        };
        sites.keep(|_| true)?;
        Ok(sites)
    }

    /// Number of sites.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// From now on hits count.
    pub fn record(&self) {
        self.control.set_phase(PHASE_RECORDING);
    }

    /// From now on hits do nothing.
    pub fn pause(&self) {
        self.control.set_phase(PHASE_CLOSING);
    }

    /// When a site was first hit, in ns of `CLOCK_MONOTONIC`; `None` if it was not.
    #[must_use]
    pub fn first_hit(&self, site: usize) -> Option<u64> {
        self.first_hits.get(site).filter(|&time| time != NOT_HIT)
    }

    /// All hits so far, those of sites that were hit before among them.
    #[must_use]
    pub fn hits(&self) -> u64 {
        (0..self.cpus)
            .filter_map(|cpu| self.hit_counts.get((cpu * HIT_COUNT_STRIDE) as usize))
            .sum()
    }

    /// Takes out every site that `stays` says no to, and puts in those that it says yes to and that
    /// are not there.
    pub fn keep(&mut self, stays: impl Fn(usize) -> bool) -> Result<(), AttachError> {
        match &mut self.links {
            Links::Multi { armer, link } => {
                let kept: Vec<usize> = (0..self.offsets.len())
                    .filter(|&site| stays(site))
                    .collect();
                let offsets: Vec<u64> = kept.iter().map(|&site| self.offsets[site]).collect();
                let cookies: Vec<u64> = kept.iter().map(|&site| site as u64).collect();
                let new = match offsets.as_slice() {
                    [] => None,
                    _ => Some(armer.arm(&offsets, &cookies)?),
                };
                // The new one is in place: only now may the old one go.
                drop(std::mem::replace(link, new));
            }
            Links::Perf { links, closer } => {
                for (site, link) in links.iter_mut().enumerate() {
                    match (stays(site), link.is_some()) {
                        (true, false) => {
                            let offset = self.offsets[site];
                            let cookie = site as u64;
                            *link = Some(perf::arm_one(
                                &mut self.ebpf,
                                PROGRAM,
                                offset,
                                cookie,
                                &self.exe,
                                self.scope,
                            )?);
                        }
                        (false, true) => closer.close(link.take()),
                        (true, true) | (false, false) => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// Begins anew: every site is armed, none was hit. Hits between the last [`OneShots::record`]
    /// and this belong to what was; what is hit while this goes on is not noted.
    pub fn forget(&mut self) -> Result<(), AttachError> {
        self.control.set_phase(PHASE_ARMING);
        // Dropping the old link waits for the programs that still run, and the new one's see the phase.
        self.keep(|_| true)?;
        self.first_hits.clear();
        self.record();
        Ok(())
    }

    /// Takes out every site. No program runs any more when this returns, and all can still be read.
    pub fn disarm(&mut self) {
        match &mut self.links {
            Links::Multi { link, .. } => drop(link.take()),
            Links::Perf { links, closer } => {
                links.clear();
                closer.finish();
            }
        }
    }
}

/// Closes perf events beside whoever asks for it: each takes a grace period of the kernel.
struct Closer {
    queue: Option<mpsc::Sender<UProbeLink>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Closer {
    fn start() -> Self {
        let (queue, links) = mpsc::channel();
        let thread = thread::spawn(move || links.into_iter().for_each(drop));
        Self {
            queue: Some(queue),
            thread: Some(thread),
        }
    }

    fn close(&self, link: Option<UProbeLink>) {
        if let (Some(queue), Some(link)) = (&self.queue, link) {
            // Where the thread is gone the link comes back and is closed here.
            drop(queue.send(link));
        }
    }

    /// Waits until all are closed.
    fn finish(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.finish();
    }
}

fn load(sites: usize, cpus: u32, scope: Scope) -> Result<Ebpf, AttachError> {
    let tgid = match scope {
        Scope::Process {
            kernel_pid: Some(pid),
            ..
        } => pid,
        Scope::Process {
            kernel_pid: None, ..
        }
        | Scope::Everyone => 0,
    };
    let sites = u32::try_from(sites.max(1)).map_err(|_| AttachError::Map {
        what: "FIRST_HITS".to_owned(),
        source: io::ErrorKind::OutOfMemory.into(),
    })?;
    let log_level = log_level::of_kernel_side();
    EbpfLoader::new()
        .override_global("TARGET_TGID", &tgid, true)
        .override_global(aya_log::LEVEL, &log_level, true)
        .map_max_entries("FIRST_HITS", sites)
        .map_max_entries("HIT_COUNTS", cpus * HIT_COUNT_STRIDE)
        // Coverage has no single calls: the smallest there is.
        .map_max_entries(
            "CALLS",
            u32::try_from(rustix::param::page_size()).unwrap_or(4096),
        )
        .load(OBJECT)
        .map_err(load_error)
}
