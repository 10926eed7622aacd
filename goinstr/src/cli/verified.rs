//! The runtime's offsets held against the processes to be measured: by wrong ones every call would
//! go to a wrong goroutine.

use super::failure::Failure;
use crate::binary::{
    GoBinary, LayoutDoubt, LayoutSource, RuntimeLayout, prove_layout_patiently,
    verify_layout_patiently,
};
use crate::target::{Process, Target};

/// Holds the layout against the goroutines that there are. A guess has to be proven.
pub(super) fn verify(
    target: &Target,
    binary: &GoBinary,
    layout: &RuntimeLayout,
) -> Result<(), Failure> {
    let processes = match target {
        Target::Process(process) => std::slice::from_ref(process),
        Target::Executable { running, .. } => running,
    };
    if layout.source == LayoutSource::NewestKnown {
        return prove(processes, binary, layout);
    }
    for process in processes {
        match verify_layout_patiently(binary, layout, process.pid().0) {
            Ok(goroutines) => log::info!("runtime offsets agree with {goroutines} goroutines"),
            Err(doubt @ LayoutDoubt::NoGoroutines { .. }) => {
                log::warn!("the runtime's offsets could not be verified: {doubt}");
            }
            // One of several may have exited since.
            Err(doubt) if target.process().is_none() => log::info!("{doubt}"),
            Err(doubt) => return Err(Failure::failed(doubt)),
        }
    }
    Ok(())
}

/// One process is enough: all run the same file.
fn prove(processes: &[Process], binary: &GoBinary, layout: &RuntimeLayout) -> Result<(), Failure> {
    let version = binary.go_version().unwrap_or("its Go version");
    let mut why = "no process runs it".to_owned();
    for process in processes {
        match prove_layout_patiently(binary, layout, process.pid().0) {
            Ok(goroutines) => {
                log::warn!(
                    "{version} is newer than this goinstr, and the program has no DWARF: the \
                     runtime's offsets are those of the newest Go it knows, and {goroutines} \
                     goroutines bear them out; calls that a panic ends are noticed late"
                );
                return Ok(());
            }
            Err(doubt) => why = doubt.to_string(),
        }
    }
    Err(Failure::failed(format_args!(
        "{version} is newer than this goinstr, the program has no DWARF, and that its runtime's \
         offsets are those of the newest Go known was not proven: {why}; build it with DWARF \
         (without -w), or use a newer goinstr"
    )))
}
