//! One perf event a site: for kernels without `uprobe.multi`.
//!
//! Arming is quick, disarming waits for a grace period of the kernel for each site.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    time::{Duration, Instant},
};

use aya::{
    Ebpf,
    programs::{Program, ProgramError, UProbe},
};

use super::{
    AttachError, Scope,
    armer::{Armer, By},
    error::ARM_BY_PERF,
    features,
    holder::{Held, Holder},
    perf_event,
    sites::Sites,
};

/// Open files that are not for sites. Each site takes one.
const OTHER_FILES: u64 = 64;

/// Who waits longer than this for the sites to go is told of it before they are armed.
const SHORT: Duration = Duration::from_secs(1);

/// Links that keep sites armed.
pub(super) struct Links(Vec<Armed>);

struct Armed {
    /// Of a function's site.
    cookie: Option<u64>,
    /// Only to be dropped.
    _link: Held,
}

impl Links {
    /// Disarms the functions' sites that `keep` does not want.
    pub fn without(mut self, keep: impl Fn(u64) -> bool) -> Self {
        let keep = |armed: &mut Armed| armed.cookie.is_none_or(&keep);
        drop(
            self.0
                .extract_if(.., |armed| !keep(armed))
                .collect::<Vec<_>>(),
        );
        self
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        // As in the other way: entries first.
        while let Some(link) = self.0.pop() {
            drop(link);
        }
    }
}

/// Arms all sites, one after the other.
pub(super) fn arm(
    ebpf: &mut Ebpf,
    sites: &Sites,
    files: &[&Path],
    scope: Scope,
    holder: &Holder,
) -> Result<Links, AttachError> {
    make_room(sites.len())?;
    let mut links = Links(Vec::with_capacity(sites.len()));
    for group in &sites.groups {
        let exe = files.get(group.file).copied().unwrap_or(Path::new(""));
        let armer = armer(ebpf, group.program, exe, scope, holder)?;
        if links.0.is_empty() {
            tell_cost(&armer, sites.len(), &group.offsets)?;
        }
        for (&offset, &cookie) in group.offsets.iter().zip(&group.cookies) {
            links.0.push(Armed {
                cookie: group.is_of_functions().then_some(cookie),
                _link: armer.arm(&[offset], &[cookie])?,
            });
        }
    }
    Ok(links)
}

/// What arms sites of the file at `exe`, one a link, with the program of this name.
pub(super) fn armer(
    ebpf: &mut Ebpf,
    name: &'static str,
    exe: &Path,
    scope: Scope,
    holder: &Holder,
) -> Result<Armer, AttachError> {
    let program = (name, load(ebpf, name)?);
    let event_type = perf_event::event_type().map_err(|_| AttachError::NoUprobes)?;
    Armer::new(program, exe, scope, By::PerfEvent(event_type), holder)
}

/// Tells how long it will take to take so many sites out again, by the time that one of them takes.
pub(super) fn tell_cost(armer: &Armer, sites: usize, offsets: &[u64]) -> Result<(), AttachError> {
    let Some(&offset) = offsets.first() else {
        return Ok(());
    };
    let one = armer.arm(&[offset], &[0])?;
    let start = Instant::now();
    drop(one);
    let each = start.elapsed();
    let all = each.saturating_mul(u32::try_from(sites).unwrap_or(u32::MAX));
    if all > SHORT {
        log::warn!(
            "{sites} sites, a perf event each: to take them out again will take the kernel some {:.0} s ({} ms each); \
             the target runs on meanwhile, and Ctrl-C does not wait for it",
            all.as_secs_f64(),
            each.as_millis()
        );
    }
    Ok(())
}

/// Loads the program of this name.
fn load(ebpf: &mut Ebpf, name: &'static str) -> Result<OwnedFd, AttachError> {
    let error = |reason: String| AttachError::Program {
        program: name.to_owned(),
        reason,
    };
    let program: &mut Program = ebpf
        .program_mut(name)
        .ok_or_else(|| error("not in the object".to_owned()))?;
    let program: &mut UProbe = program
        .try_into()
        .map_err(|e: ProgramError| error(e.to_string()))?;
    match program.load() {
        // For another file.
        Ok(()) | Err(ProgramError::AlreadyLoaded) => {}
        Err(error) => return Err(load_error(name, &error)),
    }
    let program = program.fd().map_err(|e| error(e.to_string()))?;
    let program = program.as_fd().try_clone_to_owned();
    program.map_err(|e| error(e.to_string()))
}

/// Whether there may be so many open files: the process that holds them takes as many as it may have.
pub(super) fn make_room(sites: usize) -> Result<(), AttachError> {
    use rustix::process::{Resource, getrlimit};
    let needed = sites as u64 + OTHER_FILES;
    match getrlimit(Resource::Nofile).maximum {
        Some(limit) if limit < needed => Err(AttachError::TooManySites { sites, limit }),
        _ => Ok(()),
    }
}

fn load_error(program: &'static str, error: &ProgramError) -> AttachError {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } if io_error.raw_os_error().is_some() => match io_error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => AttachError::NotPermitted { what: ARM_BY_PERF },
            _ => features::refused(program, io_error, &verifier_log.to_string()),
        },
        _ => AttachError::Program {
            program: program.to_owned(),
            reason: error.to_string(),
        },
    }
}
