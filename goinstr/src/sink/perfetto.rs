//! A trace for <https://ui.perfetto.dev>: a track for each goroutine, a slice for each call.
//!
//! The format is `protos/perfetto/trace/trace.proto` of <https://github.com/google/perfetto>; the
//! messages below are those of its fields that are used, with its numbers. Slices are as long as
//! calls were open by the clock, probes and all, so that those inside fit; what a call took
//! without the probes is among its arguments, and so is what it did, where that is known.
//!
//! Beneath a goroutine's track is one with the states of its outermost calls. What is known is how
//! long a call was in each, not when: they stand side by side in a fixed order, and the track says so.
//!
//! Names, files and reasons are spelt out as everywhere else: `trace_processor` prints them on terminals as it finds them.

use std::collections::HashSet;
use std::io::{self, Write};

use prost::Message;

use super::visible::visible;
use super::{Sink, names};
use crate::aggregate::{CallEvent, Ledger, Nested, Nesting, Outcome, Report, SessionInfo};
use crate::plan::{Location, ProbePlan};

#[derive(Clone, PartialEq, Message)]
struct TracePacket {
    #[prost(uint64, optional, tag = "8")]
    timestamp: Option<u64>,
    #[prost(uint32, tag = "10")]
    trusted_packet_sequence_id: u32,
    #[prost(uint32, tag = "13")]
    sequence_flags: u32,
    #[prost(message, optional, tag = "6")]
    clock_snapshot: Option<ClockSnapshot>,
    #[prost(message, optional, tag = "60")]
    track_descriptor: Option<TrackDescriptor>,
    #[prost(message, optional, tag = "12")]
    interned_data: Option<InternedData>,
    #[prost(message, optional, tag = "11")]
    track_event: Option<TrackEvent>,
}

#[derive(Clone, PartialEq, Message)]
struct ClockSnapshot {
    #[prost(message, repeated, tag = "1")]
    clocks: Vec<Clock>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Clock {
    #[prost(uint32, tag = "1")]
    clock_id: u32,
    #[prost(uint64, tag = "2")]
    timestamp: u64,
}

#[derive(Clone, PartialEq, Message)]
struct TrackDescriptor {
    #[prost(uint64, tag = "1")]
    uuid: u64,
    #[prost(uint64, optional, tag = "5")]
    parent_uuid: Option<u64>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
    #[prost(message, optional, tag = "3")]
    process: Option<ProcessDescriptor>,
}

#[derive(Clone, PartialEq, Message)]
struct ProcessDescriptor {
    #[prost(int32, tag = "1")]
    pid: i32,
    #[prost(string, tag = "6")]
    process_name: String,
}

#[derive(Clone, PartialEq, Message)]
struct TrackEvent {
    #[prost(enumeration = "EventType", tag = "9")]
    r#type: i32,
    #[prost(uint64, tag = "11")]
    track_uuid: u64,
    #[prost(uint64, optional, tag = "10")]
    name_iid: Option<u64>,
    #[prost(string, optional, tag = "23")]
    name: Option<String>,
    #[prost(uint64, optional, tag = "34")]
    source_location_iid: Option<u64>,
    #[prost(message, repeated, tag = "4")]
    debug_annotations: Vec<DebugAnnotation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum EventType {
    Unspecified = 0,
    SliceBegin = 1,
    SliceEnd = 2,
}

#[derive(Clone, PartialEq, Message)]
struct DebugAnnotation {
    #[prost(string, tag = "10")]
    name: String,
    #[prost(uint64, optional, tag = "3")]
    uint_value: Option<u64>,
    #[prost(string, optional, tag = "6")]
    string_value: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct InternedData {
    #[prost(message, repeated, tag = "2")]
    event_names: Vec<EventName>,
    #[prost(message, repeated, tag = "4")]
    source_locations: Vec<SourceLocation>,
}

#[derive(Clone, PartialEq, Message)]
struct EventName {
    #[prost(uint64, tag = "1")]
    iid: u64,
    #[prost(string, tag = "2")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct SourceLocation {
    #[prost(uint64, tag = "1")]
    iid: u64,
    #[prost(string, tag = "2")]
    file_name: String,
    #[prost(string, tag = "3")]
    function_name: String,
    #[prost(uint32, tag = "4")]
    line_number: u32,
}

/// `BUILTIN_CLOCK_REALTIME` and `BUILTIN_CLOCK_BOOTTIME`, the clock of timestamps: both are given
/// as ns since the Unix epoch.
const CLOCKS: [u32; 2] = [1, 6];
/// All packets are of one sequence.
const SEQUENCE: u32 = 1;
/// `SEQ_INCREMENTAL_STATE_CLEARED` and `SEQ_NEEDS_INCREMENTAL_STATE`: what is interned begins, and is used.
const BEGINS: u32 = 1;
const CONTINUES: u32 = 2;
/// Tag of `Trace.packet`.
const PACKET: u8 = 0x0a;
/// The process's own track.
const PROCESS: u64 = 1;
/// Set in the id of the track of a goroutine's states: no goroutine has a number that large.
const STATES: u64 = 1 << 63;

/// Writes calls as their outermost return.
#[derive(Debug)]
pub struct PerfettoSink<W: Write> {
    out: W,
    names: Vec<String>,
    places: Vec<Option<Location>>,
    nesting: Nesting,
    tracks: HashSet<u64>,
    state_tracks: HashSet<u64>,
    interned: HashSet<u32>,
}

impl<W: Write> PerfettoSink<W> {
    /// Writes to `out`, which should buffer.
    pub fn new(out: W) -> Self {
        Self {
            out,
            names: Vec::new(),
            places: Vec::new(),
            nesting: Nesting::default(),
            tracks: HashSet::new(),
            state_tracks: HashSet::new(),
            interned: HashSet::new(),
        }
    }

