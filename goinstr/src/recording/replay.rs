//! Plays a recording back to any sink. Everything in the file is untrusted: it may be cut off,
//! damaged, or made to harm.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::path::PathBuf;

use goinstr_common::histogram::{locate, range};
use serde::de::DeserializeOwned;

use super::error::RecordingError;
use super::frames::{self, Next};
use super::line::{self, VERSION};
use super::words::Words;
use crate::aggregate::{
    CallEvent, CallStack, End, FunctionReport, Ledger, Mode, Outcome, ProbeCosts, Report,
    SessionInfo, ShedEvent,
};
use crate::binary::{FileOffset, LayoutSource, RecoverySp, RuntimeLayout, SourceFrame, Vaddr};
use crate::plan::{Library, Location, PlannedFunction, ProbePlan, Site, Skipped, UnwindSites};
use crate::sink::Sink;

/// The kernel follows no deeper recursion; what goes over the nesting of calls relies on it.
const DEEPEST: u32 = 4096;
/// More functions than any binary has.
const MOST_FUNCTIONS: usize = 10_000_000;

/// What was played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// Single calls that the kernel told of.
    pub calls_seen: u64,
    /// Those of them that the recording has.
    pub calls_recorded: u64,
    /// What is wrong with the file: everything before it was played. `None`: it has its end.
    pub damage: Option<String>,
}

/// Plays `file` to `sink`. Where its end is missing, the sink gets the figures of the last whole
/// interval as its final ones, with the end [`End::CutOff`].
///
/// # Errors
/// It is no recording, or the sink's own.
pub fn play(mut file: impl BufRead, sink: &mut dyn Sink) -> Result<Played, RecordingError> {
    let mut player = Player::default();
    loop {
        match frames::next(&mut file).map_err(RecordingError::Read)? {
            Next::Lines(lines) => {
                for line in lines
                    .split(|&byte| byte == b'\n')
                    .filter(|line| !line.is_empty())
                {
                    match player.line(line, sink) {
                        Ok(()) => {}
                        Err(Wrong::Line(reason)) => return player.cut_off(&reason, sink),
                        Err(Wrong::File(error)) => return Err(error),
                        Err(Wrong::Sink(error)) => return Err(RecordingError::Write(error)),
                    }
                }
            }
            Next::End if player.state == State::Over => return Ok(player.played),
            Next::End => return player.cut_off("its end is missing", sink),
            Next::Damaged(how) => return player.cut_off(&how, sink),
        }
    }
}

/// What is wrong with a line.
enum Wrong {
    /// It can't be part of a recording.
    Line(String),
    /// The file is none, or too new.
    File(RecordingError),
    /// The sink refused it.
    Sink(io::Error),
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Self {
        Self::Sink(error)
    }
}

fn wrong(reason: impl Into<String>) -> Wrong {
    Wrong::Line(reason.into())
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing read yet.
    #[default]
    Empty,
    /// What is measured is being told.
    Beginning,
    /// The sink knows what is measured.
    Running,
    /// The ledger was there.
    Over,
}

#[derive(Debug, Default)]
struct Player {
    state: State,
    lines: u64,
    info: Option<SessionInfo>,
    plan: Option<ProbePlan>,
    functions: Vec<PlannedFunction>,
    skipped: Vec<Skipped>,
    libraries: Vec<Library>,
    report: Report,
    /// Calls of each function at the last interval.
    before: Vec<u64>,
    words: Words,
    played: Played,
}

