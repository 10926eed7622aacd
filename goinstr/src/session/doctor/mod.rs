//! `goinstr doctor`: whether this user on this kernel can measure, and a process if one is meant.
//!
//! In: the target and its binary, as far as there are such. Out: [`Check`]s, in the order in which
//! they depend on each other.

mod offsets;
mod surroundings;

pub use surroundings::of_target;

use crate::{
    attach::{
        AttachError, Costs,
        calibration::{self, Trial},
        features::{self, Check, Verdict},
    },
    binary::{BinaryError, GoBinary, PclntabSource},
    target::{Process, Target},
};

const NOTHING: &str = "nothing can be measured";

/// The kernel and this user's rights; at last goinstr measures itself.
#[must_use]
pub fn of_machine() -> Vec<Check> {
    let mut checks = features::checks();
    checks.push(own_measurement(calibration::measure(&Trial::default())));
    checks
}

/// Arms, measures and disarms a child of goinstr's own: all that a measurement takes, together.
fn own_measurement(measured: Result<Costs, AttachError>) -> Check {
    let name = "measuring";
    match measured {
        Ok(costs) => Check::good(
            name,
            format!(
                "measured a child of its own: an entry costs {} ns ({} ns single-stepped), a return {} ns",
                costs.emulated.entry_ns(costs.exit_ns),
                costs.stepped.entry_ns(costs.exit_ns),
                costs.exit_ns
            ),
        ),
        // Its words go on with what the remedy says.
        Err(error @ AttachError::NotPermitted { what }) => Check::fatal(
            name,
            format!("the kernel refuses {what}: operation not permitted"),
            NOTHING,
            error.remedy(),
        ),
        Err(error) => Check::fatal(name, error.to_string(), NOTHING, error.remedy()),
    }
}

/// A target that was not found, or can't be read.
#[must_use]
pub fn of_failure(name: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Check {
    Check::fatal(name, what, "this can't be measured", remedy)
}

/// What the binary says, and whether the live processes bear it out.
#[must_use]
pub fn of_binary(target: &Target, binary: &GoBinary) -> Vec<Check> {
    let sources = binary.symbol_sources();
    let there = |there: bool| if there { "present" } else { "absent" };
    let tables = match sources.pclntab {
        PclntabSource::Section(name) => format!("in section {name}"),
        PclntabSource::Scan => "found by a search through the segments".to_owned(),
    };
    let mut checks = vec![
        Check::good(
            "binary",
            format!(
                "Go ({}, {}), {} functions",
                binary.go_version().unwrap_or("version unknown"),
                binary.arch().name(),
                binary.functions().len()
            ),
        ),
        Check::good(
            "symbol_sources",
            format!(
                "function table {tables}; symbol table {}, DWARF {}",
                there(sources.symbol_table),
                there(sources.dwarf)
            ),
        ),
    ];
    match binary.runtime_layout() {
        Ok(layout) => {
            checks.push(offsets::of_source(layout.source));
            checks.extend(offsets::verified(target, binary, &layout));
        }
        Err(error) => checks.push(no_layout(&error)),
    }
    checks
}

fn no_layout(error: &BinaryError) -> Check {
    Check::fatal("runtime_offsets", error.what(), NOTHING, error.remedy())
}

/// The processes that are meant, as far as they run now.
fn processes(target: &Target) -> &[Process] {
    match target {
        Target::Process(process) => std::slice::from_ref(process),
        Target::Executable { running, .. } => running,
    }
}

/// Whether all that must be is as it should be.
#[must_use]
pub fn can_measure(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.verdict() != Verdict::Fatal)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_stops_a_measurement_of_its_own_says_what_to_do() {
        let source = io::Error::from_raw_os_error(libc::EAGAIN);
        let check = own_measurement(Err(AttachError::Holder { source }));
        assert_eq!(check.verdict(), Verdict::Fatal);
        assert!(check.remedy().unwrap().contains("ulimit -u"), "{check:?}");
        assert!(!can_measure(&[check]));
        assert!(can_measure(&[own_measurement(Ok(Costs::default()))]));
    }

    #[test]
    fn an_unknown_runtime_says_what_to_build() {
        let check = no_layout(&BinaryError::UnknownRuntime {
            path: "/srv/app".into(),
            version: "go1.99".to_owned(),
            arch: "x86_64",
        });
        assert_eq!(check.verdict(), Verdict::Fatal);
        assert!(check.remedy().unwrap().contains("DWARF"), "{check:?}");
        let gone = of_failure("process", "no process has pid 7", "pgrep");
        assert!(!can_measure(&[gone]));
    }
}
