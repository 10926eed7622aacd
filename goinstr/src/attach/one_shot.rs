//! Sites that are taken out again when they have been hit: what coverage arms.
//!
//! In: file offsets. Out: [`OneShots`], which tells when each was first hit. Taking out one site
//! takes the kernel as long as taking out all of a link, so hit sites go many at a time: a new link
//! with those that stay is armed, then the old one dropped. No hit is lost between: a site that
//! stays is armed by both for a while, and the program notes the first hit only.
//!
//! Sites are put in some hundreds at a time, and what was hit is taken out before the next come:
//! with ten thousand functions of a busy server armed at once it hardly runs for seconds.

use std::{io, ops::RangeInclusive, path::Path, sync::mpsc, thread};

use aya::{Ebpf, EbpfLoader};
use goinstr_common::{
    control::{Control, PHASE_CLOSING, PHASE_RECORDING},
    coverage::{NOT_HIT, STEPPED_BIT},
    hits::STRIDE,
};

use super::{
    AttachError, Hits, Method, Scope,
    armer::Armer,
    beside::beside,
    holder::{Held, Holder},
    kernel::{OBJECT, load_error, mapped},
    log_level,
    mapped::Mapped,
    multi, perf,
    text::Text,
};
use crate::plan::Site;

/// The kernel program that runs at the sites.
const PROGRAM: &str = "cover";

/// Armed one-shot sites, and the maps they write to. A site is known by its index.
pub struct OneShots {
    /// How the sites are armed.
    pub method: Method,
    control: Mapped<Control>,
    first_hits: Mapped<u64>,
    hit_counts: Mapped<u64>,
    offsets: Vec<u64>,
    cookies: Vec<u64>,
    /// Sites to be armed, the next one last.
    pending: Vec<usize>,
    /// Which sites are armed.
    placed: Vec<bool>,
    links: Links,
    holder: Holder,
}

/// Sites that may be put in together. A site that is hit goes on being hit while those beside it are
/// put in once more: few enough that this takes some ten milliseconds.
pub const BATCH: RangeInclusive<usize> = 128..=1024;

/// What keeps sites armed.
enum Links {
    Multi {
        armer: Armer,
        /// A link each.
        batches: Vec<Batch>,
        /// Links that are being dropped: the sites go at once, the rest waits for a grace period.
        going: Vec<thread::JoinHandle<()>>,
    },
    /// By site; `None` for one that was taken out.
    Perf {
        armer: Armer,
        links: Vec<Option<Held>>,
        closer: Closer,
    },
}

/// Sites of one link.
struct Batch {
    sites: Vec<usize>,
    link: Held,
}

impl OneShots {
    /// Loads the program for sites in the file at `exe`, and arms none of them yet.
    pub fn load(
        sites: &[Site],
        exe: &Path,
        scope: Scope,
        method: Option<Method>,
    ) -> Result<Self, AttachError> {
        // Before the kernel's maps are mapped: the fork would have them too.
        let holder = Holder::start().map_err(|source| AttachError::Holder { source })?;
        let offsets: Vec<u64> = sites.iter().map(|site| site.offset.0).collect();
        let text = Text::open(exe)?;
        let cookies = sites.iter().zip(0..).map(|(&site, number)| {
            let stepped = u64::from(text.single_steps(site));
            number | stepped << STEPPED_BIT
        });
        let cookies: Vec<u64> = cookies.collect();
        let cpus = u32::try_from(aya::util::nr_cpus().unwrap_or(1)).unwrap_or(u32::MAX);
        let mut ebpf = load(offsets.len(), cpus, scope)?;
        let method = match method {
            Some(method) => method,
            None if multi::supported(&ebpf)? => Method::UprobeMulti,
            None => Method::PerfEvent,
        };
        let links = match method {
            Method::UprobeMulti => Links::Multi {
                armer: multi::armer(&ebpf, PROGRAM, exe, scope, &holder)?,
                batches: Vec::new(),
                going: Vec::new(),
            },
            Method::PerfEvent => {
                perf::make_room(offsets.len())?;
                let armer = perf::armer(&mut ebpf, PROGRAM, exe, scope, &holder)?;
                perf::tell_cost(&armer, offsets.len(), &offsets)?;
                Links::Perf {
                    armer,
                    links: offsets.iter().map(|_| None).collect(),
                    closer: Closer::start(),
                }
            }
        };
        Ok(Self {
            method,
            control: mapped(&ebpf, "CONTROL", 1)?,
            first_hits: mapped(&ebpf, "FIRST_HITS", offsets.len())?,
            hit_counts: mapped(&ebpf, "HIT_COUNTS", (cpus * STRIDE) as usize)?,
            pending: (0..offsets.len()).rev().collect(),
            placed: vec![false; offsets.len()],
            offsets,
            cookies,
            links,
            holder,
        })
    }

    /// Whether the sites are armed as they were: they go where somebody kills the process that holds them.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.holder.is_there()
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
    pub fn hits(&self) -> Hits {
        Hits::of(&self.hit_counts)
    }

    /// Whether a site is armed.
    #[must_use]
    pub fn is_placed(&self, site: usize) -> bool {
        self.placed.get(site) == Some(&true)
    }

    /// Number of sites that are armed.
    #[must_use]
    pub fn placed(&self) -> usize {
        self.placed.iter().filter(|&&placed| placed).count()
    }

