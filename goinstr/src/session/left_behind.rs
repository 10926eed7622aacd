//! What comes before its call is kept until that comes, and some calls never do.
//!
//! A call may turn out to be shorter than those that are told of, or its record finds no room, or it doesn't match
//! `--where` and stays in the kernel. What was kept for it is the oldest soon: that goes first, where there is no
//! more room, and never what belongs to calls that are still to come.

use std::collections::HashMap;

use super::stacks::Goroutine;

/// Drops the older half of the goroutines by when what is kept of each began, or more where many began at once.
pub(super) fn drop_older<T>(kept: &mut HashMap<Goroutine, T>, began: impl Fn(&T) -> u64) {
    let mut times: Vec<u64> = kept.values().map(&began).collect();
    let middle = times.len() / 2;
    if times.is_empty() {
        return;
    }
    let (_, &mut middle, _) = times.select_nth_unstable(middle);
    kept.retain(|_, of| began(of) > middle);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newer_half_is_kept() {
        let mut kept: HashMap<Goroutine, u64> = (0..100).map(|n| ((1, n), n * 37 % 100)).collect();
        drop_older(&mut kept, |began| *began);
        assert_eq!(kept.len(), 49);
        assert!(kept.values().all(|began| *began > 50));
        // Of one moment, there is no half.
        kept.values_mut().for_each(|began| *began = 7);
        drop_older(&mut kept, |began| *began);
        assert!(kept.is_empty());
        drop_older(&mut kept, |began| *began);
    }
}
