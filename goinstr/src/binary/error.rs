//! What can go wrong while a binary is read, in words for the person who named it.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a file could not be read as a Go program. Each message says [what](BinaryError::what) is wrong and
/// [what to do](BinaryError::remedy).
#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    Open {
        path: PathBuf,
        source: io::Error,
    },
    Read {
        path: PathBuf,
        what: &'static str,
        source: io::Error,
    },
    NotElf {
        path: PathBuf,
    },
    UnsupportedElf {
        path: PathBuf,
        what: String,
    },
    NotGo {
        path: PathBuf,
    },
    UnknownTable {
        path: PathBuf,
        version: String,
    },
    TooOld {
        path: PathBuf,
        version: String,
    },
    Damaged {
        path: PathBuf,
        what: &'static str,
    },
    UnknownRuntime {
        path: PathBuf,
        version: String,
        arch: &'static str,
    },
}

impl BinaryError {
    /// What is wrong, on what.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Open { path, source } => format!("cannot open {}: {source}", path.display()),
            Self::Read { path, what, source } => {
                format!("cannot read {what} of {}: {source}", path.display())
            }
            Self::NotElf { path } => format!("{} is not an ELF file", path.display()),
            Self::UnsupportedElf { path, what } => format!("{} is {what}", path.display()),
            Self::NotGo { path } => format!("{} has no Go function table", path.display()),
            Self::UnknownTable { path, version } => format!(
                "{} was built by {version}, but has no function table (pclntab) of a form that is known",
                path.display()
            ),
            Self::TooOld { path, version } => {
                format!("{} was built by {version}", path.display())
            }
            Self::Damaged { path, what } => format!("{} is damaged: {what}", path.display()),
            Self::UnknownRuntime {
                path,
                version,
                arch,
            } => format!(
                "{}: no offsets of runtime.g are known for {version} on {arch}",
                path.display()
            ),
        }
    }

    /// What to do next.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Open { .. } => "check the path and that this user may read it",
            Self::Read { .. } => "the file may have been cut short, compare it with its original",
            Self::NotElf { .. } => "name the program itself, not a script or an archive",
            Self::UnsupportedElf { .. } => {
                "choose a 64-bit little-endian x86_64 or aarch64 program, others are not measured"
            }
            Self::NotGo { .. } => {
                "choose a Go program; one that is packed (upx) has to be unpacked first"
            }
            Self::UnknownTable { .. } => {
                "use a goinstr that knows this Go version, or compare the file with its original"
            }
            Self::TooOld { .. } => "rebuild it by Go 1.17 or later, older ones are not measured",
            Self::Damaged { .. } => "compare it with its original or rebuild it",
            Self::UnknownRuntime { .. } => {
                "build it with DWARF (without -w), or use a goinstr that knows this Go version"
            }
        }
    }
}

impl fmt::Display for BinaryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what(), self.remedy())
    }
}

/// A reading step's own error, before the path it happened on is known.
#[derive(Debug)]
pub(super) enum Fault {
    /// The bytes contradict the format; says in what.
    Damaged(&'static str),
    /// The file could not be read; says which part.
    Read(&'static str, io::Error),
    /// It is whole, and of a kind that isn't read; says of which.
    Unsupported(&'static str),
}

impl Fault {
    pub(super) fn on(self, path: &std::path::Path) -> BinaryError {
        let path = path.to_owned();
        match self {
            Fault::Damaged(what) => BinaryError::Damaged { path, what },
            Fault::Unsupported(what) => BinaryError::UnsupportedElf {
                path,
                what: what.to_owned(),
            },
            Fault::Read(what, source) => BinaryError::Read { path, what, source },
        }
    }
}