impl Player {
    /// The file ends here, whatever comes after.
    fn cut_off(mut self, reason: &str, sink: &mut dyn Sink) -> Result<Played, RecordingError> {
        if self.state == State::Empty || self.info.is_none() {
            return Err(RecordingError::NotARecording {
                reason: reason.to_owned(),
            });
        }
        if self.state != State::Over {
            self.begin(sink).map_err(RecordingError::Write)?;
            let report = &self.report;
            let sum = |of: fn(&FunctionReport) -> u64| {
                report.functions.iter().map(of).fold(0, u64::saturating_add)
            };
            let (calls, unwound) = (sum(|f| f.calls), sum(|f| f.unwound));
            let in_flight = sum(|f| f.in_flight);
            let ledger = Ledger {
                mode: self.info.as_ref().map_or(Mode::default(), |info| info.mode),
                entries: calls.saturating_add(in_flight),
                returned: calls.saturating_sub(unwound),
                unwound,
                in_flight,
                orphan_returns: 0,
                lost: BTreeMap::new(),
                dropped_records: 0,
                without_states: 0,
                probe_hits: 0,
                probe_cost_ns: None,
                exported: None,
                end: End::CutOff,
            };
            sink.finish(&self.report, &ledger)
                .map_err(RecordingError::Write)?;
        }
        self.played.damage = Some(reason.to_owned());
        Ok(self.played)
    }

    fn line(&mut self, line: &[u8], sink: &mut dyn Sink) -> Result<(), Wrong> {
        self.lines += 1;
        let (kind, number) = (kind(line), self.lines);
        if self.state == State::Empty {
            if kind != Some("recording") {
                return Err(wrong("it begins otherwise"));
            }
            let header: line::Header = read(line, number)?;
            if header.version > VERSION {
                return Err(Wrong::File(RecordingError::TooNew {
                    found: header.version,
                    known: VERSION,
                }));
            }
            self.state = State::Beginning;
            return Ok(());
        }
        // Definitions and skipped functions come before all else, with the session between them.
        match kind {
            Some("definition") => return self.definition(read(line, number)?, number),
            Some("session") => return self.session(read(line, number)?, number),
            Some("skipped") => {
                let skipped: line::Skipped = read(line, number)?;
                self.skipped.push(Skipped {
                    function: skipped.function,
                    reason: self.words.keep(&skipped.reason),
                    detail: skipped.detail,
                });
                return Ok(());
            }
            _ if self.state == State::Over => {
                return Err(wrong(format!("line {number} comes after the end")));
            }
            _ => {}
        }
        match kind {
            Some("call") => {
                let call = self.call(read(line, number)?, number)?;
                self.begin(sink)?;
                sink.call(&call)?;
            }
            Some("function") => {
                let figures: line::Function = read(line, number)?;
                let function = self.known(figures.id, number)?;
                set(function, &figures);
            }
            Some("histogram") => {
                let histogram: line::Histogram = read(line, number)?;
                let function = self.known(histogram.id, number)?;
                for (low, width, calls) in histogram.slots {
                    let (octave, slot) = locate(low);
                    if range(octave, slot) != (low, width) {
                        return Err(wrong(format!("line {number}: {low}+{width} is no slot")));
                    }
                    function.distribution.add(low, calls);
                }
            }
            Some("shed") => {
                let shed: line::Shed<String> = read(line, number)?;
                self.known(shed.id, number)?.shed_after_ns = Some(shed.after_ns);
                self.begin(sink)?;
                sink.shed(&ShedEvent {
                    function: shed.id,
                    name: shed.function,
                    detail: shed.detail,
                    calls_per_second: shed.calls_per_second,
                    after_ns: shed.after_ns,
                    at_unix_ns: shed.at_unix_ns,
                })?;
            }
            Some("interval") => {
                let interval: line::Interval = read(line, number)?;
                self.begin(sink)?;
                self.interval(&interval, sink)?;
            }
            Some("ledger") => {
                let ledger = self.ledger(read(line, number)?);
                self.begin(sink)?;
                sink.finish(&self.report, &ledger)?;
                self.state = State::Over;
            }
            // A later goinstr of the same version may say more.
            Some(_) => {}
            None => return Err(wrong(format!("line {number} is none of a recording"))),
        }
        Ok(())
    }

