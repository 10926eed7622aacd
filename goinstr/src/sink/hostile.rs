//! A measurement whose every text is made to steer a terminal, through every sink: nothing of it comes out.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value as Json;

use super::cover::CoverSink;
use super::visible::steers;
use super::*;
use crate::aggregate::{
    CallStack, CallValues, CallerReport, Content, CoverLedger, CoverReport, Coverage, Deadline,
    End, FollowedStates, Inflight, Mode, OpenStack, Profile, States, Value, Values,
};
use crate::binary::{GoStatus, GoroutineState, SourceFrame};
use crate::plan::{
    CoverFunction, CoverPlan, Library, Location, Skipped, SourceFile, SourceLine, UnwindSites,
};
use crate::recording::{self, RecordingSink};

/// Both ways to begin a control sequence, those that reorder and hide, all ends of lines, and what the formats
/// themselves are made of.
pub(super) const HOSTILE: &str = "=e\x1b[31m\u{9b}2J\x1b]0;x\x07\x7f\u{85}\r\n\t\u{202e}\u{2066}\u{2028}\u{feff}\"'\\,;<b>&{{data}} z";

fn hostile() -> String {
    HOSTILE.to_owned()
}

pub(super) fn info() -> SessionInfo {
    SessionInfo {
        exe: hostile(),
        go_version: Some(hostile()),
        kernel: hostile(),
        states: Some(FollowedStates { threads: true }),
        ..sample::info()
    }
}

/// Two functions of one name, one of them in a library.
pub(super) fn plan() -> ProbePlan {
    let mut plan = sample::plan();
    for function in &mut plan.functions {
        function.name = hostile();
        function.symbol = Some(format!("{HOSTILE}{}", function.entry.address.0));
        function.location = Some(Location {
            file: hostile(),
            line: 7,
        });
        function.inlined_into = 1;
    }
    plan.functions[1].entry.file = 1;
    plan.libraries = vec![Library {
        path: HOSTILE.into(),
        open_path: HOSTILE.into(),
        unwind: UnwindSites::default(),
    }];
    let over_budget = Skipped {
        reason: "over_budget",
        ..plan.skipped[0].clone()
    };
    plan.skipped.push(over_budget);
    for skipped in &mut plan.skipped {
        skipped.function = hostile();
        skipped.detail = hostile();
    }
    plan
}

fn values() -> Values {
    let of = |content| Value {
        type_name: hostile(),
        content,
    };
    let text = |bytes: &[u8]| Content::Text {
        bytes: bytes.to_vec(),
        length: bytes.len() as u64,
        capacity: None,
    };
    let all = [
        text(HOSTILE.as_bytes()),
        text(b"\x1b\x9b\xff"),
        Content::Struct(vec![(hostile(), of(text(HOSTILE.as_bytes())))]),
        Content::Interface {
            dynamic: hostile(),
            value: Some(Box::new(of(text(HOSTILE.as_bytes())))),
        },
        Content::Context {
            dynamic: hostile(),
            deadline: Deadline::Unknown(hostile()),
        },
        Content::Unreadable(hostile()),
    ];
    let named = all.into_iter().map(|content| (hostile(), of(content)));
    Values(named.collect())
}

fn frames() -> Vec<SourceFrame> {
    vec![SourceFrame {
        function: hostile(),
        file: Some(hostile()),
        line: Some(7),
        inlined: false,
    }]
}

pub(super) fn call() -> CallEvent {
    CallEvent {
        depth: 0,
        parent: None,
        duration_ns: 6_000,
        self_ns: 6_000,
        states: Some(States {
            running_ns: 1_000,
            waiting_ns: 5_000,
            waiting: BTreeMap::from([(hostile(), 5_000)]),
            ..States::default()
        }),
        stack: CallStack::of_frames(None, frames(), false).map(Box::new),
        values: Some(Box::new(CallValues {
            args: Some(values()),
            returns: Some(values()),
        })),
        ..sample::call()
    }
}

pub(super) fn report() -> Report {
    let mut report = sample::report(2);
    for figures in &mut report.functions {
        figures.states = call().states;
    }
    report.callers = vec![CallerReport {
        function: 0,
        caller: Some(hostile()),
        calls: 1,
    }];
    report
}

