//! A profile for `go tool pprof`: wall time and calls by call path.
//!
//! The format is <https://github.com/google/pprof/blob/main/proto/profile.proto>, gzipped; the
//! messages below are those of its fields that are used, with its numbers. `go tool pprof` prints names and files on
//! terminals as it finds them, so they are spelt out as everywhere else.

use std::collections::HashMap;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

use super::visible::visible;
use super::{Sink, names};
use crate::aggregate::{CallEvent, CallTree, Ledger, Report, SessionInfo};
use crate::plan::{Location as Place, ProbePlan};

#[derive(Clone, PartialEq, Message)]
struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(int64, repeated, tag = "13")]
    comment: Vec<i64>,
    /// Index of the string that names the sample type shown first.
    #[prost(int64, tag = "14")]
    default_sample_type: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    r#type: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    /// Innermost first.
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
    #[prost(int64, tag = "5")]
    start_line: i64,
}

/// The strings of a profile, each once; the first is empty.
#[derive(Debug)]
struct Strings {
    all: Vec<String>,
    index: HashMap<String, i64>,
}

impl Strings {
    fn new() -> Self {
        Self {
            all: vec![String::new()],
            index: HashMap::from([(String::new(), 0)]),
        }
    }

    fn put(&mut self, text: &str) -> i64 {
        if let Some(&index) = self.index.get(text) {
            return index;
        }
        let index = i64::try_from(self.all.len()).unwrap_or(0);
        self.all.push(text.to_owned());
        self.index.insert(text.to_owned(), index);
        index
    }
}

/// Writes the profile at the end.
#[derive(Debug)]
pub struct PprofSink<W: Write> {
    out: W,
    names: Vec<String>,
    places: Vec<Option<Place>>,
    start_unix_ns: u64,
    tree: CallTree,
    calls: u64,
}

impl<W: Write> PprofSink<W> {
    /// Writes to `out`, which need not buffer.
    pub fn new(out: W) -> Self {
        Self {
            out,
            names: Vec::new(),
            places: Vec::new(),
            start_unix_ns: 0,
            tree: CallTree::default(),
            calls: 0,
        }
    }

    fn profile(&mut self, report: &Report) -> Profile {
        let mut strings = Strings::new();
        let mut value_type = |name, unit| ValueType {
            r#type: strings.put(name),
            unit: strings.put(unit),
        };
        let sample_type = vec![
            value_type("calls", "count"),
            value_type("wall", "nanoseconds"),
        ];
        let paths = self.tree.finish().to_vec();
        let mut known: HashMap<u32, u64> = HashMap::new();
        let (mut location, mut function) = (Vec::new(), Vec::new());
        let mut sample = Vec::new();
        for (index, path) in paths.iter().enumerate() {
            if path.calls == 0 {
                continue;
            }
            let mut location_id = Vec::new();
            for id in self.tree.functions(index).into_iter().rev() {
                let next = known.len() as u64 + 1;
                let number = *known.entry(id).or_insert(next);
                location_id.push(number);
                if number != next {
                    continue;
                }
                let place = usize::try_from(id)
                    .ok()
                    .and_then(|index| self.places.get(index))
                    .and_then(Option::as_ref);
                let start_line = place.map_or(0, |at| i64::from(at.line));
                let name = strings.put(names::of(&self.names, id));
                function.push(Function {
                    id: number,
                    name,
                    system_name: name,
                    filename: place.map_or(0, |at| strings.put(&visible(&at.file))),
                    start_line,
                });
                let line = Line {
                    function_id: number,
                    line: start_line,
                };
                location.push(Location {
                    id: number,
                    line: vec![line],
                });
            }
            sample.push(Sample {
                location_id,
                value: vec![signed(path.calls), signed(path.self_ns)],
            });
        }
        let all: u64 = report.functions.iter().map(|figures| figures.calls).sum();
        let comment = format!(
            "goinstr: wall time of {} single calls of {all}, less what the probes cost",
            self.calls
        );
        Profile {
            sample_type,
            sample,
            location,
            function,
            time_nanos: signed(self.start_unix_ns),
            duration_nanos: signed(report.elapsed_ns),
            comment: vec![strings.put(&comment)],
            default_sample_type: strings.put("wall"),
            string_table: strings.all,
        }
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl<W: Write> Sink for PprofSink<W> {
    fn session(&mut self, info: &SessionInfo, plan: &ProbePlan) -> io::Result<()> {
        self.names = names::distinct(plan);
        let place = |function: &crate::plan::PlannedFunction| function.location.clone();
        self.places = plan.functions.iter().map(place).collect();
        self.start_unix_ns = info.start_unix_ns;
        Ok(())
    }

    fn call(&mut self, call: &CallEvent) -> io::Result<()> {
        self.calls += 1;
        self.tree.add(call);
        Ok(())
    }

    fn interval(&mut self, _number: u64, _report: &Report) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, report: &Report, _ledger: &Ledger) -> io::Result<()> {
        let profile = self.profile(report).encode_to_vec();
        let mut gzip = GzEncoder::new(&mut self.out, Compression::default());
        gzip.write_all(&profile)?;
        gzip.finish()?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::sink::sample;

    #[test]
    fn a_sample_for_each_path() {
        let mut bytes = Vec::new();
        sample::play_calls(&mut PprofSink::new(&mut bytes));
        let mut raw = Vec::new();
        flate2::read::GzDecoder::new(&bytes[..])
            .read_to_end(&mut raw)
            .expect("gzip");
        let profile = Profile::decode(&raw[..]).expect("a profile");
        insta::assert_debug_snapshot!(profile);
    }
}
