//! A single call as it is told: its record, and what came for it before and beside it.

use goinstr_common::counter::KEPT_BACK;
use goinstr_common::record::{CallRecord, NO_PARENT, OUTCOME_UNWOUND};

use super::{
    chains::Chains, clock::Clock, config::Config, stacks::Stacks, target_types::TargetTypes,
};
use crate::{
    aggregate::{BegunCall, Bytes, CallEvent, CallValues, Outcome, States, values},
    attach::{Kernel, Settings},
    event::{Beside, ChainEvent, StackEvent},
};

/// Says how many calls nobody was told of because the kernel side knew that they don't match.
pub(super) fn say_kept_back(config: &Config, kernel: &Kernel) {
    if config.condition.is_some() {
        log::info!(
            "--where: {} calls that don't match were kept back in the kernel",
            kernel.counter(KEPT_BACK)
        );
    }
}

/// What it takes to tell of single calls.
pub(super) struct Telling {
    /// Which calls are around each, where that is asked for.
    chains: Option<Chains>,
    /// Where calls are, where that is asked for.
    stacks: Option<Stacks>,
    names: TargetTypes,
    clock: Clock,
}

impl Telling {
    /// For what `settings` ask of the kernel side.
    pub fn new(config: &mut Config, settings: &Settings, clock: Clock) -> Self {
        let bias = config.load_bias;
        Self {
            chains: settings.chains.then(Chains::default),
            stacks: config.stacks.take().map(|binary| Stacks::new(binary, bias)),
            names: TargetTypes::of(config),
            clock,
        }
    }

    /// Keeps a chain of callers until its call comes.
    pub fn take_chain(&mut self, chain: ChainEvent) {
        if let Some(chains) = &mut self.chains {
            chains.take(chain);
        }
    }

    /// Keeps a stack until its call comes.
    pub fn take_stack(&mut self, stack: StackEvent) {
        if let Some(stacks) = &mut self.stacks {
            stacks.take(stack);
        }
    }

    /// The call with all that is known of it; `None` where the condition doesn't hold.
    pub fn of(&mut self, call: &CallRecord, beside: &Beside, config: &Config) -> Option<CallEvent> {
        // Of calls that nobody is told of too: what was kept for them would be in the way.
        let callers = self.chains.as_mut().map(|chains| chains.of(call));
        let whereabouts = self.stacks.as_mut().map(|stacks| stacks.of(call));
        let values = self.values(call, beside, config);
        if let Some(condition) = &config.condition
            && !condition.holds(values.as_ref())
        {
            return None;
        }
        let stack = self.stacks.as_mut().zip(whereabouts);
        let stack = stack.and_then(|(stacks, found)| stacks.read(call, found, &config.plan));
        let followed = beside.states.as_ref().zip(config.plan.states.as_ref());
        let states = followed
            .map(|(times, plan)| States::of(times, call.duration_ns, |slot| plan.waits.name(slot)));
        Some(CallEvent {
            function: call.func,
            goid: call.goid,
            parent_goid: (call.parent_goid != 0).then_some(call.parent_goid),
            start_unix_ns: self.clock.unix_ns(call.start_ns),
            duration_ns: call.duration_ns,
            self_ns: call.self_ns,
            corrected_ns: call.corrected_ns,
            outcome: if call.outcome == OUTCOME_UNWOUND {
                Outcome::Unwound
            } else {
                Outcome::Returned
            },
            parent: (call.parent != NO_PARENT).then_some(call.parent),
            depth: call.depth,
            states,
            callers: callers.unwrap_or_default(),
            stack: stack.map(Box::new),
            values: values.map(Box::new),
        })
    }

    /// A call that has begun; `None` where the condition doesn't hold.
    pub fn of_begun(
        &self,
        call: &CallRecord,
        beside: &Beside,
        config: &Config,
    ) -> Option<BegunCall> {
        let values = self.values(call, beside, config);
        if let Some(condition) = &config.condition
            && !condition.holds(values.as_ref())
        {
            return None;
        }
        Some(BegunCall {
            function: call.func,
            goid: call.goid,
            parent_goid: (call.parent_goid != 0).then_some(call.parent_goid),
            start_unix_ns: self.clock.unix_ns(call.start_ns),
            args: values.and_then(|values| values.args).map(Box::new),
        })
    }

    /// Arguments and results, as far as they were asked for and read.
    fn values(&self, call: &CallRecord, beside: &Beside, config: &Config) -> Option<CallValues> {
        let plan = config.plan.captures.as_ref()?;
        let captured = beside.captured.as_ref()?;
        let function = plan.functions.get(call.func as usize)?;
        let read = |shapes, failed: Option<u64>, at_ns: u64| {
            let bytes = Bytes {
                data: &captured.data,
                failed: failed?,
                unix_ns: self.clock.unix_ns(at_ns),
                names: &self.names,
            };
            Some(values(shapes, bytes))
        };
        let end_ns = call.start_ns.saturating_add(call.duration_ns);
        let args = read(&function.parameters, captured.entry_failed, call.start_ns);
        let returns = read(&function.results, captured.exit_failed, end_ns);
        Some(CallValues {
            args: args.filter(|_| plan.arguments),
            returns: returns.filter(|_| plan.results),
        })
    }
}