/// Plays all of it, as a measurement of this kind.
fn play(sink: &mut dyn Sink, mode: Mode) {
    let info = SessionInfo { mode, ..info() };
    let ledger = Ledger {
        mode,
        ..sample::ledger()
    };
    sink.session(&info, &plan()).expect("session");
    sink.begun(&BegunCall {
        function: 0,
        goid: 7,
        parent_goid: None,
        start_unix_ns: info.start_unix_ns,
        args: Some(Box::new(values())),
    })
    .expect("begun");
    sink.call(&call()).expect("call");
    sink.shed(&ShedEvent {
        function: 0,
        name: hostile(),
        detail: hostile(),
        calls_per_second: 1,
        after_ns: 1,
        at_unix_ns: info.start_unix_ns,
    })
    .expect("shed");
    sink.settle(Some(&[]), u64::MAX).expect("settle");
    sink.interval(0, &report()).expect("interval");
    sink.finish(&report(), &ledger).expect("finish");
}

/// What a sink writes of all of it, in each of the ways to measure.
fn written(make: impl for<'b> Fn(&'b mut Vec<u8>) -> Box<dyn Sink + 'b>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for mode in [Mode::Durations, Mode::Count, Mode::Entries] {
        play(&mut *make(&mut bytes), mode);
    }
    bytes
}

/// Nothing but ends of lines, and the names are there.
fn harmless(what: &str, bytes: &[u8], spelt: &str) {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    // Lines may end as those of RFC 4180 do.
    if let Some(line) = text.lines().find(|line| line.contains(steers)) {
        panic!("{what}: {line:?}");
    }
    assert!(text.contains(spelt), "{what} has none of it");
}

/// As people read it.
const SPELT: &str = r"e\u{1b}[31m\u{9b}2J\u{1b}]0;x\u{7}\u{7f}\u{85}\u{d}\u{a}\u{9}\u{202e}\u{2066}\u{2028}\u{feff}";
/// Where a semicolon parts what is told.
const WITHOUT_SEMICOLONS: &str =
    r"e\u{1b}[31m\u{9b}2J\u{1b}]0,x\u{7}\u{7f}\u{85}\u{d}\u{a}\u{9}\u{202e}";
const IN_JSON: &str =
    r"e\u001b[31m\u009b2J\u001b]0;x\u0007\u007f\u0085\r\n\t\u202e\u2066\u2028\ufeff";

#[test]
fn what_people_read_steers_nothing() {
    let options = TableOptions {
        sort: Sort::Total,
        limit: None,
        color: false,
        live: None,
    };
    harmless(
        "table",
        &written(|out| Box::new(TableSink::new(out, options))),
        SPELT,
    );
    let live = TableOptions {
        live: Some(|| {
            Some(Size {
                columns: 10_000,
                rows: 50,
            })
        }),
        ..options
    };
    // What it draws over the last one with is its own.
    let drawn = written(|out| Box::new(TableSink::new(out, live)));
    let drawn = String::from_utf8(drawn).expect("UTF-8");
    let own = regex::Regex::new("\x1b\\[[0-9]*[AJKm]|\r").expect("a pattern");
    harmless("live table", own.replace_all(&drawn, "").as_bytes(), SPELT);
    let tree = written(|out| {
        let text = TreeText::new(out, TreeOptions::default());
        Box::new(TraceSink::new(text, None))
    });
    harmless("tree", &tree, SPELT);
    let logfmt = written(|out| Box::new(TraceSink::new(Logfmt::new(out), None)));
    // A backslash is two in what is quoted.
    harmless("logfmt", &logfmt, &SPELT.replace('\\', r"\\"));
    harmless("csv", &written(|out| Box::new(CsvSink::new(out))), SPELT);
    for weight in [
        Weight::Wall,
        Weight::Exclusive,
        Weight::State,
        Weight::Calls,
    ] {
        for drawing in [Drawing::Folded, Drawing::FlameGraph] {
            let drawn = written(|out| Box::new(FoldedSink::new(out, drawing, weight)));
            // The script in the picture is indented by tabs.
            let drawn = String::from_utf8(drawn).expect("UTF-8").replace('\t', " ");
            harmless(
                &format!("{drawing:?} {weight:?}"),
                drawn.as_bytes(),
                WITHOUT_SEMICOLONS,
            );
        }
    }
    harmless("html", &written(|out| Box::new(HtmlSink::new(out))), SPELT);
}

