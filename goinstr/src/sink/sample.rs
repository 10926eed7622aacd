//! A made-up measurement for the tests of every sink: all that can occur, in one.

use std::collections::BTreeMap;

use super::Sink;
use crate::aggregate::{
    Books, CallEvent, CallerReport, Distribution, End, FollowedStates, FunctionReport, Ledger,
    Mode, Outcome, ProbeCosts, Report, SessionInfo, ShedEvent, States,
};
use crate::binary::{FileOffset, LayoutSource, RecoverySp, RuntimeLayout, Vaddr};
use crate::plan::{Location, PlannedFunction, ProbePlan, Site, Skipped, UnwindSites};

pub(crate) const INTERVALS: usize = 2;
pub(crate) const FUNCTIONS: usize = 5;

/// Plays the whole measurement to a sink.
pub(crate) fn play(sink: &mut impl Sink) {
    sink.session(&info(), &plan()).expect("session");
    sink.interval(0, &report(1)).expect("interval");
    sink.call(&call()).expect("call");
    sink.interval(1, &report(2)).expect("interval");
    sink.finish(&report(2), &ledger()).expect("finish");
}

/// Plays a trace without calls, from which one function was left out and another was shed.
pub(crate) fn play_budget(sink: &mut impl Sink) {
    let mut plan = plan();
    plan.skipped.push(Skipped {
        function: "main.(*Cache[...]).Loud".to_owned(),
        reason: "over_budget",
        detail: "242,454 calls/s would cost 281.8 % of a CPU".to_owned(),
    });
    sink.session(&info(), &plan).expect("session");
    let after_ns = 1_500_000_000;
    sink.shed(&ShedEvent {
        function: 0,
        name: "main.work".to_owned(),
        detail: "9,000 calls/s cost 11.0 % of a CPU: its figures end here".to_owned(),
        calls_per_second: 9_000,
        after_ns,
        at_unix_ns: info().start_unix_ns + after_ns,
    })
    .expect("shed");
}

/// Plays a measurement of many single calls on three goroutines: `main.work` calls the other two,
/// one call of it does not return, and one is unwound.
pub(crate) fn play_calls(sink: &mut impl Sink) {
    sink.session(&info(), &plan()).expect("session");
    let mut call = |function, goid, depth: u32, start: u64, duration_ns, inner_ns| {
        let call = CallEvent {
            function,
            goid,
            parent_goid: Some(1),
            start_unix_ns: info().start_unix_ns + start,
            duration_ns,
            self_ns: duration_ns - inner_ns,
            corrected_ns: u64::from(function == 0) * 500,
            outcome: if goid == 20 {
                Outcome::Unwound
            } else {
                Outcome::Returned
            },
            parent: match depth {
                0 => None,
                2 => Some(2),
                _ => Some(0),
            },
            depth,
            states: None,
            callers: Vec::new(),
            stack: None,
            values: None,
        };
        sink.call(&call).expect("call");
    };
    for round in 0..20 {
        let (goid, start) = (18 + round % 2, 10_000_000 * (round + 1));
        let lookup = 2_000_000 * (1 + round % 3);
        call(1, goid, 2, start + 1_200, 700 + round, 0);
        call(2, goid, 1, start + 1_000, lookup, 700 + round);
        call(1, goid, 1, start + 7_000_000, 900, 0);
        call(0, goid, 0, start, 8_000_000, lookup + 900);
    }
    call(1, 20, 1, 250_000_000, 800, 0);
    for seconds in 1..=2 {
        sink.interval(seconds - 1, &report(seconds))
            .expect("interval");
    }
    sink.finish(&report(2), &ledger()).expect("finish");
}

/// Plays a call of `main.work` with one inside it, and what both did.
pub(crate) fn play_states(sink: &mut impl Sink) {
    let states = |running_ns, runnable_ns, syscall_ns, waits: &[(&str, u64)]| States {
        running_ns,
        runnable_ns,
        syscall_ns,
        waiting_ns: waits.iter().map(|&(_, ns)| ns).sum(),
        waiting: waits
            .iter()
            .map(|&(reason, ns)| (reason.to_owned(), ns))
            .collect(),
    };
    let made =
        |function, depth, (start, duration_ns, self_ns): (u64, u64, u64), states| CallEvent {
            function,
            depth,
            start_unix_ns: info().start_unix_ns + start,
            duration_ns,
            self_ns,
            corrected_ns: 0,
            outcome: Outcome::Returned,
            parent: (depth > 0).then_some(0),
            parent_goid: None,
            states: Some(states),
            ..call()
        };
    let inner = states(500, 0, 3_000, &[("select", 1_000)]);
    let outer = states(
        1_900,
        100,
        3_000,
        &[("chan receive", 2_000), ("select", 1_000)],
    );
    let followed = SessionInfo {
        states: Some(FollowedStates { threads: true }),
        ..info()
    };
    sink.session(&followed, &plan()).expect("session");
    sink.call(&made(1, 1, (1_000, 4_500, 4_500), inner))
        .expect("call");
    sink.call(&made(0, 0, (0, 8_000, 3_500), outer))
        .expect("call");
    sink.finish(&report(2), &ledger()).expect("finish");
}