    /// Arms at most `most` more of the sites that `wanted` says yes to, by address. False: there are
    /// no more.
    pub fn place_some(
        &mut self,
        most: usize,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<bool, AttachError> {
        let mut sites = Vec::with_capacity(most);
        while sites.len() < most
            && let Some(site) = self.pending.pop()
        {
            if wanted(site) && !self.placed[site] {
                sites.push(site);
            }
        }
        if sites.is_empty() {
            return Ok(false);
        }
        match &mut self.links {
            Links::Multi { armer, batches, .. } => {
                let link = link(armer, &self.offsets, &self.cookies, &sites)?;
                for &site in &sites {
                    self.placed[site] = true;
                }
                batches.push(Batch { sites, link });
            }
            Links::Perf { armer, links, .. } => {
                for site in sites {
                    let link = armer.arm(&[self.offsets[site]], &[self.cookies[site]])?;
                    links[site] = Some(link);
                    self.placed[site] = true;
                }
            }
        }
        Ok(true)
    }

    /// Takes out every site that `stays` says no to; their number.
    pub fn retire(&mut self, stays: impl Fn(usize) -> bool) -> Result<usize, AttachError> {
        let before = self.placed();
        match &mut self.links {
            Links::Multi {
                armer,
                batches,
                going,
            } => {
                let mut old = Vec::new();
                for batch in batches.iter_mut() {
                    let kept: Vec<usize> = batch
                        .sites
                        .iter()
                        .copied()
                        .filter(|&site| stays(site))
                        .collect();
                    if kept.len() == batch.sites.len() {
                        continue;
                    }
                    for &site in &batch.sites {
                        self.placed[site] = false;
                    }
                    for &site in &kept {
                        self.placed[site] = true;
                    }
                    batch.sites = kept;
                    if !batch.sites.is_empty() {
                        // The new one is in place: only now may the old one go.
                        let new = link(armer, &self.offsets, &self.cookies, &batch.sites)?;
                        old.push(std::mem::replace(&mut batch.link, new));
                    }
                }
                let (empty, rest) = std::mem::take(batches)
                    .into_iter()
                    .partition(|batch| batch.sites.is_empty());
                *batches = rest;
                old.extend(Vec::into_iter(empty).map(|batch: Batch| batch.link));
                going.retain(|thread| !thread.is_finished());
                going.extend(drop_apart(old));
            }
            Links::Perf { links, closer, .. } => {
                for (site, link) in links.iter_mut().enumerate() {
                    if link.is_some() && !stays(site) {
                        self.placed[site] = false;
                        closer.close(link.take());
                    }
                }
            }
        }
        Ok(before - self.placed())
    }

    /// Begins anew: no site was hit, and those that are not armed are to be, by [`OneShots::place_some`].
    ///
    /// A hit that the kernel is in the middle of counts before or after this, as it happens.
    pub fn forget(&mut self) {
        self.first_hits.clear();
        self.pending = (0..self.offsets.len()).rev().collect();
        self.record();
    }

    /// Leaves it to the process that holds the sites to take them out, where that takes long, and does not
    /// wait; that process. To be paused before.
    pub fn leave(&mut self) -> Option<u32> {
        (self.method == Method::PerfEvent).then(|| self.holder.leave())
    }

    /// Takes out every site. No program runs any more when this returns, and all can still be read.
    pub fn disarm(&mut self) {
        match &mut self.links {
            Links::Multi { batches, going, .. } => {
                going.extend(drop_apart(batches.drain(..).map(|batch| batch.link)));
                for thread in going.drain(..) {
                    let _ = thread.join();
                }
            }
            Links::Perf { links, closer, .. } => {
                links.clear();
                closer.finish();
            }
        }
    }
}

/// Arms some sites.
fn link(
    armer: &Armer,
    offsets: &[u64],
    cookies: &[u64],
    sites: &[usize],
) -> Result<Held, AttachError> {
    let of_sites = |all: &[u64]| -> Vec<u64> {
        let known = sites.iter().filter_map(|&site| all.get(site).copied());
        known.collect()
    };
    let (offsets, cookies) = (of_sites(offsets), of_sites(cookies));
    armer.arm(&offsets, &cookies)
}

/// Drops links at the same time, each in a thread of its own: those that wait for a grace period
/// together share it.
fn drop_apart(links: impl IntoIterator<Item = Held>) -> Vec<thread::JoinHandle<()>> {
    let links = links.into_iter();
    links
        .filter_map(|link| beside(move || drop(link)))
        .collect()
}

/// Closes perf events beside whoever asks for it: each takes a grace period of the kernel.
struct Closer {
    queue: Option<mpsc::Sender<Held>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Closer {
    fn start() -> Self {
        let (queue, links) = mpsc::channel::<Held>();
        let close = move || links.into_iter().for_each(drop);
        // Without a thread each is closed where it comes.
        let thread = thread::Builder::new().spawn(close).ok();
        Self {
            queue: thread.is_some().then_some(queue),
            thread,
        }
    }

    fn close(&self, link: Option<Held>) {
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
        .map_max_entries("HIT_COUNTS", cpus * STRIDE)
        // Coverage has no single calls: the smallest there is.
        .map_max_entries(
            "CALLS",
            u32::try_from(rustix::param::page_size()).unwrap_or(4096),
        )
        .load(OBJECT)
        .map_err(load_error)
}