#[test]
fn prometheus_steers_nothing() {
    let mut sink =
        PrometheusSink::listen("127.0.0.1:0".parse().expect("an address")).expect("listens");
    for mode in [Mode::Durations, Mode::Count] {
        play(&mut sink, mode);
        let mut stream = TcpStream::connect(sink.address()).expect("connects");
        stream
            .write_all(b"GET /metrics HTTP/1.0\r\n\r\n")
            .expect("asked");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answered");
        // A backslash is two in a label's value.
        harmless("prometheus", &answer, &SPELT.replace('\\', r"\\"));
    }
}

/// Of what is no text: nothing of it is raw, and the names are there.
pub(super) fn spelt_out(what: &str, bytes: &[u8]) {
    let has = |part: &str| memchr::memmem::find(bytes, part.as_bytes()).is_some();
    for raw in ["\x1b[31m", "\u{9b}2J", "\u{202e}"] {
        assert!(!has(raw), "{what} has {raw:?}");
    }
    assert!(has(SPELT), "{what} has none of it");
}

/// They are read by other tools, which print what they find.
#[test]
fn what_other_tools_read_has_it_spelt_out() {
    let gzipped = written(|out| Box::new(PprofSink::new(out)));
    let mut profile = Vec::new();
    let read = flate2::read::MultiGzDecoder::new(&gzipped[..]).read_to_end(&mut profile);
    read.expect("gzip");
    spelt_out("pprof", &profile);
    spelt_out("perfetto", &written(|out| Box::new(PerfettoSink::new(out))));
}

/// All strings of a value that hold the text, keys too.
fn found(value: &Json) -> usize {
    let has = |text: &str| text.matches(HOSTILE).count();
    match value {
        Json::String(text) => has(text),
        Json::Array(items) => items.iter().map(found).sum(),
        Json::Object(fields) => fields
            .iter()
            .map(|(key, value)| has(key) + found(value))
            .sum(),
        _ => 0,
    }
}

/// Lines of JSON: harmless, and what is parsed is the very text.
fn read_again(what: &str, bytes: &[u8]) -> Vec<Json> {
    harmless(what, bytes, IN_JSON);
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let lines: Vec<Json> = lines.collect();
    for line in &lines {
        // Every text of the measurement is hostile: whatever has less of it was changed.
        let whole = line.to_string();
        assert_eq!(whole.matches("[31m").count(), found(line), "{what}: {line}");
    }
    lines
}

#[test]
fn json_steers_nothing_and_says_the_same() {
    let lines = read_again("json", &written(|out| Box::new(JsonSink::new(out, true))));
    let of = |kind: &str| {
        lines
            .iter()
            .find(|line| line["type"] == kind)
            .expect("a line")
    };
    for field in ["exe", "go_version", "kernel"] {
        assert_eq!(of("session")[field], HOSTILE);
    }
    for kind in ["skipped", "call", "entry", "function", "caller"] {
        assert_eq!(of(kind)["function"], HOSTILE);
    }
    assert_eq!(of("call")["args"][HOSTILE]["type"], HOSTILE);
    assert_eq!(of("call")["stack"][0]["file"], HOSTILE);
    assert_eq!(of("call")["states"]["waiting"][HOSTILE], 5_000);
    assert_eq!(of("function")["file"], HOSTILE);
    let trace = written(|out| Box::new(TraceSink::new(JsonSink::new(out, false), None)));
    read_again("trace", &trace);
}

#[test]
fn a_recording_steers_nothing_and_says_the_same() {
    let mut file = Vec::new();
    play(
        &mut RecordingSink::new(&mut file, 1_000).expect("zstd"),
        Mode::Durations,
    );
    let lines = zstd::stream::decode_all(&file[..]).expect("zstd");
    read_again("recording", &lines);
    let mut again = Vec::new();
    recording::play(&file[..], &mut JsonSink::new(&mut again, false)).expect("played");
    let lines = read_again("report", &again);
    assert!(lines.iter().map(found).sum::<usize>() > 30, "{lines:?}");
}

