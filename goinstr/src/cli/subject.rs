//! The binary that a command reads: opened by path or through a process.

use std::path::{Path, PathBuf};

use super::config::Subject;
use super::failure::Failure;
use crate::binary::GoBinary;
use crate::target::Target;

/// An opened binary and what to call it.
pub(super) struct Opened {
    pub binary: GoBinary,
    /// Path as the process sees it, or as the user gave it.
    pub path: PathBuf,
    /// Keeps the file open that `binary` was read from.
    _target: Option<Target>,
}

impl Subject {
    /// Finds and reads the binary.
    pub fn open(&self) -> Result<Opened, Failure> {
        match self {
            Self::File(path) => {
                let binary = GoBinary::open(path).map_err(Failure::failed)?;
                Ok(Opened {
                    binary,
                    path: path.clone(),
                    _target: None,
                })
            }
            Self::Selected(selection) => {
                let target = Target::find(selection).map_err(Failure::failed)?;
                let binary = read(&target)?;
                Ok(Opened {
                    binary,
                    path: target.exe().to_owned(),
                    _target: Some(target),
                })
            }
        }
    }
}

/// Reads the executable of a target. Errors call it as the process does, not by the descriptor
/// that it is read through.
pub(super) fn read(target: &Target) -> Result<GoBinary, Failure> {
    let path = target.open_path();
    GoBinary::open(&path).map_err(|error| {
        let line = error.to_string().replace(&text(&path), &text(target.exe()));
        match target.pid() {
            Some(pid) => Failure::failed(format_args!("process {pid}: {line}")),
            None => Failure::failed(line),
        }
    })
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
