//! The rates at which it is wrong, measured on samples whose truth is known.

use proptest::test_runner::{RngAlgorithm, TestRng};
use rand::RngExt as _;

use super::*;

/// Log-normal durations around `median_ns`; each block as a whole is off by a factor of its own.
struct Source {
    random: TestRng,
    median_ns: f64,
    /// Of the logarithm, of calls and of blocks.
    spread: f64,
    of_blocks: f64,
}

impl Source {
    fn new(seed: u64) -> Self {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self {
            random: TestRng::from_seed(RngAlgorithm::ChaCha, &bytes),
            median_ns: 50_000.0,
            spread: 0.8,
            of_blocks: 0.0,
        }
    }

    /// Of the standard normal distribution (Box–Muller).
    fn normal(&mut self) -> f64 {
        let (a, b): (f64, f64) = (self.random.random(), self.random.random());
        (-2.0 * a.max(1e-12).ln()).sqrt() * (2.0 * std::f64::consts::PI * b).cos()
    }

    fn sample(&mut self, blocks: usize, calls: usize) -> Sample {
        let mut sample = Sample::default();
        for _ in 0..blocks {
            let shift = self.of_blocks * self.normal();
            let mut block = Distribution::default();
            for _ in 0..calls {
                let duration = self.median_ns * (shift + self.spread * self.normal()).exp();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "some µs"
                )]
                block.add(duration as u64, 1);
            }
            sample.add(block);
        }
        sample
    }
}

/// The share of pairs of samples from one source with a p below 5 %.
fn wrongly_found(of_blocks: f64, blocks: usize, calls: usize) -> (f64, f64) {
    const PAIRS: u64 = 300;
    let (mut whole, mut tail) = (0.0, 0.0);
    for seed in 0..PAIRS {
        let mut source = Source {
            of_blocks,
            ..Source::new(seed)
        };
        let (a, b) = (source.sample(blocks, calls), source.sample(blocks, calls));
        let found = compare(&a, &b).expect("enough calls");
        whole += f64::from(u8::from(found.p_whole < 0.05));
        tail += f64::from(u8::from(found.p_tail < 0.05));
    }
    (whole / PAIRS as f64, tail / PAIRS as f64)
}

#[test]
fn the_same_source_is_noise_at_the_stated_rate() {
    // 300 pairs at 5 %: more than 9 % would be chance once in a thousand times.
    for (of_blocks, blocks, calls) in [(0.0, 10, 60), (0.0, 3, 200), (0.0, 30, 20)] {
        let (whole, tail) = wrongly_found(of_blocks, blocks, calls);
        assert!(
            whole < 0.09 && tail < 0.09,
            "{of_blocks} {blocks} {calls}: {whole} {tail}"
        );
    }
}

/// What a test by calls alone gets wrong in most cases.
#[test]
fn seconds_that_are_slow_as_a_whole_are_noise_too() {
    let (whole, tail) = wrongly_found(0.4, 10, 200);
    assert!(whole < 0.09 && tail < 0.09, "{whole} {tail}");
    let mut fooled = 0;
    for seed in 0..100 {
        let mut source = Source {
            of_blocks: 0.4,
            ..Source::new(seed)
        };
        let mut one_block = || {
            let mut block = Sample::default();
            block.add(source.sample(10, 200).all());
            block
        };
        let (a, b) = (one_block(), one_block());
        fooled += u32::from(compare(&a, &b).expect("enough").p_whole < 0.05);
    }
    assert!(
        fooled > 50,
        "{fooled}: the source is too tame to prove anything"
    );
}

#[test]
fn a_shift_is_found_and_its_size_told() {
    for seed in 0..30 {
        let mut source = Source::new(seed);
        let before = source.sample(10, 200);
        source.median_ns *= 1.3;
        let after = source.sample(10, 200);
        let found = compare(&before, &after).expect("enough calls");
        // Two normal distributions 0.262 apart of spread 0.8: delta is 2·Φ(0.262/(0.8·√2)) − 1 = 0.183.
        assert!((found.delta - 0.183).abs() < 0.07, "{seed}: {found:?}");
        let moved = [Moved::between(&before, &after)];
        assert_eq!(
            judge(&[Some(found)], &moved, 0.01),
            [Verdict::Slower],
            "{seed}: {found:?}"
        );
        let back = compare(&after, &before).expect("enough calls");
        assert_eq!(
            judge(&[Some(back)], &moved, 0.01),
            [Verdict::Faster],
            "{seed}"
        );
        assert!((back.delta + found.delta).abs() < 1e-9);
    }
}

#[test]
fn a_slow_hundredth_is_found_though_the_median_stays() {
    let mut source = Source::new(1);
    let before = source.sample(20, 500);
    let mut after = Sample::default();
    for _ in 0..20 {
        let mut block = source.sample(1, 480).all();
        block.add(40_000_000, 20);
        after.add(block);
    }
    let found = compare(&before, &after).expect("enough calls");
    assert!(found.p_tail < 1e-6 && found.tail > 0.0, "{found:?}");
    let moved = [Moved::between(&before, &after)];
    let verdict = judge(&[Some(found)], &moved, 0.01);
    assert!(verdict[0].is_slower(), "{verdict:?} {found:?} {moved:?}");
}

/// Of a thousand functions that are all the same, hardly one is said to differ.
#[test]
fn many_functions_make_no_findings() {
    let mut found = 0;
    for round in 0..10 {
        let (mut differences, mut moved) = (Vec::new(), Vec::new());
        for seed in 0..100 {
            let mut source = Source::new(round * 100 + seed);
            let (a, b) = (source.sample(10, 30), source.sample(10, 30));
            moved.push(Moved::between(&a, &b));
            differences.push(compare(&a, &b));
        }
        let verdicts = judge(&differences, &moved, 0.05);
        found += usize::from(verdicts.iter().any(|&verdict| verdict != Verdict::Noise));
    }
    assert!(found <= 2, "{found} of 10 rounds found something in noise");
}

#[test]
fn a_few_calls_say_nothing() {
    let mut source = Source::new(3);
    let (few, many) = (source.sample(1, 7), source.sample(10, 100));
    assert_eq!(compare(&few, &many), None);
    assert_eq!(
        judge(&[None], &[Moved::between(&few, &many)], 0.05),
        [Verdict::TooFew]
    );
}

#[test]
fn the_same_duration_always_is_noise() {
    let mut sample = Sample::default();
    for _ in 0..10 {
        let mut block = Distribution::default();
        block.add(1000, 50);
        sample.add(block);
    }
    let found = compare(&sample, &sample.clone()).expect("enough calls");
    assert_eq!((found.p_whole, found.p_tail, found.delta), (1.0, 1.0, 0.0));
}

#[test]
fn a_long_sample_keeps_all_its_calls_in_few_blocks() {
    let mut sample = Sample::default();
    for _ in 0..1000 {
        let mut block = Distribution::default();
        block.add(10, 1);
        sample.add(block);
    }
    assert_eq!(sample.all().calls(), 1000);
    assert!(sample.blocks.len() <= MOST_BLOCKS);
}