pub(crate) fn info() -> SessionInfo {
    SessionInfo {
        pid: Some(4242),
        exe: "/srv/app".to_owned(),
        go_version: Some("go1.26.6".to_owned()),
        arch: "x86_64",
        kernel: "6.18.0".to_owned(),
        mode: Mode::Durations,
        attach: "uprobe_multi",
        returns: "kernel",
        functions: FUNCTIONS,
        sites: 12,
        start_unix_ns: 1_790_000_000_000_000_000,
        duty_percent: None,
        states: None,
        probe_costs: Some(ProbeCosts {
            entry_ns: 620,
            stepped_entry_ns: 1_700,
            exit_ns: Some(1_650),
            floor_ns: Some(900),
        }),
    }
}

fn function(index: u64, name: &str, inlined_into: u32) -> PlannedFunction {
    let site = |at: u64| Site {
        file: 0,
        address: Vaddr(0x40_0000 + index * 0x100 + at),
        offset: FileOffset(index * 0x100 + at),
    };
    PlannedFunction {
        name: name.to_owned(),
        symbol: name
            .contains("[...]")
            .then(|| name.replace("...", "go.shape.int")),
        location: (index != 1).then(|| Location {
            file: "/src/app/main.go".to_owned(),
            line: 10 + u32::try_from(index).expect("small"),
        }),
        entry: site(0),
        reenters: false,
        exits: vec![site(0x40)],
        inlined_into,
    }
}

pub(crate) fn plan() -> ProbePlan {
    let skipped = |function: &str, reason, detail: &str| Skipped {
        function: function.to_owned(),
        reason,
        detail: detail.to_owned(),
    };
    ProbePlan {
        functions: vec![
            function(0, "main.work", 0),
            function(1, "main.(*Cache[...]).Get", 3),
            function(
                2,
                "github.com/acme/a-rather-long-module-name/internal/store.(*Database).Lookup",
                0,
            ),
            function(3, "main.evil\x1b[2J\u{202e}", 0),
            function(4, "main.never", 0),
        ],
        skipped: vec![
            skipped(
                "main.tiny",
                "inlined",
                "inlined into 2 functions, try these callers: main.work, main.run",
            ),
            skipped("main.jump", "tail_call", "it leaves by a jump at 0x401234"),
            skipped(
                "main.small",
                "inlined",
                "inlined into 1 function, try this caller: main.run",
            ),
        ],
        unwind: UnwindSites::default(),
        libraries: vec![],
        states: None,
        captures: None,
        roots: None,
        layout: RuntimeLayout {
            source: LayoutSource::Table,
            goid: 152,
            atomicstatus: 144,
            waitreason: 176,
            parent_goid: Some(280),
            m: 48,
            sched_sp: 56,
            sched_pc: 64,
            sched_bp: 96,
            m_curg: 184,
            recovery: RecoverySp::InPanic { panic: 32, sp: 24 },
        },
    }
}

/// Half of the calls take `each_ns`, most others twice as long, a hundredth five times.
fn spread(calls: u64, each_ns: u64) -> Distribution {
    let mut distribution = Distribution::default();
    let (slow, longer) = (calls / 100, calls * 49 / 100);
    distribution.add(each_ns, calls - slow - longer);
    distribution.add(each_ns * 2, longer);
    distribution.add(each_ns * 5, slow);
    distribution
}

