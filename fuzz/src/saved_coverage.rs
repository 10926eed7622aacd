//! Any text as a saved coverage: what it says is written in each form, and read again as the same.
//!
//! Input: the text.

use goinstr::aggregate::Profile;
use goinstr::sink::{ProfileFormat, cover_saved, visible};

/// Lines that are written.
const LINES: u64 = 10_000;

pub fn saved_coverage(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(profile) = Profile::parse(&text) else {
        return;
    };
    // Bounded, and still more than a fuzzer has time for.
    let blocks = profile.files.values().flat_map(|file| file.blocks.keys());
    let lines = blocks.map(|block| u64::from(block.end.0 - block.start.0));
    if lines.sum::<u64>() > LINES {
        return;
    }
    let mut out = Vec::new();
    let mut written = vec![cover_saved::merged_table(&profile, &mut out)];
    written.push(cover_saved::difference_table(&profile, &mut out));
    for format in [ProfileFormat::Go, ProfileFormat::Lcov] {
        written.push(format.write(&profile, &mut out));
    }
    let mut json = Vec::new();
    written.push(cover_saved::merged_json(&profile, &mut json));
    assert!(written.into_iter().all(|written| written.is_ok()));
    for text in [&out, &json] {
        let text = std::str::from_utf8(text).expect("text");
        for line in text.lines() {
            assert_eq!(visible(line), line, "what steers a terminal");
        }
    }
    let json = std::str::from_utf8(&json).expect("text");
    let again = Profile::parse(json).expect("what goinstr writes");
    assert!(again.functions.keys().eq(profile.functions.keys()));
}