    fn packet(&mut self, packet: TracePacket) -> io::Result<()> {
        let flags = match packet.sequence_flags {
            0 => CONTINUES,
            flags => flags,
        };
        let packet = TracePacket {
            trusted_packet_sequence_id: SEQUENCE,
            sequence_flags: flags,
            ..packet
        };
        self.out.write_all(&[PACKET])?;
        self.out.write_all(&packet.encode_length_delimited_to_vec())
    }

    fn tree(&mut self, root: &Nested) -> io::Result<()> {
        let goid = root.call.goid;
        // 0, the system stacks, is taken by the process's track plus one.
        let track = goid.wrapping_add(2);
        if self.tracks.insert(goid) {
            let name = match goid {
                0 => "system stacks".to_owned(),
                goid => format!("goroutine {goid}"),
            };
            self.packet(TracePacket {
                track_descriptor: Some(TrackDescriptor {
                    uuid: track,
                    parent_uuid: Some(PROCESS),
                    name: Some(name),
                    process: None,
                }),
                ..TracePacket::default()
            })?;
        }
        self.slice(root, track, u64::MAX)?;
        self.states(&root.call, track)
    }

    /// What an outermost call did, each state as long as it was in it, one after another.
    fn states(&mut self, call: &CallEvent, goroutine: u64) -> io::Result<()> {
        let Some(states) = &call.states else {
            return Ok(());
        };
        let track = goroutine | STATES;
        if self.state_tracks.insert(call.goid) {
            self.packet(TracePacket {
                track_descriptor: Some(TrackDescriptor {
                    uuid: track,
                    parent_uuid: Some(goroutine),
                    name: Some("states: how long, not when".to_owned()),
                    process: None,
                }),
                ..TracePacket::default()
            })?;
        }
        let mut at = call.start_unix_ns;
        for (state, ns) in states.named() {
            let end = at.saturating_add(ns).min(call.end_unix_ns());
            for (timestamp, event) in [(at, EventType::SliceBegin), (end, EventType::SliceEnd)] {
                self.packet(TracePacket {
                    timestamp: Some(timestamp),
                    track_event: Some(TrackEvent {
                        r#type: event.into(),
                        track_uuid: track,
                        name: (event == EventType::SliceBegin)
                            .then(|| visible(&state).into_owned()),
                        ..TrackEvent::default()
                    }),
                    ..TracePacket::default()
                })?;
            }
            at = end;
        }
        Ok(())
    }

