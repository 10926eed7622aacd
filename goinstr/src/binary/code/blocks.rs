//! The basic blocks of a function, and which of them can't run without which others.
//!
//! In: the decoded function. Out: [`Blocks`], from which coverage takes its sites. A block ends at
//! every branch and also after every call: a callee may panic, exit or never come back, and what
//! stands behind the call has not run then.

use super::entry;
use super::isa::{Code, Flow, InstructionSet, Step};
use super::{Unmeasurable, refused};
use crate::binary::Vaddr;

/// A run of instructions that begins only at its first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Address of its first byte.
    pub start: Vaddr,
    /// Address of the byte after its last.
    pub end: Vaddr,
    /// Where to probe it: where a hit costs least among what runs for certain once the block has
    /// begun, from its first instruction on that the kernel lets be probed. `None`: it has none.
    pub site: Option<Vaddr>,
    /// The nearest block without which this one never runs, by index. `None`: there is none, or how
    /// this one is reached isn't known.
    pub dominator: Option<usize>,
}

/// A function's blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// In order of address, without the stack check and its restart: what runs before the first of
    /// these may run twice in one call.
    pub blocks: Vec<Block>,
    /// Which of them a call begins with.
    pub entry: usize,
    /// Whether some jump's targets aren't known (a `switch` through a table): then no block has a
    /// dominator, and one may hold the beginning of another.
    pub jumps_anywhere: bool,
}

/// The blocks. `leaders`: further addresses at which a block shall begin, where an instruction does;
/// the first `resumed` of them may be come to from anywhere.
pub(super) fn blocks<I: InstructionSet>(
    code: &Code<'_>,
    steps: &[Step],
    leaders: &[u64],
    resumed: usize,
) -> Result<Blocks, Unmeasurable> {
    let begin = entry::begin::<I>(code, steps);
    let entry_site = entry::probeable::<I>(code, steps, begin.at)?;
    let jumps_anywhere = jumps_anywhere(steps);
    let is_leader = leading(steps, &begin, leaders);
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for (index, leads) in is_leader.iter().enumerate().skip(begin.at) {
        match ranges.last_mut() {
            Some(last) if !leads => last.1 = index + 1,
            _ => ranges.push((index, index + 1)),
        }
    }
    ranges.retain(|(first, _)| !begin.restarts.contains(first) && steps[*first].flow != Flow::Trap);
    let block_at = |address: u64| {
        ranges
            .binary_search_by_key(&address, |r| steps[r.0].at)
            .ok()
    };
    let entry = block_at(steps[begin.at].at).ok_or(Unmeasurable::NotGo)?;
    let dominators = if jumps_anywhere {
        vec![None; ranges.len()]
    } else {
        let mut edges: Vec<Vec<usize>> = vec![Vec::new(); ranges.len()];
        for (from, &(_, last)) in ranges.iter().enumerate() {
            let step = &steps[last - 1];
            let (next, jump) = match step.flow {
                Flow::Next | Flow::Call(_) => (true, None),
                Flow::Branch(to) => (true, Some(to)),
                Flow::Jump(to) => (false, Some(to)),
                Flow::Table | Flow::Indirect | Flow::Return | Flow::Trap => (false, None),
            };
            let next = next.then_some(step.end);
            edges[from].extend(next.into_iter().chain(jump).filter_map(block_at));
        }
        let resumed = leaders.iter().take(resumed);
        edges[entry].extend(resumed.filter_map(|&address| block_at(address)));
        dominators(&edges, entry)
    };
    let blocks = ranges
        .iter()
        .zip(dominators)
        .enumerate()
        .map(|(index, (&(first, last), dominator))| Block {
            start: Vaddr(steps[first].at),
            end: Vaddr(steps[last - 1].end),
            site: {
                let site = match index == entry {
                    true => Some(entry_site),
                    false => site::<I>(code, steps, first..last),
                };
                site.map(|site| match jumps_anywhere {
                    // Some jump may lead to any later instruction.
                    true => site,
                    false => cheapest::<I>(code, steps, site..last),
                })
                .map(|site| Vaddr(steps[site].at))
            },
            dominator,
        })
        .collect();
    Ok(Blocks {
        blocks,
        entry,
        jumps_anywhere,
    })
}

/// Where the function can be seen to begin, its end being nobody's concern.
pub(super) fn entry_of<I: InstructionSet>(
    code: &Code<'_>,
    steps: &[Step],
) -> Result<Vaddr, Unmeasurable> {
    let begin = entry::begin::<I>(code, steps);
    let site = entry::probeable::<I>(code, steps, begin.at)?;
    // Not executed often enough to matter, but executed once for each word that it moves.
    if I::repeats(code.of(&steps[site])) {
        return Err(refused(steps[site].at, super::Refusal::Opcode));
    }
    if jumps_anywhere(steps) {
        return Ok(Vaddr(steps[site].at));
    }
    let leads = leading(steps, &begin, &[]);
    let block = leads.iter().skip(site + 1).take_while(|leads| !**leads);
    let end = site + 1 + block.count();
    Ok(Vaddr(steps[cheapest::<I>(code, steps, site..end)].at))
}

/// Whether some jump's targets aren't known.
fn jumps_anywhere(steps: &[Step]) -> bool {
    let unknown = |step: &Step| matches!(step.flow, Flow::Table | Flow::Indirect);
    steps.iter().any(unknown)
}

