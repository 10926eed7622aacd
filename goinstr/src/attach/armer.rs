//! A kernel program and the file whose sites it is armed at, in either way.

use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use super::{
    AttachError, Scope,
    error::ARM_BY_PERF,
    holder::{Held, Holder},
};

/// What links are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// `uprobe.multi`: as many sites as there are, in one link.
    Multi,
    /// A perf event: one site a link. The kernel's number for such events.
    PerfEvent(u32),
}

/// A program that links can be made of, for one file and scope.
pub(super) struct Armer {
    name: &'static str,
    program: OwnedFd,
    exe: PathBuf,
    file: File,
    /// 0: all processes.
    pid: i32,
    by: By,
    holder: Holder,
}

impl Armer {
    /// Arms sites of the file at `exe` with the loaded `program` of this name.
    pub fn new(
        (name, program): (&'static str, OwnedFd),
        exe: &Path,
        scope: Scope,
        by: By,
        holder: &Holder,
    ) -> Result<Self, AttachError> {
        let file = File::open(exe).map_err(|source| AttachError::Gone {
            exe: exe.to_owned(),
            source,
        })?;
        let pid = match scope {
            Scope::Process { pid, .. } => i32::try_from(pid).unwrap_or(i32::MAX),
            Scope::Everyone => 0,
        };
        Ok(Self {
            name,
            program,
            exe: exe.to_owned(),
            file,
            pid,
            by,
            holder: holder.clone(),
        })
    }

    /// A link that arms these file offsets, each with its cookie; by a perf event there is one.
    pub fn arm(&self, offsets: &[u64], cookies: &[u64]) -> Result<Held, AttachError> {
        let (program, file) = (self.program.as_fd(), self.file.as_fd());
        let armed = self
            .holder
            .arm(program, file, (offsets, cookies), self.pid, self.by);
        armed.map_err(|source| match source.raw_os_error() {
            None if source.kind() == io::ErrorKind::BrokenPipe => AttachError::HolderGone,
            Some(libc::EPERM | libc::EACCES) => AttachError::NotPermitted {
                what: match self.by {
                    By::Multi => "to arm uprobes",
                    By::PerfEvent(_) => ARM_BY_PERF,
                },
            },
            Some(libc::ENOENT | libc::ESRCH) => AttachError::Gone {
                exe: self.exe.clone(),
                source,
            },
            _ => AttachError::Arm {
                program: self.name,
                sites: offsets.len(),
                exe: self.exe.clone(),
                source,
            },
        })
    }
}