    /// A call and those inside it, which end no later: slices of a track must nest.
    fn slice(&mut self, nested: &Nested, track: u64, latest: u64) -> io::Result<()> {
        let call = &nested.call;
        let (begin, end) = (call.start_unix_ns, call.end_unix_ns().min(latest));
        let id = call.function;
        let place = usize::try_from(id)
            .ok()
            .and_then(|index| self.places.get(index))
            .cloned()
            .flatten();
        let iid = u64::from(id) + 1;
        let interned = self.interned.insert(id).then(|| {
            let name = names::of(&self.names, id).to_owned();
            InternedData {
                event_names: vec![EventName {
                    iid,
                    name: name.clone(),
                }],
                source_locations: place
                    .iter()
                    .map(|at| SourceLocation {
                        iid,
                        file_name: visible(&at.file).into_owned(),
                        function_name: name.clone(),
                        line_number: at.line,
                    })
                    .collect(),
            }
        });
        let number = |name: &str, value| DebugAnnotation {
            name: name.to_owned(),
            uint_value: Some(value),
            string_value: None,
        };
        let mut annotations = vec![
            number("duration_ns", call.duration_ns),
            number("self_ns", call.self_ns),
        ];
        if let Some(states) = &call.states {
            let named = states.named();
            annotations
                .extend(named.map(|(state, ns)| number(&format!("{} (ns)", visible(&state)), ns)));
        }
        if call.outcome == Outcome::Unwound {
            annotations.push(DebugAnnotation {
                name: "outcome".to_owned(),
                uint_value: None,
                string_value: Some("unwound".to_owned()),
            });
        }
        self.packet(TracePacket {
            timestamp: Some(begin),
            interned_data: interned,
            track_event: Some(TrackEvent {
                r#type: EventType::SliceBegin.into(),
                track_uuid: track,
                name_iid: Some(iid),
                name: None,
                source_location_iid: place.map(|_| iid),
                debug_annotations: annotations,
            }),
            ..TracePacket::default()
        })?;
        for inside in &nested.inside {
            self.slice(inside, track, end)?;
        }
        self.packet(TracePacket {
            timestamp: Some(end.max(begin)),
            track_event: Some(TrackEvent {
                r#type: EventType::SliceEnd.into(),
                track_uuid: track,
                ..TrackEvent::default()
            }),
            ..TracePacket::default()
        })
    }
}

impl<W: Write> Sink for PerfettoSink<W> {
    fn session(&mut self, info: &SessionInfo, plan: &ProbePlan) -> io::Result<()> {
        self.names = names::distinct(plan);
        let place = |function: &crate::plan::PlannedFunction| function.location.clone();
        self.places = plan.functions.iter().map(place).collect();
        let clock = |clock_id| Clock {
            clock_id,
            timestamp: info.start_unix_ns,
        };
        self.packet(TracePacket {
            sequence_flags: BEGINS,
            clock_snapshot: Some(ClockSnapshot {
                clocks: CLOCKS.into_iter().map(clock).collect(),
            }),
            ..TracePacket::default()
        })?;
        self.packet(TracePacket {
            track_descriptor: Some(TrackDescriptor {
                uuid: PROCESS,
                parent_uuid: None,
                name: None,
                process: Some(ProcessDescriptor {
                    pid: info.pid.and_then(|pid| pid.try_into().ok()).unwrap_or(0),
                    process_name: visible(&info.exe).into_owned(),
                }),
            }),
            ..TracePacket::default()
        })
    }

