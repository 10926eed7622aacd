//! The runtime layout held against the live process, before a number that rests on it is printed.
//!
//! In: the process' memory and mappings, the program, the layout. Out: how many goroutines
//! bear it out, or what contradicts it. Nothing is written or stopped.

mod contradiction;
mod process;
mod proof;
#[cfg(test)]
mod tests;

use super::{GoBinary, RuntimeLayout};
pub(super) use process::{Goroutine, Process};

/// Why a layout is not believed.
#[derive(Debug, thiserror::Error)]
pub enum LayoutDoubt {
    #[error(
        "cannot read the memory of process {pid}: {source}; run as root, give goinstr CAP_SYS_PTRACE, or check that it still runs"
    )]
    Memory { pid: u32, source: std::io::Error },
    #[error(
        "process {pid} does not have this file loaded; was it replaced since the process started?"
    )]
    NotLoaded { pid: u32 },
    #[error(
        "the goroutines of process {pid} were not found in its memory; it may not have started its Go runtime yet"
    )]
    NoGoroutines { pid: u32 },
    #[error(
        "process {pid} contradicts the offset of {field}: it runs another Go than its file says"
    )]
    Contradicted { pid: u32, field: &'static str },
    #[error(
        "process {pid} does not show where {field} is at this moment; try again while it has work to do"
    )]
    Unproven { pid: u32, field: &'static str },
}

/// Holds `layout`, which is known to be that of the program's Go version, against the goroutines of
/// a process that has `binary` loaded. Gives the number of goroutines that were looked at.
pub fn verify_layout(
    binary: &GoBinary,
    layout: &RuntimeLayout,
    pid: u32,
) -> Result<usize, LayoutDoubt> {
    let process = Process::open(binary, layout, pid)?;
    let goroutines = process
        .goroutines()
        .ok_or(LayoutDoubt::NoGoroutines { pid })?;
    match contradiction::first(&process, &goroutines) {
        Some(field) => Err(LayoutDoubt::Contradicted { pid, field }),
        None => Ok(goroutines.len()),
    }
}

/// As [`verify_layout`] for a `layout` that is only a guess: what nothing contradicts is not enough,
/// each field must be borne out by goroutines that would look otherwise if it were elsewhere.
pub fn prove_layout(
    binary: &GoBinary,
    layout: &RuntimeLayout,
    pid: u32,
) -> Result<usize, LayoutDoubt> {
    let process = Process::open(binary, layout, pid)?;
    let goroutines = process
        .goroutines()
        .ok_or(LayoutDoubt::NoGoroutines { pid })?;
    if let Some(field) = contradiction::first(&process, &goroutines) {
        return Err(LayoutDoubt::Contradicted { pid, field });
    }
    match proof::missing(&process, &goroutines) {
        Some(field) => Err(LayoutDoubt::Unproven { pid, field }),
        None => Ok(goroutines.len()),
    }
}
