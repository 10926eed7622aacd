//! What can go wrong while a binary is read, in words for the person who named it.

use std::io;
use std::path::PathBuf;

/// Why a file could not be read as a Go program.
#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    #[error("cannot open {path}: {source}; check the path and that this user may read it")]
    Open { path: PathBuf, source: io::Error },
    #[error(
        "cannot read {what} of {path}: {source}; the file may have been cut short, compare it with its original"
    )]
    Read {
        path: PathBuf,
        what: &'static str,
        source: io::Error,
    },
    #[error("{path} is not an ELF file; name the program itself, not a script or an archive")]
    NotElf { path: PathBuf },
    #[error("{path} is {what}; goinstr measures 64-bit little-endian x86_64 and aarch64 programs")]
    UnsupportedElf { path: PathBuf, what: String },
    #[error("{path} has no Go function table; is it a Go program, and not packed (upx)?")]
    NotGo { path: PathBuf },
    #[error(
        "{path} was built by {version}, but has no function table (pclntab) of a form that is known; \
         use a goinstr that knows this Go version, or compare the file with its original"
    )]
    UnknownTable { path: PathBuf, version: String },
    #[error(
        "{path} was built by {version}; goinstr measures programs built by Go 1.17 and later, rebuild it"
    )]
    TooOld { path: PathBuf, version: String },
    #[error("{path} is damaged: {what}; compare it with its original or rebuild it")]
    Damaged { path: PathBuf, what: &'static str },
    #[error(
        "{path}: no offsets of runtime.g are known for {version} on {arch}; \
         build it with DWARF (without -w), or use a goinstr that knows this Go version"
    )]
    UnknownRuntime {
        path: PathBuf,
        version: String,
        arch: &'static str,
    },
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