/// Of the instructions of a block, the first of which can be probed, the one where a hit costs least
/// among those that run for certain if the first does: one that the kernel emulates, if there is one
/// that it doesn't rewrite.
fn cheapest<I: InstructionSet>(
    code: &Code<'_>,
    steps: &[Step],
    block: std::ops::Range<usize>,
) -> usize {
    let first = block.start;
    let mut calm = None;
    for index in block {
        let instruction = code.of(&steps[index]);
        if I::refusal(instruction).is_none()
            && !I::repeats(instruction)
            && !I::rewritten(instruction)
        {
            if I::emulated(instruction) {
                return index;
            }
            calm.get_or_insert(index);
        }
        if !I::goes_on(instruction) {
            break;
        }
    }
    calm.unwrap_or(first)
}

/// Which instructions begin a block.
fn leading(steps: &[Step], begin: &entry::Begin, leaders: &[u64]) -> Vec<bool> {
    let mut is_leader = vec![false; steps.len()];
    is_leader[begin.at] = true;
    let mut mark = |address: u64| {
        if let Ok(index) = steps.binary_search_by_key(&address, |step| step.at) {
            is_leader[index] = true;
        }
    };
    leaders.iter().for_each(|&address| mark(address));
    for (index, step) in steps.iter().enumerate() {
        match step.flow {
            Flow::Branch(to) | Flow::Jump(to) => {
                // A jump back to before the entry runs through it again.
                if !begin.restarts.contains(&index) {
                    mark(to);
                }
                mark(step.end);
            }
            Flow::Call(_) | Flow::Table | Flow::Indirect | Flow::Return | Flow::Trap => {
                mark(step.end);
            }
            Flow::Next => {}
        }
        // Padding and its like is no part of the block before it.
        if step.flow == Flow::Trap {
            mark(step.at);
        }
    }
    is_leader
}

/// The first instruction that can be probed and that the block does not go on without.
fn site<I: InstructionSet>(
    code: &Code<'_>,
    steps: &[Step],
    mut block: std::ops::Range<usize>,
) -> Option<usize> {
    block.find(|&index| {
        let instruction = code.of(&steps[index]);
        I::refusal(instruction).is_none() && !I::repeats(instruction)
    })
}

/// The immediate dominator of each node (Cooper, Harvey, Kennedy: A Simple, Fast Dominance
/// Algorithm); `None` for the root and for what is not reached from it.
fn dominators(edges: &[Vec<usize>], root: usize) -> Vec<Option<usize>> {
    let order = reverse_postorder(edges, root);
    let mut number = vec![usize::MAX; edges.len()];
    for (place, &node) in order.iter().enumerate() {
        number[node] = place;
    }
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); edges.len()];
    for &from in &order {
        for &to in &edges[from] {
            before[to].push(from);
        }
    }
    let mut dominator: Vec<Option<usize>> = vec![None; edges.len()];
    dominator[root] = Some(root);
    let mut changed = true;
    while changed {
        changed = false;
        for &node in order.iter().skip(1) {
            let known = before[node]
                .iter()
                .copied()
                .filter(|&from| dominator[from].is_some());
            let new = known.reduce(|a, b| common(&dominator, &number, a, b));
            if new.is_some() && dominator[node] != new {
                dominator[node] = new;
                changed = true;
            }
        }
    }
    dominator[root] = None;
    dominator
}

/// The nearest node that dominates both, itself included.
fn common(dominator: &[Option<usize>], number: &[usize], mut a: usize, mut b: usize) -> usize {
    while a != b {
        while number[a] > number[b] {
            a = dominator[a].unwrap_or(b);
        }
        while number[b] > number[a] {
            b = dominator[b].unwrap_or(a);
        }
    }
    a
}

fn reverse_postorder(edges: &[Vec<usize>], root: usize) -> Vec<usize> {
    let mut order = Vec::with_capacity(edges.len());
    let mut seen = vec![false; edges.len()];
    // Not recursive: a generated function has tens of thousands of blocks.
    let mut stack = vec![(root, 0)];
    seen[root] = true;
    while let Some((node, next)) = stack.last_mut() {
        match edges[*node].get(*next) {
            Some(&to) => {
                *next += 1;
                if !seen[to] {
                    seen[to] = true;
                    stack.push((to, 0));
                }
            }
            None => {
                order.push(*node);
                stack.pop();
            }
        }
    }
    order.reverse();
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_both_ways_lead_to_is_dominated_by_where_they_part() {
        // 0 → 1 → {2, 3} → 4 → 1, 5 alone.
        let edges = [vec![1], vec![2, 3], vec![4], vec![4], vec![1], vec![4]];
        let expected = [None, Some(0), Some(1), Some(1), Some(1), None];
        assert_eq!(dominators(&edges, 0), expected);
    }

    proptest! {
        /// A node is dominated by another exactly if it can't be reached without it.
        #[test]
        fn agrees_with_the_definition(pairs in proptest::collection::vec((0usize..8, 0usize..8), 0..20)) {
            let mut edges = vec![Vec::new(); 8];
            for (from, to) in pairs {
                edges[from].push(to);
            }
            let found = dominators(&edges, 0);
            for without in 1..8 {
                let mut cut = edges.clone();
                cut[without].clear();
                let reached = reverse_postorder(&edges, 0);
                let left = reverse_postorder(&cut, 0);
                for &node in reached.iter().filter(|&&node| node != without) {
                    let mut up = found[node];
                    let mut dominated = false;
                    while let Some(dominator) = up {
                        dominated |= dominator == without;
                        up = found[dominator];
                    }
                    prop_assert_eq!(dominated, !left.contains(&node), "{} by {}", node, without);
                }
            }
        }
    }
}
