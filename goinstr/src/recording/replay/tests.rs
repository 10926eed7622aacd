//! What is written is read back, and nothing that can be in a file does harm.

use proptest::prelude::*;

use super::*;
use crate::recording::RecordingSink;
use crate::sink::{JsonSink, Sort, TableOptions, TableSink, sample};

fn recorded() -> Vec<u8> {
    let mut file = Vec::new();
    sample::play(&mut RecordingSink::new(&mut file, 1000).expect("zstd"));
    file
}

fn as_json(file: &[u8]) -> (String, Played) {
    let mut out = Vec::new();
    let played = play(file, &mut JsonSink::new(&mut out, false)).expect("a recording");
    (String::from_utf8(out).expect("UTF-8"), played)
}

#[test]
fn a_recording_says_what_the_measurement_said() {
    let mut live = Vec::new();
    sample::play(&mut JsonSink::new(&mut live, false));
    let (replayed, played) = as_json(&recorded());
    assert_eq!(replayed, String::from_utf8(live).expect("UTF-8"));
    assert_eq!(
        played,
        Played {
            calls_seen: 1,
            calls_recorded: 1,
            damage: None
        }
    );
}

#[test]
fn the_table_is_that_of_the_measurement() {
    let options = TableOptions {
        sort: Sort::Total,
        limit: None,
        color: false,
        live: None,
    };
    let (mut live, mut replayed) = (Vec::new(), Vec::new());
    sample::play(&mut TableSink::new(&mut live, options));
    play(&recorded()[..], &mut TableSink::new(&mut replayed, options)).expect("a recording");
    assert_eq!(
        String::from_utf8(replayed).expect("UTF-8"),
        String::from_utf8(live).expect("UTF-8")
    );
}

#[test]
fn the_lines_of_a_recording() {
    let file = recorded();
    let mut rest = &file[..];
    let mut text = String::new();
    while let Next::Lines(lines) = frames::next(&mut rest).expect("read") {
        text += "--- a frame\n";
        text += std::str::from_utf8(&lines).expect("UTF-8");
    }
    let cpus = std::thread::available_parallelism().expect("known");
    insta::assert_snapshot!(text.replace(&format!(r#""cpus":{cpus}"#), r#""cpus":CPUS"#));
}

#[test]
fn what_a_kill_leaves_is_played() {
    let file = recorded();
    let mut told = std::collections::BTreeSet::new();
    for cut in 0..file.len() {
        let mut out = Vec::new();
        let result = play(&file[..cut], &mut JsonSink::new(&mut out, false));
        match result {
            Ok(played) => {
                assert!(played.damage.is_some(), "{cut}");
                let text = String::from_utf8(out).expect("UTF-8");
                assert!(text.contains(r#""end":"cut_off""#), "{cut}: {text}");
                told.insert(text);
            }
            Err(RecordingError::NotARecording { .. }) => {}
            Err(error) => panic!("{cut}: {error}"),
        }
    }
    // After the session, after each of two intervals.
    assert_eq!(told.len(), 3, "{told:#?}");
}

#[test]
fn what_is_no_recording_is_refused() {
    let refused = |bytes: &[u8]| {
        let mut out = Vec::new();
        let error = play(bytes, &mut JsonSink::new(&mut out, false)).expect_err("refused");
        assert!(out.is_empty());
        error.to_string()
    };
    for bytes in [&b""[..], b"\x7fELF", b"{\"type\":\"session\"}\n"] {
        assert!(refused(bytes).contains("not a recording"), "{bytes:?}");
    }
    let frame = |text: &str| zstd::bulk::compress(text.as_bytes(), 1).expect("zstd");
    assert!(refused(&frame("{\"type\":\"session\"}\n")).contains("not a recording"));
    let newer = refused(&frame(
        "{\"type\":\"recording\",\"version\":2,\"goinstr\":\"9\"}\n",
    ));
    assert!(newer.contains("newer goinstr"), "{newer}");
}

fn lines() -> Vec<String> {
    let file = recorded();
    let mut rest = &file[..];
    let mut all = Vec::new();
    while let Next::Lines(lines) = frames::next(&mut rest).expect("read") {
        all.extend(
            std::str::from_utf8(&lines)
                .expect("UTF-8")
                .lines()
                .map(str::to_owned),
        );
    }
    all
}

fn of_lines(lines: &[String]) -> Vec<u8> {
    zstd::bulk::compress((lines.join("\n") + "\n").as_bytes(), 1).expect("zstd")
}

proptest! {
    /// Lines lost, doubled, exchanged, with another number in them: played or refused, no panic.
    #[test]
    fn no_lines_make_it_panic(
        order in proptest::collection::vec(any::<proptest::sample::Index>(), 0..40),
        digits in proptest::collection::vec((any::<proptest::sample::Index>(), 0u8..10), 0..8),
    ) {
        let lines = lines();
        let mut chosen = vec![lines[0].clone()];
        // The usual beginning half of the time: else almost nothing gets past the session.
        if order.len() % 2 == 0 {
            chosen = lines[..9].to_vec();
        }
        chosen.extend(order.iter().map(|index| index.get(&lines).clone()));
        for (index, digit) in digits {
            let at = index.index(chosen.len());
            let mut bytes = chosen[at].clone().into_bytes();
            let places: Vec<_> = (0..bytes.len()).filter(|&i| bytes[i].is_ascii_digit()).collect();
            if !places.is_empty() {
                bytes[*index.get(&places)] = b'0' + digit;
            }
            chosen[at] = String::from_utf8(bytes).expect("ASCII where it was changed");
        }
        let mut out = Vec::new();
        let _ = play(&of_lines(&chosen)[..], &mut JsonSink::new(&mut out, true));
    }
}
