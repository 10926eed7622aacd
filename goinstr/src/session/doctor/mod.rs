//! `goinstr doctor`: whether this user on this kernel can measure, and a process if one is meant.
//!
//! In: the target and its binary, as far as there are such. Out: [`Check`]s, in the order in which
//! they depend on each other.

use crate::{
    attach::{
        calibration::{self, Trial},
        features::{self, Check, Verdict},
    },
    binary::{
        GoBinary, LayoutDoubt, LayoutSource, PclntabSource, RuntimeLayout, prove_layout,
        verify_layout,
    },
    target::{Container, Target},
};

/// The kernel and this user's rights; at last goinstr measures itself.
#[must_use]
pub fn of_machine() -> Vec<Check> {
    let mut checks = features::checks();
    checks.push(own_measurement());
    checks
}

/// Arms, measures and disarms a child of goinstr's own: all that a measurement takes, together.
fn own_measurement() -> Check {
    let name = "measuring";
    match calibration::measure(&Trial::default()) {
        Ok(costs) => Check::good(
            name,
            format!(
                "measured a child of its own: an entry costs {} ns ({} ns single-stepped), a return {} ns",
                costs.emulated.entry_ns(costs.exit_ns),
                costs.stepped.entry_ns(costs.exit_ns),
                costs.exit_ns
            ),
        ),
        Err(error) => Check::fatal(name, error.to_string(), "nothing can be measured")
            .remedy("what the checks above say"),
    }
}

/// The process and where it lives.
#[must_use]
pub fn of_target(target: &Target) -> Vec<Check> {
    let exe = target.exe().display();
    let Target::Process(process) = target else {
        return vec![Check::good(
            "process",
            format!("every process that runs {exe}"),
        )];
    };
    let mut checks = vec![Check::good(
        "process",
        format!("{} ({}) runs {exe}", process.pid(), process.comm()),
    )];
    checks.push(if process.executable_deleted() {
        Check::good("executable", "replaced or deleted since the process began")
            .consequence("what still runs is measured, not what stands at its path now")
    } else {
        Check::good("executable", "not replaced since the process began")
    });
    checks.extend(of_container(Container::of(process)));
    checks
}

fn of_container(container: Container) -> Vec<Check> {
    let pids = match (container.ours_is_initial, container.pid_inside) {
        (true, None) => Check::good("pid_namespace", "the same as goinstr's, the machine's own"),
        (true, Some(pid)) => Check::good(
            "pid_namespace",
            format!("its own, where it is process {pid}; it is found by its pid out here"),
        ),
        (false, _) => Check::limited(
            "pid_namespace",
            "goinstr runs in a pid namespace of its own",
            "the kernel alone tells the target from its forked children",
        )
        .remedy("run goinstr on the machine itself, or in a container with --pid=host"),
    };
    let mounts = match container.other_mounts {
        Some(false) => "the same as goinstr's",
        Some(true) => "its own: its executable is read through /proc, not by its path",
        None => "not to be seen by this user",
    };
    let overlay = if container.overlay {
        "on an overlay, as in a container: probes go on the file beneath"
    } else {
        "on no overlay"
    };
    let mut checks = vec![
        pids,
        Check::good("mount_namespace", mounts),
        Check::good("overlay", overlay),
    ];
    if container.shadow_stack {
        checks.push(
            Check::good("shadow_stack_of_process", "it keeps one")
                .consequence("its returns are single-stepped, never made by goinstr"),
        );
    }
    checks
}

/// What the binary says, and whether the live process bears it out.
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
    let layout = match binary.runtime_layout() {
        Ok(layout) => layout,
        Err(error) => {
            checks.push(
                Check::fatal(
                    "runtime_offsets",
                    error.to_string(),
                    "nothing can be measured",
                )
                .remedy("a goinstr that knows this Go version, or a build with DWARF"),
            );
            return checks;
        }
    };
    let source = match layout.source {
        LayoutSource::Dwarf => "from its DWARF",
        LayoutSource::Table => "from goinstr's table of Go versions",
        LayoutSource::NewestKnown => {
            "those of the newest Go that goinstr knows: this one is newer, and has to prove them"
        }
    };
    checks.push(Check::good("runtime_offsets", source));
    checks.push(of_offsets(target, binary, &layout));
    checks
}

fn of_offsets(target: &Target, binary: &GoBinary, layout: &RuntimeLayout) -> Check {
    let name = "offsets_verified";
    let processes = match target {
        Target::Process(process) => std::slice::from_ref(process),
        Target::Executable { running, .. } => running,
    };
    let Some(process) = processes.first() else {
        return Check::limited(
            name,
            "no process runs it yet",
            "the offsets could not be held against one",
        );
    };
    let pid = process.pid().0;
    let verified = match layout.source {
        LayoutSource::NewestKnown => prove_layout(binary, layout, pid),
        LayoutSource::Dwarf | LayoutSource::Table => verify_layout(binary, layout, pid),
    };
    match verified {
        Ok(goroutines) => Check::good(
            name,
            format!(
                "they agree with {goroutines} goroutines of process {}",
                process.pid()
            ),
        ),
        Err(doubt @ LayoutDoubt::NoGoroutines { .. }) => Check::limited(
            name,
            doubt.to_string(),
            "the offsets could not be held against it",
        ),
        Err(doubt) => Check::fatal(name, doubt.to_string(), "nothing can be measured"),
    }
}

/// Whether all that must be is as it should be.
#[must_use]
pub fn can_measure(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.verdict != Verdict::Fatal)
}