/// The figures after `seconds`.
pub(crate) fn report(seconds: u64) -> Report {
    let figures = |function, calls: u64, each_ns: u64| FunctionReport {
        function,
        calls: calls * seconds,
        calls_in_interval: calls,
        total_ns: calls * seconds * each_ns,
        self_ns: calls * seconds * each_ns / 2,
        min_ns: Some(each_ns / 3),
        mean_ns: Some(each_ns),
        p50_ns: Some(each_ns),
        p90_ns: Some(each_ns * 2),
        p99_ns: Some(each_ns * 5),
        p999_ns: Some(each_ns * 9),
        max_ns: Some(each_ns * 11),
        distribution: spread(calls * seconds, each_ns),
        ..FunctionReport::default()
    };
    Report {
        elapsed_ns: seconds * 1_000_000_000,
        interval_ns: 1_000_000_000,
        dropped_records: 0,
        functions: vec![
            FunctionReport {
                unwound: 1,
                ..figures(0, 100, 1_234_567)
            },
            figures(1, 123_456, 789),
            figures(2, 5, 100_000_000),
            FunctionReport {
                in_flight: 1,
                oldest_in_flight_ns: Some(seconds * 999),
                function: 3,
                ..FunctionReport::default()
            },
            FunctionReport {
                function: 4,
                ..FunctionReport::default()
            },
        ],
        callers: Vec::new(),
        books: books(),
    }
}

fn books() -> Books {
    Books {
        entries: 247_136,
        orphan_returns: 4,
        lost: BTreeMap::from([("ring_full", 0), ("stack_full", 13)]),
        probe_hits: 494_270,
        probe_cost_ns: Some(98_854_000),
    }
}

/// Plays a count to a sink: what it has of the figures is no more than calls.
pub(crate) fn play_count(sink: &mut impl Sink) {
    let info = SessionInfo {
        mode: Mode::Count,
        probe_costs: info().probe_costs.map(|costs| ProbeCosts {
            exit_ns: None,
            floor_ns: None,
            ..costs
        }),
        ..info()
    };
    let report = |seconds| Report {
        functions: report(seconds)
            .functions
            .into_iter()
            .map(|figures| FunctionReport {
                function: figures.function,
                calls: figures.calls,
                calls_in_interval: figures.calls_in_interval,
                ..FunctionReport::default()
            })
            .collect(),
        callers: vec![
            caller(0, Some("main.run"), 90 * seconds),
            caller(0, Some("main.main.func1"), 9 * seconds),
            caller(0, None, seconds),
            caller(2, Some("main.work"), 5 * seconds),
        ],
        ..report(seconds)
    };
    let ledger = Ledger {
        mode: Mode::Count,
        returned: 0,
        unwound: 0,
        in_flight: 0,
        orphan_returns: 0,
        ..ledger()
    };
    sink.session(&info, &plan()).expect("session");
    sink.interval(0, &report(1)).expect("interval");
    sink.finish(&report(2), &ledger).expect("finish");
}

fn caller(function: u32, caller: Option<&str>, calls: u64) -> CallerReport {
    CallerReport {
        function,
        caller: caller.map(str::to_owned),
        calls,
    }
}

pub(super) fn call() -> CallEvent {
    CallEvent {
        function: 2,
        goid: 18,
        parent_goid: Some(1),
        start_unix_ns: 1_790_000_001_000_000_000,
        duration_ns: 1_100_000_000,
        self_ns: 1_000_000_000,
        corrected_ns: 3_000,
        outcome: Outcome::Unwound,
        parent: Some(0),
        depth: 1,
        states: None,
        callers: Vec::new(),
        stack: None,
        values: None,
    }
}

/// The calls of one tree, in order of return: one goroutine, and one that it started.
pub(crate) fn tree() -> Vec<CallEvent> {
    let at = |function, depth, start_us: u64, duration_us: u64, self_us: u64| CallEvent {
        function,
        depth,
        start_unix_ns: 1_790_000_001_000_000_000 + start_us * 1_000,
        duration_ns: duration_us * 1_000,
        self_ns: self_us * 1_000,
        outcome: Outcome::Returned,
        parent: (depth > 0).then_some(0),
        parent_goid: None,
        ..call()
    };
    vec![
        at(1, 1, 10, 5, 5),
        CallEvent {
            goid: 1234,
            parent_goid: Some(18),
            ..at(3, 0, 120, 300, 300)
        },
        CallEvent {
            outcome: Outcome::Unwound,
            ..at(1, 2, 150, 7, 7)
        },
        at(2, 1, 100, 9_000, 8_993),
        at(0, 0, 0, 10_000, 995),
    ]
}

pub(crate) fn ledger() -> Ledger {
    Ledger {
        mode: Mode::Durations,
        entries: 247_136,
        returned: 247_121,
        unwound: 1,
        in_flight: 1,
        orphan_returns: 4,
        lost: BTreeMap::from([("ring_full", 0), ("stack_full", 13)]),
        dropped_records: 7,
        without_states: 0,
        probe_hits: 494_270,
        probe_cost_ns: Some(98_854_000),
        exported: None,
        end: End::Duration,
    }
}
