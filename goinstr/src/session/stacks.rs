//! Which stack belongs to which call.
//!
//! In: stacks, which come before the calls that they are of. Out: a call's stack: where it waited longest,
//! if that is known, else where it was at its return. What is kept meanwhile is bounded: a call
//! that was not told of after all leaves its stacks behind.

use std::collections::HashMap;

use goinstr_common::record::CallRecord;

use super::left_behind::drop_older;
use super::waits::{Wait, Waits};
use crate::{
    aggregate::CallStack,
    binary::{self, GoBinary, StackReader, Walked},
    event::{StackEvent, StackOf},
    plan::ProbePlan,
};

/// Goroutines whose stacks at returns are kept at most: about 1 KB for each.
const GOROUTINES: usize = 1 << 15;

/// A goroutine: process and id.
pub(super) type Goroutine = (u32, u64);

/// The stacks of calls that have not been told of yet.
#[derive(Debug)]
pub(super) struct Stacks {
    reader: StackReader,
    /// What the loader added to the file's addresses: of all processes, where only one is measured.
    bias: Option<u64>,
    biases: HashMap<u32, Option<u64>>,
    returns: HashMap<Goroutine, StackEvent>,
    waits: Waits,
}

/// What is known of where a call was, as addresses yet.
#[derive(Debug)]
pub(super) struct Whereabouts {
    longest: Option<Wait>,
    returned: Option<StackEvent>,
}

impl Stacks {
    /// Of processes that run `binary`; `bias` is that of the only one, where it is known.
    pub fn new(binary: GoBinary, bias: Option<u64>) -> Self {
        Self {
            reader: StackReader::new(binary),
            bias,
            biases: HashMap::new(),
            returns: HashMap::new(),
            waits: Waits::default(),
        }
    }

    /// Keeps a stack until its call comes.
    pub fn take(&mut self, stack: StackEvent) {
        let goroutine = (stack.tgid, stack.goid);
        match stack.of {
            StackOf::Return => {
                if self.returns.len() >= GOROUTINES {
                    drop_older(&mut self.returns, |stack| stack.start_ns);
                }
                self.returns.insert(goroutine, stack);
            }
            StackOf::Wait { ns } => self.waits.take(goroutine, Wait { ns, stack }),
        }
    }

    /// What is kept of a call that is over, whether it is told of or not.
    pub fn of(&mut self, call: &CallRecord) -> Whereabouts {
        let goroutine = (call.tgid, call.goid);
        let found = Whereabouts {
            longest: self.waits.longest_since(goroutine, call.start_ns).cloned(),
            returned: self
                .returns
                .remove(&goroutine)
                .filter(|stack| stack.start_ns == call.start_ns),
        };
        if call.depth == 0 {
            self.waits.forget(goroutine);
        }
        found
    }

    /// The stack in words.
    pub fn read(
        &mut self,
        call: &CallRecord,
        found: Whereabouts,
        plan: &ProbePlan,
    ) -> Option<CallStack> {
        if let Some(wait) = &found.longest
            && let Some(stack) = self.symbolise(&wait.stack, Some(wait.ns))
        {
            return Some(stack);
        }
        let mut returned = found.returned?;
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
        self.symbolise(&returned, None)
    }

    fn symbolise(&mut self, seen: &StackEvent, waited_ns: Option<u64>) -> Option<CallStack> {
        let bias = self.bias_of(seen.tgid)?;
        let walked = Walked {
            addresses: &seen.addresses,
            offsets: &seen.offsets,
            first_returns: seen.first_returns,
        };
        let mut stack = self.reader.read(&walked, bias);
        // The place in the runtime at which it went on is not where it waited.
        if waited_ns.is_some() && !seen.first_returns && !stack.places.is_empty() {
            stack.places.remove(0);
        }
        CallStack::new(waited_ns, stack)
    }

    fn bias_of(&mut self, tgid: u32) -> Option<u64> {
        let binary = self.reader.binary();
        self.bias.or_else(|| {
            let find = || binary::load_bias(binary, tgid).ok().flatten();
            *self.biases.entry(tgid).or_insert_with(find)
        })
    }
}
