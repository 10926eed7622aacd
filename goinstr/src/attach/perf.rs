//! One perf event a site: for kernels without `uprobe.multi`.
//!
//! Arming is quick, disarming waits for a grace period of the kernel for each site.

use std::{num::NonZeroU32, path::Path};

use aya::{
    Ebpf,
    programs::{
        Program, ProgramError, UProbe,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLink, UProbeScope},
    },
};

use super::{AttachError, Scope, error::ARM_BY_PERF, features, sites::Sites};

/// Open files a site takes: the perf event and the link.
const FILES_PER_SITE: u64 = 2;
/// Open files that are not for sites.
const OTHER_FILES: u64 = 64;

/// Links that keep sites armed.
pub(super) struct Links(Vec<Armed>);

struct Armed {
    /// Of a function's site.
    cookie: Option<u64>,
    /// Only to be dropped.
    _link: UProbeLink,
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
) -> Result<Links, AttachError> {
    make_room(sites.len())?;
    let mut links = Links(Vec::with_capacity(sites.len()));
    for group in &sites.groups {
        let exe = files.get(group.file).copied().unwrap_or(Path::new(""));
        load(ebpf, group.program, exe)?;
        for (&offset, &cookie) in group.offsets.iter().zip(&group.cookies) {
            links.0.push(Armed {
                cookie: group.is_of_functions().then_some(cookie),
                _link: arm_one(ebpf, group.program, offset, cookie, exe, scope)?,
            });
        }
    }
    Ok(links)
}

/// Loads the program of this name, for [`arm_one`].
pub(super) fn load(ebpf: &mut Ebpf, name: &'static str, exe: &Path) -> Result<(), AttachError> {
    program(ebpf, name)?
        .load()
        .map_err(|error| program_error(name, 0, exe, error))
}

/// Arms one site. There has to be room for its open files.
pub(super) fn arm_one(
    ebpf: &mut Ebpf,
    name: &'static str,
    offset: u64,
    cookie: u64,
    exe: &Path,
    scope: Scope,
) -> Result<UProbeLink, AttachError> {
    let scope = match scope {
        Scope::Process { pid, .. } => {
            NonZeroU32::new(pid).map_or(UProbeScope::AllProcesses, UProbeScope::OneProcess)
        }
        Scope::Everyone => UProbeScope::AllProcesses,
    };
    let point = UProbeAttachPoint {
        location: UProbeAttachLocation::AbsoluteOffset(offset),
        cookie: Some(cookie),
    };
    let program = program(ebpf, name)?;
    program
        .attach(point, exe, scope)
        .and_then(|id| program.take_link(id))
        .map_err(|error| program_error(name, 1, exe, error))
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut UProbe, AttachError> {
    let error = |reason: String| AttachError::Program {
        program: name.to_owned(),
        reason,
    };
    let program: &mut Program = ebpf
        .program_mut(name)
        .ok_or_else(|| error("not in the object".to_owned()))?;
    program
        .try_into()
        .map_err(|e: ProgramError| error(e.to_string()))
}

/// Raises the soft limit on open files as far as it may go.
pub(super) fn make_room(sites: usize) -> Result<(), AttachError> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let needed = sites as u64 * FILES_PER_SITE + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let raised = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(raised),
            maximum: limit.maximum,
        },
    );
    if raised < needed {
        Err(AttachError::TooManySites {
            sites,
            limit: raised,
        })
    } else {
        Ok(())
    }
}

fn program_error(
    program: &'static str,
    sites: usize,
    exe: &Path,
    error: ProgramError,
) -> AttachError {
    let source = match &error {
        ProgramError::LoadError { io_error, .. } => io_error
            .raw_os_error()
            .map(std::io::Error::from_raw_os_error),
        ProgramError::SyscallError(error) => error
            .io_error
            .raw_os_error()
            .map(std::io::Error::from_raw_os_error),
        _ => None,
    };
    let words = match &error {
        ProgramError::LoadError { verifier_log, .. } => Some(verifier_log.to_string()),
        _ => None,
    };
    match (source, words) {
        (Some(source), Some(words)) if source.raw_os_error() != Some(libc::EPERM) => {
            features::refused(program, &source, &words)
        }
        (Some(source), _) => match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => AttachError::NotPermitted { what: ARM_BY_PERF },
            Some(libc::ENOENT | libc::ESRCH) => AttachError::Gone {
                exe: exe.to_owned(),
                source,
            },
            _ => AttachError::Arm {
                program,
                sites,
                exe: exe.to_owned(),
                source,
            },
        },
        (None, _) if error.to_string().contains("uprobe") => AttachError::NoUprobes,
        (None, _) => AttachError::Program {
            program: program.to_owned(),
            reason: error.to_string(),
        },
    }
}
