//! What an interrupted session leaves to the process that holds the sites.

use crate::attach::Attached;

/// Whoever interrupts does not wait for sites that take long to go.
pub(super) fn leave(attached: &Attached) {
    if let Some(holder) = attached.leave() {
        tell_left(holder, attached.sites);
    }
}

/// Says who takes the sites out.
pub(super) fn tell_left(holder: u32, sites: usize) {
    log::warn!(
        "the {sites} sites do nothing any more; process {holder} (uprobe-holder) takes them out of the target and ends"
    );
}