    fn definition(
        &mut self,
        definition: line::Definition<String>,
        number: u64,
    ) -> Result<(), Wrong> {
        let next = self.functions.len();
        if self.state != State::Beginning
            || usize::try_from(definition.id) != Ok(next)
            || next >= MOST_FUNCTIONS
        {
            return Err(wrong(format!(
                "line {number} defines a function out of turn"
            )));
        }
        let file = match definition.library {
            None => 0,
            Some(path) => self.library(path),
        };
        let nowhere = Site {
            file,
            address: Vaddr(0),
            offset: FileOffset(0),
        };
        self.functions.push(PlannedFunction {
            name: definition.function,
            symbol: definition.symbol,
            location: definition
                .file
                .zip(definition.line)
                .map(|(file, line)| Location { file, line }),
            entry: nowhere,
            reenters: false,
            exits: Vec::new(),
            inlined_into: definition.inlined_into,
        });
        self.report.functions.push(FunctionReport {
            function: definition.id,
            ..FunctionReport::default()
        });
        self.before.push(0);
        Ok(())
    }

    /// The library's place among the files.
    fn library(&mut self, path: String) -> usize {
        let path = PathBuf::from(path);
        let known = self
            .libraries
            .iter()
            .rposition(|library| library.path == path);
        1 + known.unwrap_or_else(|| {
            self.libraries.push(Library {
                open_path: path.clone(),
                path,
                unwind: UnwindSites::default(),
            });
            self.libraries.len() - 1
        })
    }

    fn session(&mut self, session: line::Session, number: u64) -> Result<(), Wrong> {
        if self.info.is_some() || self.state != State::Beginning {
            return Err(wrong(format!("line {number} is a second session")));
        }
        self.info = Some(SessionInfo {
            pid: session.pid,
            exe: session.exe,
            go_version: session.go_version,
            arch: self.words.keep(&session.arch),
            mode: match session.mode.as_deref() {
                Some(name) => Mode::named(name).unwrap_or_default(),
                None => Mode::Durations,
            },
            kernel: session.kernel,
            attach: self.words.keep(&session.attach),
            returns: self
                .words
                .keep(session.returns.as_deref().unwrap_or("kernel")),
            functions: self.functions.len(),
            sites: session.sites,
            start_unix_ns: session.start_unix_ns,
            duty_percent: None,
            states: session.states,
            probe_costs: session.probe_costs.map(|costs| ProbeCosts {
                entry_ns: costs.entry_ns,
                stepped_entry_ns: costs.stepped_entry_ns,
                exit_ns: costs.exit_ns,
                floor_ns: costs.floor_ns,
            }),
        });
        Ok(())
    }

    /// Tells the sink what is measured, once.
    fn begin(&mut self, sink: &mut dyn Sink) -> io::Result<()> {
        let Some(info) = self.info.as_ref().filter(|_| self.plan.is_none()) else {
            return Ok(());
        };
        let plan = ProbePlan {
            functions: std::mem::take(&mut self.functions),
            skipped: std::mem::take(&mut self.skipped),
            unwind: UnwindSites::default(),
            libraries: std::mem::take(&mut self.libraries),
            states: None,
            captures: None,
            roots: None,
            layout: NO_LAYOUT,
        };
        self.state = State::Running;
        sink.session(info, self.plan.insert(plan))
    }

    fn known(&mut self, id: u32, number: u64) -> Result<&mut FunctionReport, Wrong> {
        if self.info.is_none() {
            return Err(wrong(format!("line {number} comes before the session")));
        }
        usize::try_from(id)
            .ok()
            .and_then(|index| self.report.functions.get_mut(index))
            .ok_or_else(|| {
                wrong(format!(
                    "line {number} is of function {id}, which is not defined"
                ))
            })
    }

    fn call(&mut self, call: line::Call, number: u64) -> Result<CallEvent, Wrong> {
        self.known(call.id, number)?;
        if let Some(parent) = call.parent_id {
            self.known(parent, number)?;
        }
        let end = call
            .start_unix_ns
            .checked_add(call.duration_ns)
            .and_then(|end| end.checked_add(call.corrected_ns));
        if call.depth >= DEEPEST || end.is_none() || call.self_ns > call.duration_ns {
            return Err(wrong(format!("line {number} is of a call that can't be")));
        }
        let frames = call.stack.map(|frames| {
            let frame = |frame: line::Frame| SourceFrame {
                function: frame.function,
                file: frame.file,
                line: frame.line,
                inlined: frame.inlined,
            };
            frames.into_iter().map(frame).collect()
        });
        Ok(CallEvent {
            function: call.id,
            goid: call.goid,
            parent_goid: call.parent_goid,
            start_unix_ns: call.start_unix_ns,
            duration_ns: call.duration_ns,
            self_ns: call.self_ns,
            corrected_ns: call.corrected_ns,
            outcome: match call.outcome {
                line::Outcome::Returned => Outcome::Returned,
                line::Outcome::Unwound => Outcome::Unwound,
            },
            parent: call.parent_id,
            depth: call.depth,
            states: call.states,
            callers: Vec::new(),
            stack: frames
                .and_then(|frames| {
                    CallStack::of_frames(call.stack_waited_ns, frames, call.stack_cut)
                })
                .map(Box::new),
            values: None,
        })
    }

