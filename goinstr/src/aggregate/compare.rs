//! Two samples of a function's calls → whether one is slower, by how much, or whether it is noise.
//!
//! Two tests each: whether calls are slower on the whole (Mann–Whitney), and whether more of them
//! are among the slowest hundredth of both together. Both assume that calls are independent of each
//! other, which those of one second hardly are: a busy moment slows all of them. So the same is
//! tested with seconds instead of calls as what is drawn (ratio estimates of a cluster sample and
//! Welch's t), and the weaker of both verdicts stands. What so many tests find by chance is
//! kept at the rate asked for among what is found (Benjamini–Hochberg).

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::distribution::Distribution;

/// Fewer calls say nothing.
const FEWEST_CALLS: u64 = 8;
/// Fewer blocks don't show how much they differ.
const FEWEST_BLOCKS: usize = 5;
/// Blocks of time kept of a sample, neighbours together where there are more.
const MOST_BLOCKS: usize = 128;
/// The share of calls that counts as the slowest.
const TAIL: f64 = 0.99;
/// Where so many calls take equally long that it can't be cut there, no more than this is left out.
const WIDEST_TAIL: f64 = 0.95;
/// Calls of the tail that must be expected on each side for the normal approximation to hold.
const FEWEST_IN_TAIL: f64 = 5.0;
/// Smaller differences than two slots of the histogram are not told from none.
const RESOLUTION: f64 = 0.02;

/// The calls of a function, by the block of time in which they finished.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    blocks: Vec<Distribution>,
    /// Intervals that share a block, and those of the last.
    shared: usize,
    in_last: usize,
}

impl Sample {
    /// Adds the calls of the next interval; none is an interval too.
    pub fn add(&mut self, calls: Distribution) {
        self.shared = self.shared.max(1);
        match self.blocks.last_mut() {
            Some(last) if self.in_last < self.shared => {
                last.merge(&calls);
                self.in_last += 1;
            }
            _ => {
                if self.blocks.len() >= MOST_BLOCKS {
                    self.halve();
                }
                self.blocks.push(calls);
                self.in_last = 1;
            }
        }
    }

    fn halve(&mut self) {
        self.shared *= 2;
        let pairs = self.blocks.chunks(2).map(|two| {
            let mut both = Distribution::default();
            two.iter().for_each(|one| both.merge(one));
            both
        });
        self.blocks = pairs.collect();
    }

    /// All its calls.
    #[must_use]
    pub fn all(&self) -> Distribution {
        let mut all = Distribution::default();
        self.blocks.iter().for_each(|block| all.merge(block));
        all
    }
}

/// What the difference of two samples is, before and after.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Probability of a difference on the whole as large as this by chance.
    pub p_whole: f64,
    /// The same of the share of the slowest.
    pub p_tail: f64,
    /// Cliff's delta: how much more often a call after is longer than one before than the other way
    /// round, from -1 to 1.
    pub delta: f64,
    /// Share of the calls that are among the slowest hundredth of both together, after less before.
    pub tail: f64,
}

/// What is to be said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Calls take longer.
    Slower,
    /// The slowest calls are more, or slower.
    SlowerTail,
    /// Calls take less time.
    Faster,
    /// The slowest calls are fewer.
    FasterTail,
    /// As much differs by chance.
    Noise,
    /// Not to be told of so few calls.
    TooFew,
}

impl Verdict {
    /// Its name in the JSON output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slower => "slower",
            Self::SlowerTail => "slower_tail",
            Self::Faster => "faster",
            Self::FasterTail => "faster_tail",
            Self::Noise => "noise",
            Self::TooFew => "too_few",
        }
    }

    /// Whether more time is spent.
    #[must_use]
    pub const fn is_slower(self) -> bool {
        matches!(self, Self::Slower | Self::SlowerTail)
    }

    /// Whether less is.
    #[must_use]
    pub const fn is_faster(self) -> bool {
        matches!(self, Self::Faster | Self::FasterTail)
    }
}

