//! The plan made real: the program loaded, the maps sized, the sites armed.
//!
//! In: a [`ProbePlan`] and [`Settings`]. Out: an [`Attached`], whose maps can be read and which
//! leaves nothing behind when it is dropped: all that is in the kernel hangs on file descriptors,
//! so it goes however goinstr ends.

mod armer;
mod beside;
pub mod calibration;
mod captures;
mod costs;
mod error;
pub mod features;
mod gauge;
mod hits;
mod holder;
mod kernel;
mod kernel_types;
mod log_level;
mod mapped;
mod multi;
mod one_shot;
mod own_text;
mod parts;
mod perf;
mod perf_event;
mod program_size;
mod programs;
mod returning;
mod settings;
mod shedding;
mod sites;
mod sizes;
mod states;
mod stopper;
mod syscall;
mod text;
mod urgency;
mod windows;

use std::{iter, path::Path};

pub use costs::{Costs, EntryCosts, ValueCosts};
pub use error::AttachError;
pub use gauge::Gauge;
pub use hits::Hits;
pub use kernel::Kernel;
pub use one_shot::{BATCH, OneShots};
pub use program_size::ProgramSize;
pub use settings::{Aggregation, Returns, Scope, Settings, Watch};
pub use shedding::Shedder;
pub use stopper::Stopper;
pub use urgency::urgent;
pub use windows::Windows;

use aya::programs::raw_trace_point::RawTracePointLink;

use self::{holder::Holder, parts::Called, shedding::Links, urgency::urgently};
use crate::plan::{ProbePlan, Site};
use goinstr_common::control::PHASE_ARMING;

/// How the sites are armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `uprobe.multi`: all sites of a program in one link (Linux 6.6).
    UprobeMulti,
    /// One perf event a site.
    PerfEvent,
}

impl Method {
    /// Its name in the JSON session record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UprobeMulti => "uprobe_multi",
            Self::PerfEvent => "perf_event",
        }
    }
}

/// Armed probes and the maps they write to.
pub struct Attached {
    /// The loaded program's maps.
    pub kernel: Kernel,
    /// How the sites are armed.
    pub method: Method,
    /// Who executes the returns.
    pub returns: Returns,
    /// Number of sites armed.
    pub sites: usize,
    shedder: Shedder,
    /// Whether time that threads were without a CPU is told apart from running.
    pub follows_threads: bool,
    threads: Option<RawTracePointLink>,
    windows: Option<Windows>,
    /// Last: nothing that it holds is there any more.
    holder: Holder,
}

impl Attached {
    /// Loads the program and arms every site of the plan, in the file at `exe` and in the plan's
    /// libraries.
    ///
    /// Nothing is recorded until [`Kernel::set_phase`] says so.
    pub fn arm(plan: &ProbePlan, exe: &Path, settings: &Settings) -> Result<Self, AttachError> {
        // Before the kernel's maps are mapped: the fork would have them too.
        let holder = Holder::start().map_err(|source| AttachError::Holder { source })?;
        let libraries = plan.libraries.iter().map(|library| &*library.open_path);
        let files: Vec<&Path> = iter::once(exe).chain(libraries).collect();
        let texts = files.iter().map(|file| text::Text::open(file));
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        let stepped = |site: Site| texts.get(site.file).is_some_and(|t| t.single_steps(site));
        // Where a library was loaded is not known.
        let plain =
            |site: Site| site.file == 0 && texts.first().is_some_and(|t| t.returns_plainly(site));
        let mut sites = sites::Sites::of(plan, settings.watch, stepped, plain);
        let mut kernel = Kernel::load(plan, sites.stepped.clone(), settings)?;
        let method = match settings.method {
            Some(method) => method,
            None if multi::supported(&kernel.ebpf)? => Method::UprobeMulti,
            None => Method::PerfEvent,
        };
        // Before the sites: no goroutine's clock begins without it.
        let threads = match kernel.follows_threads {
            true => states::follow_threads(&mut kernel.ebpf),
            false => None,
        };
        let all_sites = sites.len();
        let windows = match (settings.windows, method) {
            (false, _) => None,
            (true, Method::PerfEvent) => return Err(AttachError::NoWindows),
            (true, Method::UprobeMulti) => {
                let returns = sites.take("exit");
                let armers = multi::armers(&kernel.ebpf, returns, &files, settings.scope, &holder)?;
                Some(Windows::new(armers, kernel.gauge()))
            }
        };
        let links = urgently(|| match method {
            Method::UprobeMulti => {
                let called = Called(&settings.called);
                let scope = settings.scope;
                multi::arm(&kernel.ebpf, &sites, &files, scope, &holder, called).map(Links::Multi)
            }
            Method::PerfEvent => {
                perf::arm(&mut kernel.ebpf, &sites, &files, settings.scope, &holder)
                    .map(Links::Perf)
            }
        })?;
        let gauge = kernel.gauge();
        Ok(Self {
            kernel,
            method,
            returns: settings.returns,
            sites: all_sites,
            shedder: Shedder::new(links, gauge, &holder),
            follows_threads: threads.is_some(),
            threads,
            windows,
            holder,
        })
    }

    /// What takes functions out while it is measured.
    #[must_use]
    pub fn shedder(&self) -> Shedder {
        self.shedder.clone()
    }

    /// What stops it at once, where nothing can be taken out of it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        let links = (self.method != Method::PerfEvent).then(|| self.shedder.clone());
        Stopper::new(self.kernel.gauge(), links)
    }

    /// What arms the returns, where that is done for part of the time; only the first asker gets it.
    pub fn take_windows(&mut self) -> Option<Windows> {
        self.windows.take()
    }

    /// Whether the sites are armed as they were: they go where somebody kills the process that holds them.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.holder.is_there()
    }

    /// Ends without waiting for what takes long: sites that are perf events. Hits do nothing from now on, no
    /// program runs any more when this returns, and the process that is named takes the sites out.
    /// `None`: there is no need for that, or no way.
    #[must_use]
    pub fn leave(&self) -> Option<u32> {
        if self.method != Method::PerfEvent {
            return None;
        }
        self.kernel.set_phase(PHASE_ARMING);
        programs::wait_for_running().then(|| self.holder.leave())
    }

    /// Disarms every site and returns what they wrote. No program runs any more when this returns.
    #[must_use]
    pub fn disarm(self) -> Kernel {
        urgently(|| {
            self.shedder.disarm();
            drop(self.windows);
        });
        drop(self.threads);
        self.kernel
    }
}