    fn interval(&mut self, interval: &line::Interval, sink: &mut dyn Sink) -> io::Result<()> {
        let played = &mut self.played;
        played.calls_seen = played.calls_seen.saturating_add(interval.calls_seen);
        played.calls_recorded = played
            .calls_recorded
            .saturating_add(interval.calls_recorded);
        self.report.elapsed_ns = interval.elapsed_ns;
        self.report.interval_ns = interval.interval_ns;
        for (function, before) in self.report.functions.iter_mut().zip(&mut self.before) {
            function.calls_in_interval = function.calls.saturating_sub(*before);
            *before = function.calls;
        }
        sink.interval(interval.number, &self.report)
    }

    fn ledger(&mut self, ledger: line::Ledger) -> Ledger {
        let lost = ledger.lost.iter();
        Ledger {
            mode: self.info.as_ref().map_or(Mode::default(), |info| info.mode),
            entries: ledger.entries,
            returned: ledger.returned,
            unwound: ledger.unwound,
            in_flight: ledger.in_flight,
            orphan_returns: ledger.orphan_returns,
            lost: lost
                .map(|(reason, &calls)| (self.words.keep(reason), calls))
                .collect(),
            dropped_records: ledger.dropped_records,
            without_states: ledger.without_states,
            probe_hits: ledger.probe_hits,
            probe_cost_ns: ledger.probe_cost_ns,
            exported: None,
            end: match ledger.end.as_str() {
                "duration" => End::Duration,
                "signal" => End::Signal,
                "target_exit" => End::TargetExit,
                _ => End::CutOff,
            },
        }
    }
}

fn set(function: &mut FunctionReport, figures: &line::Function) {
    *function = FunctionReport {
        function: function.function,
        shed_after_ns: function.shed_after_ns,
        states: figures.states.clone(),
        calls: figures.calls,
        timed: None,
        unwound: figures.unwound,
        in_flight: figures.in_flight,
        oldest_in_flight_ns: figures.oldest_in_flight_ns,
        calls_in_interval: function.calls_in_interval,
        total_ns: figures.total_ns,
        self_ns: figures.self_ns,
        min_ns: figures.min_ns,
        mean_ns: figures.mean_ns,
        p50_ns: figures.p50_ns,
        p90_ns: figures.p90_ns,
        p99_ns: figures.p99_ns,
        p999_ns: figures.p999_ns,
        max_ns: figures.max_ns,
        distribution: std::mem::take(&mut function.distribution),
    };
}

/// What stands after `{"type":"` of a line.
fn kind(line: &[u8]) -> Option<&str> {
    let rest = line.strip_prefix(br#"{"type":""#)?;
    let end = memchr::memchr(b'"', rest)?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

fn read<T: DeserializeOwned>(line: &[u8], number: u64) -> Result<T, Wrong> {
    serde_json::from_slice(line).map_err(|error| wrong(format!("line {number}: {error}")))
}

/// Nothing of the process is looked at any more.
const NO_LAYOUT: RuntimeLayout = RuntimeLayout {
    source: LayoutSource::Table,
    goid: 0,
    atomicstatus: 0,
    waitreason: 0,
    parent_goid: None,
    m: 0,
    sched_sp: 0,
    sched_pc: 0,
    sched_bp: 0,
    m_curg: 0,
    recovery: RecoverySp::InPanic { panic: 0, sp: 0 },
};

#[cfg(test)]
mod tests;
