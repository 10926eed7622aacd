//! Which stack belongs to which call.
//!
//! In: stacks, which come before the calls that they are of. Out: a call's stack: where it waited longest,
//! if that is known, else where it was at its return. What is kept meanwhile is bounded: a call
//! that was not told of after all leaves its stacks behind.

use std::collections::HashMap;

use goinstr_common::record::CallRecord;

use crate::{
    aggregate::{CallStack, StackAt},
    binary::{self, GoBinary, StackReader, Walked},
    event::{StackEvent, StackOf},
    plan::ProbePlan,
};

/// Waits kept of a goroutine at most: each is the longest so far in one of its calls.
const WAITS: usize = 64;
/// Goroutines whose stacks are kept at most: about 1 KB for each stack.
const GOROUTINES: usize = 1 << 15;

/// A goroutine: process and id.
type Key = (u32, u64);

/// The stacks of calls that have not been told of yet.
#[derive(Debug)]
pub(super) struct Stacks {
    reader: StackReader,
    /// What the loader added to the file's addresses: of all processes, where only one is measured.
    bias: Option<u64>,
    biases: HashMap<u32, Option<u64>>,
    returns: HashMap<Key, StackEvent>,
    waits: HashMap<Key, Vec<StackEvent>>,
}

impl Stacks {
    /// Of processes that run `binary`; `bias` is that of the only one, where it is known.
    pub fn new(binary: GoBinary, bias: Option<u64>) -> Self {
        Self {
            reader: StackReader::new(binary),
            bias,
            biases: HashMap::new(),
            returns: HashMap::new(),
            waits: HashMap::new(),
        }
    }

    /// Keeps a stack until its call comes.
    pub fn take(&mut self, stack: StackEvent) {
        let key = (stack.tgid, stack.goid);
        match stack.of {
            StackOf::Return => {
                if self.returns.len() >= GOROUTINES {
                    self.returns.clear();
                }
                self.returns.insert(key, stack);
            }
            StackOf::Wait { ns } => {
                if self.waits.len() >= GOROUTINES {
                    self.waits.clear();
                }
                let waits = self.waits.entry(key).or_default();
                if waits.len() >= WAITS {
                    let shortest = waits
                        .iter()
                        .enumerate()
                        .min_by_key(|(_, wait)| length(wait));
                    if let Some((index, wait)) = shortest
                        && length(wait) < ns
                    {
                        waits.remove(index);
                    } else {
                        return;
                    }
                }
                waits.push(stack);
            }
        }
    }

    /// The stack of a call that is told of.
    pub fn of(&mut self, call: &CallRecord, plan: &ProbePlan) -> Option<CallStack> {
        let key = (call.tgid, call.goid);
        let returned = self
            .returns
            .remove(&key)
            .filter(|stack| stack.start_ns == call.start_ns);
        let end = call
            .start_ns
            .saturating_add(call.duration_ns)
            .saturating_add(call.corrected_ns);
        let within = |wait: &&StackEvent| {
            wait.start_ns >= call.start_ns && wait.start_ns.saturating_add(length(wait)) <= end
        };
        let waits = self.waits.get(&key).map_or(&[][..], Vec::as_slice);
        let longest = waits.iter().filter(within).max_by_key(|wait| length(wait));
        let longest = longest.cloned();
        if call.depth == 0 {
            // No call is open that they could be in.
            self.waits.remove(&key);
        }
        if let Some(wait) = longest
            && let Some(stack) = self.read(&wait)
        {
            return Some(stack);
        }
        let mut returned = returned?;
        if let (Some(first @ 0), Some(function)) = (
            returned.addresses.first_mut(),
            plan.functions.get(call.func as usize),
        ) {
            // Another program has made the return: one of the function's, who knows which.
            let site = match function.exits.as_slice() {
                [exit] => exit,
                _ => &function.entry,
            };
            let bias = self.bias_of(call.tgid)?;
            *first = site.address.0.wrapping_add(bias);
        }
        self.read(&returned)
    }

    fn read(&mut self, seen: &StackEvent) -> Option<CallStack> {
        let bias = self.bias_of(seen.tgid)?;
        let walked = Walked {
            addresses: &seen.addresses,
            offsets: &seen.offsets,
            first_returns: seen.first_returns,
        };
        let mut stack = self.reader.read(&walked, bias);
        let at = match seen.of {
            StackOf::Return => StackAt::Return,
            StackOf::Wait { ns } => {
                // The place in the runtime at which it went on is not where it waited.
                if !seen.first_returns && !stack.places.is_empty() {
                    stack.places.remove(0);
                }
                StackAt::Wait { waited_ns: ns }
            }
        };
        CallStack::new(at, stack)
    }

    fn bias_of(&mut self, tgid: u32) -> Option<u64> {
        let binary = self.reader.binary();
        self.bias.or_else(|| {
            let find = || binary::load_bias(binary, tgid).ok().flatten();
            *self.biases.entry(tgid).or_insert_with(find)
        })
    }
}

fn length(wait: &StackEvent) -> u64 {
    match wait.of {
        StackOf::Wait { ns } => ns,
        StackOf::Return => 0,
    }
}
