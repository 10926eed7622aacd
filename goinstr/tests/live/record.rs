//! `goinstr record` and `goinstr report`: what is recorded is what was called, in every format, as
//! the tools say that the formats are for.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Test,
    support::{
        build::{self, Build},
        measurement::{Measurement, goinstr},
        process::{Target, patience},
        report::Report,
        toolchain,
        truth::{Truth, shape_free},
    },
    test,
};

pub fn tests() -> Vec<Test> {
    vec![
        test("record::a_report_has_the_counts_of_the_target", counts),
        test("record::every_call_is_on_its_path", paths),
        test("record::pprof_reads_the_profile", pprof).needing(&["go"]),
        test("record::zstd_shows_the_lines", lines).needing(&["zstd"]),
        test("record::a_browser_shows_the_page", page).needing(&["chromium"]),
        test("record::perfetto_reads_the_trace", perfetto).needing(&["python3", "perfetto"]),
        test("record::states_are_in_the_flame_graph", state_frames),
        test("record::perfetto_reads_the_states", perfetto_states)
            .needing(&["python3", "perfetto"]),
        test("record::a_kill_leaves_a_recording", kill),
        test("record::a_full_disk_ends_it_in_good_order", full_disk),
    ]
}

/// Whether a tool that reads a format is here. `perfetto` and `lcov_cobertura`: as Python's packages of these names.
pub fn has(tool: &str) -> bool {
    let mut command = match tool {
        "go" => return go().is_some(),
        "perfetto" => {
            let mut python = Command::new("python3");
            python.args([
                "-c",
                "from perfetto.protos.perfetto.trace import perfetto_trace_pb2",
            ]);
            python
        }
        "lcov_cobertura" => {
            let mut python = Command::new("python3");
            python.args(["-c", "import lcov_cobertura"]);
            python
        }
        tool => {
            let mut command = Command::new(tool);
            command.arg(if tool == "tmux" { "-V" } else { "--version" });
            command
        }
    };
    command.output().is_ok_and(|output| output.status.success())
}

fn go() -> Option<PathBuf> {
    // Of targets that were built elsewhere there is a version and no command.
    let go = toolchain::usual()?.go.clone();
    let runs = Command::new(&go).arg("version").output();
    runs.is_ok_and(|output| output.status.success())
        .then_some(go)
}

/// The calls of target `nesting`, made by `main.main.func1`.
const PATHS: [(&str, u64); 6] = [
    ("main.main.func1", 1),
    ("main.main.func1;main.top", 100),
    ("main.main.func1;main.top;main.left", 100),
    ("main.main.func1;main.top;main.left;main.leaf", 100),
    ("main.main.func1;main.top;main.right", 100),
    ("main.main.func1;main.top;main.right;main.leaf", 300),
];

fn file(name: &str) -> PathBuf {
    build::scratch().join(name)
}

/// Starts to record a target.
fn recording(target: &Target, path: &Path) -> Result<Measurement> {
    let args = ["-o", path.to_str().context("UTF-8")?, "main.*"];
    Measurement::start_command("record", target.pid, &args)
}

/// Records a run of target `nesting` to the end.
fn recorded(name: &str) -> Result<(PathBuf, Truth, Report)> {
    let path = file(name);
    let mut target = Target::start(&Build::of("nesting").executable()?, &[""; 0])?;
    let measurement = recording(&target, &path)?;
    target.go()?;
    let truth = target.truth()?;
    let report = measurement.interrupt()?;
    target.release()?;
    Ok((path, truth, report))
}

/// `goinstr report` on a recording: what it writes.
fn report(recording: &Path, args: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(goinstr())
        .arg("report")
        .arg(recording)
        .args(args)
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "report {args:?}: {errors}");
    Ok(output.stdout)
}

fn text(recording: &Path, args: &[&str]) -> Result<String> {
    Ok(String::from_utf8(report(recording, args)?)?)
}

