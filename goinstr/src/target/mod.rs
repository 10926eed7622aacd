//! Which process: found by pid, name or executable, told apart from whatever takes its place.
//!
//! In: what the user gave. Out: a [`Target`], whose executable is open and stays readable even
//! when the process exits, replaces its image or its file is deleted. Everything under `/proc`
//! is racy and written by others: nothing in it is believed to be well formed or still true.

pub mod capability;
mod container;
mod cpu_clock;
mod error;
mod executable;
mod mapped;
mod memory;
mod namespace;
mod opening;
mod process;
mod procfs;
mod search;
#[cfg(test)]
mod started;

use std::path::{Path, PathBuf};

pub use capability::Capability;
pub use container::{Container, Pids};
pub use cpu_clock::CpuClock;
pub use error::{Candidate, TargetError};
pub use executable::{Executable, ImageId};
pub use mapped::maps;
pub use memory::Memory;
pub use namespace::PidNamespace;
pub use process::{Liveness, Process};

/// A process id as our own pid namespace numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(pub u32);

impl std::fmt::Display for Pid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// How the user says which process: exactly one of the contract's three flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// `--pid`: that one.
    Pid(Pid),
    /// `--name`: the only one whose comm or executable's base name is this.
    Name(String),
    /// `--exe`: every present and future process that runs this file.
    Exe(PathBuf),
}

/// What is to be measured.
#[derive(Clone, Debug)]
pub enum Target {
    /// One process.
    Process(Process),
    /// Every process that runs a file, those to come included.
    Executable {
        /// The file.
        executable: Executable,
        /// The processes that ran it when it was looked up, by pid.
        running: Vec<Process>,
    },
}

impl Target {
    /// Finds what `selection` means at this moment.
    ///
    /// # Errors
    /// See [`TargetError`]; each is one line and says what to do next.
    pub fn find(selection: &Selection) -> Result<Self, TargetError> {
        match selection {
            Selection::Pid(pid) => Process::open(*pid).map(Self::Process),
            Selection::Name(name) => search::by_name(name).map(Self::Process),
            Selection::Exe(path) => {
                let executable = Executable::open(path)?;
                let running = search::by_image(executable.image())?;
                Ok(Self::Executable {
                    executable,
                    running,
                })
            }
        }
    }

    /// The one process, where it is one.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        match self {
            Self::Process(process) => Some(process),
            Self::Executable { .. } => None,
        }
    }

    /// Whether the one process has exited or become another program. Never so where it isn't one.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.process()
            .is_some_and(|process| process.still_same() != Liveness::Same)
    }

    /// The file to measure, open: the executable, unless [`Target::measure`] chose another.
    #[must_use]
    pub fn image(&self) -> &Executable {
        match self {
            Self::Process(process) => process.measured(),
            Self::Executable { executable, .. } => executable,
        }
    }

    /// The process id to report and to filter by; absent where every process of a file is meant.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        self.process().map(Process::pid)
    }

    /// Path of the executable as the process sees it: for people, not for opening.
    #[must_use]
    pub fn exe(&self) -> &Path {
        match self {
            Self::Process(process) => process.executable().path(),
            Self::Executable { executable, .. } => executable.path(),
        }
    }

    /// A path under which this goinstr can open the very file to measure, whatever happens to the
    /// process.
    #[must_use]
    pub fn open_path(&self) -> PathBuf {
        self.image().open_path()
    }

    /// The other files that the process has mapped as code, each once: libraries, plugins.
    ///
    /// # Errors
    /// [`TargetError::Permission`], [`TargetError::Vanished`].
    pub fn libraries(&self) -> Result<Vec<Executable>, TargetError> {
        let Self::Process(process) = self else {
            return Ok(Vec::new());
        };
        let mut files = mapped::files(process.pid())?;
        files.retain(|file| file.image() != process.executable().image());
        Ok(files)
    }

    /// Keeps a library of the process open, to be measured beside its executable.
    pub fn measure_also(&mut self, library: Executable) {
        if let Self::Process(process) = self {
            process.measure_also(library);
        }
    }

    /// Chooses a library of the process as what is to be measured in it.
    pub fn measure(&mut self, library: Executable) {
        if let Self::Process(process) = self {
            process.measure(library);
        }
    }
}
