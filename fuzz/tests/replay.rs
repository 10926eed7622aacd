//! Every target takes its corpus, and mutations of it that are the same each time. No fuzzer is
//! needed for it, so it runs wherever tests run; what a guided run finds goes into the corpus.

use std::{fs, path::Path};

use goinstr_fuzz::{TARGETS, Target};

/// Mutations of each input.
const MUTATIONS: u64 = 200;

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
    }
}

/// A few bytes changed, repeated, taken away, or made the extreme of their width.
fn mutated(input: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        let rest = bytes.len() - at;
        match dice.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.extend_from_within(at..at + dice.below(rest)),
            2 => bytes
                .iter_mut()
                .skip(at)
                .take(8)
                .for_each(|byte| *byte = 0xff),
            3 => bytes.iter_mut().skip(at).take(4).for_each(|byte| *byte = 0),
            4 => bytes.insert(at, dice.below(256) as u8),
            _ => bytes
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte ^= 1 << dice.below(8)),
        }
    }
    bytes
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| fs::read(path).expect("a file"))
        .collect()
}

fn replay(name: &str, target: Target) {
    let inputs = corpus(name);
    assert!(!inputs.is_empty(), "{name} has no corpus");
    for (index, input) in inputs.iter().enumerate() {
        target(input);
        let mut dice = Dice(index as u64);
        for _ in 0..MUTATIONS {
            target(&mutated(input, &mut dice));
        }
    }
    target(&[]);
}

#[test]
fn every_target_takes_its_corpus_and_mutations_of_it() {
    std::thread::scope(|scope| {
        for (name, target) in TARGETS {
            scope.spawn(move || replay(name, target));
        }
    });
}