/// Runs a tool and gives what it prints.
fn tool(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {errors}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn counts() -> Result<()> {
    let (path, truth, live) = recorded("counts.goinstr")?;
    let lines: Vec<String> = text(&path, &["--json"])?
        .lines()
        .map(str::to_owned)
        .collect();
    let reported = Report::parse(&lines)?;
    ensure!(reported.calls.is_empty(), "single calls were not asked for");
    ensure!(
        reported.counts() == live.counts(),
        "the report differs from what was shown"
    );
    for (name, counts) in &truth.functions {
        let seen = reported.counts().get(name).copied().unwrap_or_default();
        ensure!(seen == *counts, "{name}: {seen:?}, true {counts:?}");
    }
    let csv = text(&path, &["--csv"])?;
    let leaf = csv
        .lines()
        .find(|row| row.starts_with("main.leaf,"))
        .context("no row")?;
    ensure!(leaf.split(',').nth(4) == Some("400"), "{leaf}");
    let table = text(&path, &[])?;
    let leaf = table
        .lines()
        .find(|row| row.ends_with("  main.leaf"))
        .context("no row")?;
    ensure!(leaf.split_whitespace().next() == Some("400"), "{table}");
    let with_calls = text(&path, &["--json", "--calls"])?;
    let calls = with_calls
        .lines()
        .filter(|line| line.starts_with(r#"{"type":"call""#));
    ensure!(calls.count() == 701, "{with_calls}");
    Ok(())
}

fn paths() -> Result<()> {
    let (path, ..) = recorded("paths.goinstr")?;
    let folded = text(&path, &["--folded", "--weight", "calls"])?;
    for (functions, calls) in PATHS {
        let line = format!("{functions} {calls}");
        ensure!(
            folded.lines().any(|found| found == line),
            "no {line} in:\n{folded}"
        );
    }
    ensure!(
        folded.lines().count() == PATHS.len(),
        "more paths: {folded}"
    );
    let svg = text(&path, &["--flamegraph", "--weight", "calls"])?;
    ensure!(
        svg.contains("main.leaf (300 calls, ") && svg.contains("all (701 calls, 100%)"),
        "{svg}"
    );
    Ok(())
}

fn pprof() -> Result<()> {
    let (path, truth, _) = recorded("pprof.goinstr")?;
    let profile = file("nesting.pprof");
    fs::write(&profile, report(&path, &["--pprof"])?)?;
    let go = go().context("no go")?;
    let top = tool(
        Command::new(go)
            .args([
                "tool",
                "pprof",
                "-top",
                "-sample_index=calls",
                "-nodefraction=0",
            ])
            .arg(&profile),
    )?;
    ensure!(top.contains("Type: calls"), "{top}");
    for (name, counts) in truth
        .functions
        .iter()
        .filter(|(_, counts)| counts.calls > 0)
    {
        let row = top
            .lines()
            .find(|row| row.ends_with(&format!("  {name}")))
            .with_context(|| format!("no {name}: {top}"))?;
        let flat = row.split_whitespace().next();
        ensure!(
            flat == Some(counts.calls.to_string().as_str()),
            "{row}: true {counts:?}"
        );
    }
    Ok(())
}

fn lines() -> Result<()> {
    let (path, ..) = recorded("lines.goinstr")?;
    let lines = tool(Command::new("zstd").arg("-dc").arg(&path))?;
    ensure!(
        lines.starts_with(r#"{"type":"recording","version":1,"#),
        "{lines}"
    );
    ensure!(
        lines
            .lines()
            .last()
            .is_some_and(|line| line.contains("ledger")),
        "{lines}"
    );
    for line in lines.lines() {
        serde_json::from_str::<serde_json::Value>(line).with_context(|| line.to_owned())?;
    }
    Ok(())
}

/// The page as a browser has it when its script has run.
fn page() -> Result<()> {
    let (path, ..) = recorded("page.goinstr")?;
    let page = file("nesting.html");
    fs::write(&page, report(&path, &["--html"])?)?;
    let profile = file("chromium");
    let dom = tool(
        Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("file://{}", page.display())),
    )?;
    ensure!(
        dom.contains(r#"data-ready="yes""#),
        "its script failed: {dom}"
    );
    ensure!(dom.contains("<td>main.leaf</td>"), "no row: {dom}");
    ensure!(
        dom.contains("701 of 701 calls were recorded one by one"),
        "{dom}"
    );
    ensure!(
        dom.matches(r#"class="frame""#).count() >= 6,
        "no flame graph: {dom}"
    );
    Ok(())
}

/// Perfetto's own definition of its format, from its Python package.
const READ_TRACE: &str = r#"
import collections, sys
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos
trace = protos.Trace()
trace.ParseFromString(open(sys.argv[1], "rb").read())
names, counts, tracks, parents, states = {}, collections.Counter(), {}, {}, collections.Counter()
for packet in trace.packet:
    for name in packet.interned_data.event_names:
        names[name.iid] = name.name
    if packet.HasField("track_descriptor"):
        tracks[packet.track_descriptor.uuid] = packet.track_descriptor.name
        parents[packet.track_descriptor.uuid] = packet.track_descriptor.parent_uuid
events = sorted((p for p in trace.packet if p.HasField("track_event")), key=lambda p: p.timestamp)
stacks = collections.defaultdict(list)
for packet in events:
    event = packet.track_event
    stack = stacks[event.track_uuid]
    if tracks[event.track_uuid].startswith("states"):
        assert tracks[parents[event.track_uuid]].startswith("goroutine "), tracks
        if event.type == protos.TrackEvent.TYPE_SLICE_BEGIN:
            stack.append((event.name, packet.timestamp))
        else:
            name, begun = stack.pop()
            states[name] += packet.timestamp - begun
    elif event.type == protos.TrackEvent.TYPE_SLICE_BEGIN:
        assert tracks[event.track_uuid].startswith("goroutine "), tracks
        stack.append(names[event.name_iid])
        counts[";".join(stack)] += 1
    else:
        assert event.type == protos.TrackEvent.TYPE_SLICE_END, event
        stack.pop()
assert not any(stacks.values()), stacks
for path, calls in sorted((states if len(sys.argv) > 2 else counts).items()):
    print(path, calls)
"#;

fn perfetto() -> Result<()> {
    let (path, ..) = recorded("perfetto.goinstr")?;
    let trace = file("nesting.perfetto-trace");
    fs::write(&trace, report(&path, &["--perfetto"])?)?;
    let seen = tool(Command::new("python3").args(["-c", READ_TRACE]).arg(&trace))?;
    let expected: String = PATHS
        .iter()
        .map(|(functions, calls)| format!("{functions} {calls}\n"))
        .collect();
    ensure!(seen == expected, "{seen}");
    Ok(())
}

/// Functions of target `states`, none of which calls another.
const WAITING: [&str; 6] = [
    "main.computes",
    "main.sleeps",
    "main.locks",
    "main.receives",
    "main.sends",
    "main.waitsForGroup",
];

/// Records what they do.
fn recorded_states(name: &str) -> Result<(PathBuf, Truth)> {
    let path = file(name);
    let mut target = Target::start(&Build::of("states").executable()?, &[""; 0])?;
    let mut args = vec!["--states", "-o", path.to_str().context("UTF-8")?];
    args.extend(WAITING);
    let measurement = Measurement::start_command("record", target.pid, &args)?;
    target.go()?;
    let truth = target.truth()?;
    measurement.interrupt()?;
    target.release()?;
    Ok((path, truth))
}

/// Lines of folded stacks, and their weights.
fn folded(recording: &Path, by: &str) -> Result<Vec<(String, u64)>> {
    text(recording, &["--folded", "--weight", by])?
        .lines()
        .map(|line| {
            let (path, weight) = line.rsplit_once(' ').context("no weight")?;
            Ok((path.to_owned(), weight.parse()?))
        })
        .collect()
}

/// The widest frame above a function is what the target says that it is slow for, and all frames
/// together are as wide as those of wall time.
fn state_frames() -> Result<()> {
    let (path, truth) = recorded_states("state-frames.goinstr")?;
    let by_state = folded(&path, "state")?;
    let sum = |lines: &[(String, u64)]| lines.iter().map(|(_, ns)| ns).sum::<u64>();
    let (states, wall) = (sum(&by_state), sum(&folded(&path, "wall")?));
    ensure!(states == wall, "{states} ns by state, {wall} ns in all");
    let mut compared = 0;
    for told in truth.lines.iter().filter(|line| line["type"] == "state") {
        let (Some(function), Some(reason)) = (told["function"].as_str(), told["reason"].as_str())
        else {
            continue;
        };
        if !WAITING.contains(&function) || told["state"] != "waiting" {
            continue;
        }
        let widest = by_state
            .iter()
            .filter_map(|(path, ns)| Some((ns, path.strip_prefix(function)?.strip_prefix(';')?)))
            .max();
        let frame = format!("[waiting: {reason}]");
        ensure!(
            widest.is_some_and(|(_, widest)| widest == frame),
            "{function} is told to wait for {reason}: {by_state:?}"
        );
        compared += 1;
    }
    ensure!(compared >= 4, "only {compared} functions were compared");
    let svg = text(&path, &["--flamegraph", "--weight", "state"])?;
    ensure!(svg.contains("[waiting: sleep] ("), "no such frame: {svg}");
    Ok(())
}

/// The tracks of states are as long as the frames of the flame graph are wide.
fn perfetto_states() -> Result<()> {
    let (path, _) = recorded_states("perfetto-states.goinstr")?;
    let trace = file("states.perfetto-trace");
    fs::write(&trace, report(&path, &["--perfetto"])?)?;
    let read = Command::new("python3")
        .args(["-c", READ_TRACE])
        .arg(&trace)
        .arg("states")
        .output()?;
    let errors = String::from_utf8_lossy(&read.stderr);
    ensure!(read.status.success(), "{errors}");
    let mut expected: std::collections::BTreeMap<String, u64> = Default::default();
    for (path, ns) in folded(&path, "state")? {
        let (_, state) = path.rsplit_once(';').context("no state")?;
        *expected
            .entry(state.trim_matches(['[', ']']).to_owned())
            .or_default() += ns;
    }
    let expected: String = expected
        .iter()
        .map(|(state, ns)| format!("{state} {ns}\n"))
        .collect();
    let seen = String::from_utf8_lossy(&read.stdout);
    ensure!(seen == expected, "{seen}\n{expected}");
    Ok(())
}

/// What was written before a kill can be read, and its own counts agree.
fn kill() -> Result<()> {
    let path = file("killed.goinstr");
    let mut target = Target::start(&Build::of("nesting").executable()?, &[""; 0])?;
    let measurement = recording(&target, &path)?;
    target.go()?;
    let truth = target.truth()?;
    // Each second something is written: the frame after the calls is there when a later one is.
    let deadline = std::time::Instant::now() + patience();
    let calls: u64 = truth.functions.values().map(|counts| counts.calls).sum();
    loop {
        let lines = text(&path, &["--json"]).unwrap_or_default();
        let seen = lines.lines().filter_map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).ok()?;
            value["calls"].as_u64()
        });
        if seen.sum::<u64>() == calls {
            break;
        }
        ensure!(
            std::time::Instant::now() < deadline,
            "{calls} calls never came: {lines}"
        );
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    measurement.kill()?;
    target.release()?;
    let whole = fs::read(&path)?;
    let lines: Vec<String> = text(&path, &["--json"])?
        .lines()
        .map(str::to_owned)
        .collect();
    ensure!(
        lines
            .last()
            .is_some_and(|line| line.contains(r#""end":"cut_off""#)),
        "{lines:?}"
    );
    for line in &lines {
        let value: serde_json::Value = serde_json::from_str(line)?;
        let Some(name) = value["function"].as_str() else {
            continue;
        };
        let Some(counts) = truth.functions.get(&shape_free(name)) else {
            continue;
        };
        ensure!(
            value["calls"].as_u64() == Some(counts.calls),
            "{line}: true {counts:?}"
        );
    }
    // And with its last frame torn.
    fs::write(&path, &whole[..whole.len() - 3])?;
    let output = Command::new(goinstr()).arg("report").arg(&path).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && errors.contains("is not complete"),
        "{errors}"
    );
    Ok(())
}

fn full_disk() -> Result<()> {
    let mut target = Target::start(&Build::of("nesting").executable()?, &[""; 0])?;
    let output = Command::new(goinstr())
        .args(["record", "-o", "/dev/full", "--pid"])
        .arg(target.pid.to_string())
        .args(["--duration", "60s", "main.*"])
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(1),
        "{:?}: {errors}",
        output.status
    );
    ensure!(
        errors.contains("can't write to the recording /dev/full: the disk is full"),
        "{errors}"
    );
    target.go()?;
    target.truth()?;
    target.release()
}