/// Compares. `None`: too few calls.
#[must_use]
pub fn compare(before: &Sample, after: &Sample) -> Option<Difference> {
    let (all_before, all_after) = (before.all(), after.all());
    let (n, m) = (all_before.calls(), all_after.calls());
    if n < FEWEST_CALLS || m < FEWEST_CALLS {
        return None;
    }
    let ranks = Ranks::of(&all_before, &all_after);
    let (n, m) = (float(n), float(m));
    let delta = 2.0 * (ranks.mean(&all_after) - ranks.mean(&all_before));
    // Mann–Whitney with the correction for ties, in terms of delta = 2·U/(n·m) − 1.
    let variance = (n + m + 1.0) / (3.0 * n * m) * (1.0 - ranks.ties);
    let by_calls = two_sided_normal(delta, variance);
    let by_blocks = two_sided_blocks(before, after, |block| ranks.sum(block));
    let p_whole = weaker(by_calls, by_blocks);

    let in_tail = |calls: &Distribution| ranks.tail(calls);
    let (a, b) = (in_tail(&all_before), in_tail(&all_after));
    let share = (a + b) / (n + m);
    let tail = b / m - a / n;
    let p_tail = if share * n.min(m) < FEWEST_IN_TAIL {
        1.0
    } else {
        let variance = share * (1.0 - share) * (1.0 / n + 1.0 / m);
        weaker(
            two_sided_normal(tail, variance),
            two_sided_blocks(before, after, in_tail),
        )
    };
    Some(Difference {
        p_whole,
        p_tail,
        delta,
        tail,
    })
}

/// The verdicts on many differences. At most a share `rate` of those that say something else than
/// noise is expected to be chance.
#[must_use]
pub fn judge(differences: &[Option<Difference>], moved: &[Moved], rate: f64) -> Vec<Verdict> {
    let mut all: Vec<f64> = differences
        .iter()
        .flatten()
        .flat_map(|difference| [difference.p_whole, difference.p_tail])
        .collect();
    all.sort_by(f64::total_cmp);
    // Benjamini–Hochberg: the largest p that is no larger than its rank's share of the rate.
    let share = |below: usize| rate * float(below as u64 + 1) / float(all.len() as u64);
    let limit = all
        .iter()
        .enumerate()
        .rfind(|&(below, &p)| p <= share(below))
        .map(|(_, &p)| p);
    let found = |p: f64| limit.is_some_and(|limit| p <= limit);
    let verdict = |(difference, moved): (&Option<Difference>, &Moved)| match difference {
        None => Verdict::TooFew,
        Some(d) if found(d.p_whole) && moved.whole > RESOLUTION => {
            if d.delta > 0.0 {
                Verdict::Slower
            } else {
                Verdict::Faster
            }
        }
        Some(d) if found(d.p_tail) && moved.tail > RESOLUTION => {
            if d.tail > 0.0 {
                Verdict::SlowerTail
            } else {
                Verdict::FasterTail
            }
        }
        Some(_) => Verdict::Noise,
    };
    differences.iter().zip(moved).map(verdict).collect()
}

/// By what share of itself the most moved of some quantiles moved: of all calls, of the slowest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moved {
    /// Of the 25th, 50th, 75th and 90th percentile.
    pub whole: f64,
    /// Of the 99th and 99.9th.
    pub tail: f64,
}