#[test]
fn a_comparison_steers_nothing() {
    let side = || {
        let mut samples = Samples::default();
        play(&mut samples, Mode::Durations);
        samples.finish().0
    };
    let mut after = side();
    after.insert(
        format!("new {HOSTILE}"),
        after.values().next().expect("one").clone(),
    );
    let mut comparison = Comparison::of(side(), after, 0.01);
    assert!(
        comparison
            .functions
            .iter()
            .all(|one| one.name.contains(HOSTILE))
    );
    comparison.only[0].push(hostile());
    let (mut table, mut json) = (Vec::new(), Vec::new());
    write_table(&comparison, true, &mut table).expect("written");
    harmless("diff", &table, SPELT);
    write_json(&comparison, &mut json).expect("written");
    read_again("diff", &json);
}

#[test]
fn what_is_open_steers_nothing() {
    let seen = Inflight {
        pid: 1,
        unix_ns: 0,
        goroutines: 1,
        torn: 0,
        shown: vec![OpenStack {
            goroutine: GoroutineState {
                goid: 1,
                parent_goid: None,
                status: GoStatus::Waiting,
                wait_reason: Some(hostile()),
                waits_since_ns: None,
                stack: frames(),
            },
            calls: vec![hostile()],
            waits_ns: None,
        }],
    };
    let (mut text, mut json) = (Vec::new(), Vec::new());
    inflight_text(&mut text, &seen, false).expect("written");
    harmless("inflight", &text, SPELT);
    inflight_json(&mut json, &seen).expect("written");
    read_again("inflight", &json);
}

fn coverage() -> (CoverPlan, CoverReport, CoverLedger) {
    let function = |name: &str| CoverFunction {
        name: name.to_owned(),
        package: hostile(),
        location: Some(Location {
            file: hostile(),
            line: 7,
        }),
        unseen: 1,
    };
    let line = |line| SourceLine {
        file: 0,
        line,
        function: Some(0),
    };
    let plan = CoverPlan {
        functions: vec![function(HOSTILE), function(&format!("{HOSTILE}2"))],
        files: vec![SourceFile {
            path: hostile(),
            import: Some(hostile()),
        }],
        lines: vec![line(7), line(8)],
        sites: Vec::new(),
        skipped: plan().skipped,
        made_up: 0,
    };
    let report = CoverReport {
        phase: Some(1),
        elapsed_ns: 1,
        coverage: Coverage {
            functions: vec![Some(5), None],
            lines: vec![true, false],
        },
    };
    let ledger = CoverLedger {
        sites: 2,
        sites_hit: 1,
        sites_left: 1,
        probe_hits: 1,
        probe_cost_ns: None,
        retirements: 0,
        retirement_ns: 0,
        end: End::Duration,
    };
    (plan, report, ledger)
}

#[test]
fn a_coverage_steers_nothing() {
    let (plan, report, ledger) = coverage();
    let play = |sink: &mut dyn CoverSink| {
        sink.session(&info(), &plan).expect("session");
        sink.ran(0, 5).expect("ran");
        sink.interval(&report).expect("interval");
        sink.phase(&report).expect("phase");
        sink.finish(&report, &ledger).expect("finish");
    };
    for uncovered in [false, true] {
        let options = CoverTableOptions {
            watch: true,
            uncovered,
            limit: None,
            live: false,
        };
        let mut table = Vec::new();
        play(&mut CoverTable::new(&mut table, options));
        harmless("coverage", &table, SPELT);
    }
    let mut json = Vec::new();
    play(&mut CoverJson::new(&mut json, true));
    read_again("coverage", &json);
    let profile = Profile::of(&plan, &report.coverage);
    for format in [ProfileFormat::Go, ProfileFormat::Lcov] {
        let mut text = Vec::new();
        format.write(&profile, &mut text).expect("written");
        harmless(&format!("{format:?}"), &text, SPELT);
    }
    let (mut merged, mut difference) = (Vec::new(), Vec::new());
    cover_saved::merged_table(&profile, &mut merged).expect("written");
    harmless("merged", &merged, SPELT);
    cover_saved::difference_table(&profile, &mut difference).expect("written");
    harmless("difference", &difference, SPELT);
    let (mut merged, mut difference) = (Vec::new(), Vec::new());
    cover_saved::merged_json(&profile, &mut merged).expect("written");
    read_again("merged", &merged);
    cover_saved::difference_json(&profile, &mut difference).expect("written");
    read_again("difference", &difference);
}
