//! A measurement's budget: what is left out before arming, what the guard watches, and what is told of a function
//! that has to go.
//!
//! The guard (`guard/`) decides by hits and costs alone; here is what that means for the plan.

use super::{
    SessionError,
    clock::Clock,
    config::{Budget, Config},
    ending::Ending,
    guard::{self, Allowance, HitCosts, Shed, Watch, preflight::Looked},
    measurement,
    preparing::Prepared,
};
use crate::{
    aggregate::ShedEvent,
    attach::Kernel,
    plan::{PlannedFunction, ProbePlan},
    session::clock::monotonic_ns,
};

/// Leaves out of the plan what would break the budget; which of the functions that stay were called meanwhile, as far
/// as that was looked at. Whoever doesn't wait for the end of that wants nothing measured: all are left out then.
pub(super) async fn leave_out(
    config: &mut Config,
    prepared: &Prepared,
    budget: Budget,
    ending: &mut Ending,
) -> Result<Vec<bool>, SessionError> {
    let settings = measurement::settings(config, prepared);
    let plan = &mut config.plan;
    let before = plan.skipped.len();
    let roots = names_of_roots(plan);
    let costs = (&settings, prepared.values);
    let looked =
        guard::preflight::leave_out(plan, &config.target, costs, budget.percent, ending).await?;
    let called = match looked {
        Looked::Whole { called } => called,
        Looked::Ended => {
            log::warn!("ended in the look before arming: nothing was measured");
            plan.take_out(|_| true);
            return Ok(Vec::new());
        }
    };
    let gone = plan.skipped.get(before..).unwrap_or_default();
    // The costliest went first, so the last is the one that a little more would let in.
    if plan.functions.is_empty()
        && let Some(last) = gone.last()
    {
        return Err(SessionError::OverBudget {
            function: last.function.clone(),
            detail: last.detail.clone(),
        });
    }
    if let Some(left) = &plan.roots
        && !left.contains(&true)
        && let Some(last) = gone.iter().rfind(|one| roots.contains(&one.function))
    {
        return Err(SessionError::RootsOverBudget {
            function: last.function.clone(),
            detail: last.detail.clone(),
        });
    }
    if let Some(captures) = &plan.captures
        && !gone.is_empty()
        && captures.functions.iter().all(|of| of.obstacle.is_some())
    {
        log::warn!("of none of the functions that are within the budget can values be read");
    }
    Ok(called)
}

/// The functions with which a tree may begin, where not every one may.
fn names_of_roots(plan: &ProbePlan) -> Vec<String> {
    let roots = plan.roots.iter().flatten();
    let functions = plan.functions.iter().zip(roots);
    functions
        .filter(|(_, is_root)| **is_root)
        .map(|(function, _)| function.name.clone())
        .collect()
}

/// The watch over the budget, from now on.
pub(super) fn watch(
    config: &Config,
    kernel: &Kernel,
    prepared: &Prepared,
    budget: Budget,
) -> Watch {
    let costs = prepared.costs;
    let captures = config.plan.captures.as_ref();
    // A count arms no returns.
    let ends = config.count.is_none();
    let of = |(function, id): (&PlannedFunction, u32)| {
        let entry = if kernel.is_stepped(id) {
            costs.stepped
        } else {
            costs.emulated
        };
        let returns = ends && !function.exits.is_empty();
        let capture = captures.and_then(|captures| captures.functions.get(id as usize));
        let hit = HitCosts::new(costs, entry, returns).with_values(prepared.values, capture);
        (hit, function.reenters)
    };
    let hits: Vec<_> = config.plan.functions.iter().zip(0..).map(of).collect();
    let allowance = Allowance::new(budget.percent, &config.target);
    Watch::new(&hits, allowance, monotonic_ns()).with_state_costs(costs)
}

/// What is told of a function that had to go at `at_ns` of a measurement that `began`.
pub(super) fn shed_event(
    plan: &ProbePlan,
    shed: &Shed,
    clock: Clock,
    (began, at_ns): (u64, u64),
) -> Option<ShedEvent> {
    let function = plan.functions.get(shed.load.function as usize)?;
    Some(ShedEvent {
        function: shed.load.function,
        name: function.name.clone(),
        detail: shed.detail(),
        calls_per_second: shed.calls_per_second(),
        after_ns: at_ns.saturating_sub(began),
        at_unix_ns: clock.unix_ns(at_ns),
    })
}

/// Says that a function costs too much in a measurement from which none can be taken out.
pub(super) fn tell_end(event: &ShedEvent) {
    log::error!(
        "{} costs more than all may, and none can be taken out of such a measurement: it was ended; \
         choose fewer functions, or a higher --max-overhead or --no-guard",
        event.name
    );
}

/// Whether trees may only begin with functions that are no longer measured.
pub(super) fn without_roots(plan: &ProbePlan, is_shed: impl Fn(u32) -> bool) -> bool {
    let roots = plan.roots.as_ref();
    roots.is_some_and(|roots| {
        let mut left = roots.iter().zip(0..).filter(|(is_root, _)| **is_root);
        left.all(|(_, function)| is_shed(function))
    })
}