    fn call(&mut self, call: &CallEvent) -> io::Result<()> {
        for nested in self.nesting.add(call.bare()) {
            self.tree(&nested)?;
        }
        Ok(())
    }

    fn interval(&mut self, _number: u64, _report: &Report) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _report: &Report, _ledger: &Ledger) -> io::Result<()> {
        for nested in self.nesting.rest() {
            self.tree(&nested)?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sample;

    #[derive(Clone, PartialEq, Message)]
    struct Trace {
        #[prost(message, repeated, tag = "1")]
        packet: Vec<TracePacket>,
    }

    fn trace() -> Vec<TracePacket> {
        let mut bytes = Vec::new();
        sample::play_calls(&mut PerfettoSink::new(&mut bytes));
        Trace::decode(&bytes[..]).expect("a trace").packet
    }

    #[test]
    fn the_packets_of_the_first_calls() {
        insta::assert_debug_snapshot!(&trace()[..12]);
    }

    #[test]
    fn states_stand_beneath_the_outermost_call() {
        let mut bytes = Vec::new();
        sample::play_states(&mut PerfettoSink::new(&mut bytes));
        let packets = Trace::decode(&bytes[..]).expect("a trace").packet;
        let of_states = packets
            .iter()
            .find_map(|packet| {
                let track = packet.track_descriptor.as_ref()?;
                let is = track.name.as_deref()?.starts_with("states");
                is.then_some(track)
            })
            .expect("a track of states");
        let goroutine = packets
            .iter()
            .filter_map(|packet| packet.track_descriptor.as_ref())
            .find(|track| track.name.as_deref() == Some("goroutine 18"))
            .expect("a goroutine's track");
        assert_eq!(of_states.parent_uuid, Some(goroutine.uuid));
        let start = sample::info().start_unix_ns;
        let events: Vec<_> = packets
            .iter()
            .filter_map(|packet| Some((packet.timestamp? - start, packet.track_event.as_ref()?)))
            .filter(|(_, event)| event.track_uuid == of_states.uuid)
            .map(|(at, event)| (at, event.name.as_deref().unwrap_or("end")))
            .collect();
        assert_eq!(
            events,
            [
                (0, "running"),
                (1_900, "end"),
                (1_900, "runnable"),
                (2_000, "end"),
                (2_000, "system call"),
                (5_000, "end"),
                (5_000, "waiting: chan receive"),
                (7_000, "end"),
                (7_000, "waiting: select"),
                (8_000, "end"),
            ]
        );
        let inner = packets
            .iter()
            .filter_map(|packet| packet.track_event.as_ref())
            .find(|event| event.name_iid == Some(2))
            .expect("the inner call");
        let noted = inner.debug_annotations.iter();
        let noted: Vec<_> = noted
            .filter_map(|note| Some((note.name.as_str(), note.uint_value?)))
            .collect();
        assert!(noted.contains(&("system call (ns)", 3_000)), "{noted:?}");
    }

    /// As the trace processor does: events sorted by time, those of one time in their order.
    #[test]
    fn slices_nest_on_every_track() {
        let packets = trace();
        let mut events: Vec<_> = packets
            .iter()
            .filter_map(|packet| Some((packet.timestamp?, packet.track_event.as_ref()?)))
            .collect();
        events.sort_by_key(|&(at, _)| at);
        let mut open: std::collections::HashMap<u64, i64> = std::collections::HashMap::new();
        let mut deepest = 0;
        for (_, event) in &events {
            let depth = open.entry(event.track_uuid).or_default();
            match event.r#type() {
                EventType::SliceBegin => *depth += 1,
                EventType::SliceEnd => *depth -= 1,
                EventType::Unspecified => panic!("{event:?}"),
            }
            assert!(*depth >= 0, "{event:?}");
            deepest = deepest.max(*depth);
        }
        assert!(open.values().all(|&depth| depth == 0));
        assert_eq!((events.len(), deepest, open.len()), (2 * 81, 3, 3));
    }
}
