//! Any bytes as a recording: it is played to every sink that reports are made by, or refused, and nothing in it
//! steers a terminal.
//!
//! Input: one byte of choices (its low bits: which sink; bit 7: the bytes are the file itself, else its lines, which a
//! frame is made of), the bytes.

use std::io::Write;

use goinstr::recording::play;
use goinstr::sink::{
    CsvSink, Drawing, FoldedSink, HtmlSink, JsonSink, PerfettoSink, PprofSink, Samples, Sink, Sort,
    TableOptions, TableSink, Weight, visible,
};

pub fn recording(input: &[u8]) {
    let Some((choices, bytes)) = input.split_first() else {
        return;
    };
    let frame;
    let file = match choices & 0x80 {
        0 => {
            let Ok(made) = zstd::bulk::compress(bytes, 1) else {
                return;
            };
            frame = made;
            &frame[..]
        }
        _ => bytes,
    };
    let mut out = Vec::new();
    let (mut sink, text) = sink(choices & 0x0f, &mut out);
    let _ = play(file, sink.as_mut());
    drop(sink);
    if text {
        harmless(&out);
    }
}

/// A sink, and whether it writes text that is spelt out.
fn sink<'o>(choice: u8, out: &'o mut Vec<u8>) -> (Box<dyn Sink + 'o>, bool) {
    let table = TableOptions {
        sort: Sort::Total,
        limit: None,
        color: false,
        live: None,
    };
    match choice {
        0 => (Box::new(TableSink::new(out, table)), true),
        1 => (Box::new(CsvSink::new(out)), true),
        2 => (folded(out, Drawing::Folded, Weight::Wall), true),
        3 => (folded(out, Drawing::Folded, Weight::State), true),
        4 => (folded(out, Drawing::FlameGraph, Weight::Calls), false),
        5 => (Box::new(HtmlSink::new(out)), true),
        6 => (Box::new(PprofSink::new(out)), false),
        7 => (Box::new(PerfettoSink::new(out)), false),
        8 => (Box::new(Samples::default()), false),
        _ => (Box::new(JsonSink::new(out, true)), true),
    }
}

fn folded(out: &mut impl Write, drawing: Drawing, weight: Weight) -> Box<dyn Sink + '_> {
    Box::new(FoldedSink::new(out, drawing, weight))
}

fn harmless(out: &[u8]) {
    let text = std::str::from_utf8(out).expect("text");
    for line in text.lines() {
        assert_eq!(visible(line), line, "what steers a terminal");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else what is made of it would not get far.
    #[test]
    fn the_seed_is_a_recording_with_its_end() {
        let seed = include_bytes!("../corpus/recording/seed-json");
        let (_, lines) = seed.split_first().expect("choices");
        let file = zstd::bulk::compress(lines, 1).expect("zstd");
        let mut out = Vec::new();
        let played = play(&file[..], &mut JsonSink::new(&mut out, true)).expect("a recording");
        assert_eq!((played.damage, played.calls_recorded), (None, 4));
    }
}