impl Moved {
    /// Between two samples.
    #[must_use]
    pub fn between(before: &Sample, after: &Sample) -> Self {
        let (before, after) = (before.all(), after.all());
        let share = |q: f64| match (before.quantile(q), after.quantile(q)) {
            (Some(a), Some(b)) => float(a.abs_diff(b)) / float(a.min(b).max(1)),
            _ => 0.0,
        };
        let most = |qs: &[f64]| qs.iter().copied().map(share).fold(0.0, f64::max);
        Self {
            whole: most(&[0.25, 0.5, 0.75, 0.9]),
            tail: most(&[0.99, 0.999]),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts: beyond 2^53 calls their last digits don't matter"
)]
fn float(n: u64) -> f64 {
    n as f64
}

fn weaker(by_calls: f64, by_blocks: Option<f64>) -> f64 {
    by_blocks.map_or(by_calls, |by_blocks| by_calls.max(by_blocks))
}

fn two_sided_normal(value: f64, variance: f64) -> f64 {
    if variance <= 0.0 {
        return 1.0;
    }
    let z = value.abs() / variance.sqrt();
    2.0 * Normal::standard().sf(z)
}

/// The ranks of both samples together, as shares of all calls: of a slot, that of its middle call.
struct Ranks {
    /// Lowest duration of a slot and the rank of its calls.
    ranks: Vec<(u64, f64)>,
    /// What calls in the same slot take from the variance.
    ties: f64,
    /// Durations from here on are the tail.
    tail_from: u64,
}

impl Ranks {
    fn of(before: &Distribution, after: &Distribution) -> Self {
        let mut both = before.clone();
        both.merge(after);
        let all = float(both.calls());
        let (mut passed, mut ties) = (0.0, 0.0);
        let mut tail_from = u64::MAX;
        let ranks = both.slots().map(|slot| {
            let calls = float(slot.calls);
            let rank = (passed + calls / 2.0) / all;
            // The slot that the quantile lies in too, unless it holds many calls that are not slow.
            if passed + calls > TAIL * all && passed >= WIDEST_TAIL * all {
                tail_from = tail_from.min(slot.low);
            }
            passed += calls;
            ties += (calls.powi(3) - calls) / (all.powi(3) - all);
            (slot.low, rank)
        });
        Self {
            ranks: ranks.collect(),
            ties,
            tail_from,
        }
    }

    fn sum(&self, calls: &Distribution) -> f64 {
        let rank = |low: u64| {
            let at = self.ranks.binary_search_by_key(&low, |&(low, _)| low);
            at.ok()
                .and_then(|at| self.ranks.get(at))
                .map_or(0.5, |&(_, rank)| rank)
        };
        calls
            .slots()
            .map(|slot| rank(slot.low) * float(slot.calls))
            .sum()
    }

    fn mean(&self, calls: &Distribution) -> f64 {
        self.sum(calls) / float(calls.calls())
    }

    fn tail(&self, calls: &Distribution) -> f64 {
        let slots = calls.slots().filter(|slot| slot.low >= self.tail_from);
        slots.map(|slot| float(slot.calls)).sum()
    }
}

/// The test with blocks instead of calls: `score` sums up what of a block's calls is compared.
/// `None`: too few blocks.
fn two_sided_blocks(
    before: &Sample,
    after: &Sample,
    score: impl Fn(&Distribution) -> f64,
) -> Option<f64> {
    let estimate = |sample: &Sample| {
        let blocks: Vec<_> = sample
            .blocks
            .iter()
            .filter(|block| !block.is_empty())
            .map(|block| (float(block.calls()), score(block)))
            .collect();
        let count = float(blocks.len() as u64);
        let calls: f64 = blocks.iter().map(|&(calls, _)| calls).sum();
        let mean = blocks.iter().map(|&(_, score)| score).sum::<f64>() / calls;
        let spread: f64 = blocks
            .iter()
            .map(|&(calls, score)| (score - mean * calls).powi(2))
            .sum();
        let variance = spread / calls.powi(2) * count / (count - 1.0);
        (blocks.len() >= FEWEST_BLOCKS).then_some((mean, variance, count - 1.0))
    };
    let ((a, va, da), (b, vb, db)) = (estimate(before)?, estimate(after)?);
    let variance = va + vb;
    if variance <= 0.0 {
        return Some(if a == b { 1.0 } else { 0.0 });
    }
    let freedom = variance.powi(2) / (va.powi(2) / da + vb.powi(2) / db);
    let t = (b - a).abs() / variance.sqrt();
    let students = StudentsT::new(0.0, 1.0, freedom.max(1.0)).ok()?;
    Some(2.0 * students.sf(t))
}

#[cfg(test)]
mod tests;
