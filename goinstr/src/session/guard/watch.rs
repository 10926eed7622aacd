//! The budget while it is measured: an account that fills at the rate of the allowance and that each
//! hit draws on. When it is empty, the costliest functions go until the rest can live on the income.
//!
//! So a burst within the account's size is nobody's harm, a load of twenty times the allowance
//! empties it in a twentieth of its size, and over any time the cost is the allowance and at most
//! one account more.

use crate::attach::{Costs, Hits as StateHits};

use super::{Allowance, HitCosts, Load, SECOND, over_budget, rounded, share, weight};

/// The account's size, as seconds of income.
const SIZE_SECONDS: f64 = 0.5;
/// Weight of the newest look at a function's rate, where it comes at the usual pace.
const NEWEST: f64 = 0.5;

/// Hits of a function so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::session) struct Hits {
    pub entries: u64,
    pub returns: u64,
}

/// A function that has to go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::session) struct Shed {
    /// What it costs.
    pub load: Load,
    /// What all together may cost, in ns a second.
    pub allowed: f64,
}

impl Shed {
    /// How often it was called, a second.
    pub fn calls_per_second(&self) -> u64 {
        rounded(self.load.calls)
    }

    /// Why it has to go.
    pub fn detail(&self) -> String {
        format!(
            "{} calls/s cost {}, and all together may cost {}: its figures end here; --max-overhead allows more, \
             --no-guard all",
            crate::sink::count(self.calls_per_second()),
            share(self.load.cost),
            share(self.allowed)
        )
    }
}

/// Watches the hits of all functions.
#[derive(Debug)]
pub(in crate::session) struct Watch {
    functions: Vec<Watched>,
    allowance: Allowance,
    /// ns in the account; 0 or less: empty.
    account: f64,
    last_ns: u64,
    /// Hits of all functions that are in no function's count.
    last_reentries: u64,
    /// What hits of the sites of states cost.
    state_costs: Costs,
    /// What they had cost at the last look, in ns.
    last_states_ns: u64,
    /// What following states costs, in ns a second, smoothed.
    states: f64,
}

/// Hits that are in no function's count, so far.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::session) struct Others {
    /// Loops back to entry sites.
    pub reentries: u64,
    /// Of the sites of states.
    pub states: StateHits,
}

#[derive(Clone, Debug)]
struct Watched {
    costs: HitCosts,
    /// Whether hits of its entry site may be of a loop, which are in no function's count.
    reenters: bool,
    last: Hits,
    /// Calls and ns a second, smoothed.
    calls: f64,
    cost: f64,
    gone: bool,
}

impl Watch {
    /// Watches functions with these costs, from `now_ns` on; whether each reenters.
    pub fn new(costs: &[(HitCosts, bool)], allowance: Allowance, now_ns: u64) -> Self {
        let watched = |&(costs, reenters): &(HitCosts, bool)| Watched {
            costs,
            reenters,
            last: Hits::default(),
            calls: 0.0,
            cost: 0.0,
            gone: false,
        };
        let account = allowance.ns_per_second() * SIZE_SECONDS;
        Self {
            functions: costs.iter().map(watched).collect(),
            allowance,
            account,
            last_ns: now_ns,
            last_reentries: 0,
            state_costs: Costs::default(),
            last_states_ns: 0,
            states: 0.0,
        }
    }

    /// How many functions it watches.
    pub fn functions(&self) -> u32 {
        u32::try_from(self.functions.len()).unwrap_or(u32::MAX)
    }

    /// The same with what hits of the sites of states cost.
    pub fn with_state_costs(self, state_costs: Costs) -> Self {
        Self {
            state_costs,
            ..self
        }
    }

    /// Looks at all hits up to `now_ns`; which functions have to go, the costliest first.
    #[expect(clippy::cast_precision_loss, reason = "rates need no 53 bits")]
    pub fn look(&mut self, now_ns: u64, hits: impl Fn(u32) -> Hits, others: Others) -> Vec<Shed> {
        let elapsed_ns = now_ns.saturating_sub(self.last_ns);
        if elapsed_ns == 0 {
            return Vec::new();
        }
        self.last_ns = now_ns;
        let per_second = SECOND as f64 / elapsed_ns as f64;
        let newest = weight(NEWEST, elapsed_ns);
        let loops = others.reentries.saturating_sub(self.last_reentries);
        self.last_reentries = others.reentries;
        let states_ns = others.states.cost_ns(&self.state_costs);
        let states = states_ns.saturating_sub(self.last_states_ns) as f64;
        self.last_states_ns = states_ns;
        self.states += newest * (states * per_second - self.states);
        let looping = self
            .functions
            .iter()
            .filter(|f| f.reenters && !f.gone)
            .count()
            .max(1);
        let mut spent = states;
        for (function, id) in self.functions.iter_mut().zip(0..) {
            if function.gone {
                continue;
            }
            let now = hits(id);
            let entries = now.entries.saturating_sub(function.last.entries);
            let returns = now.returns.saturating_sub(function.last.returns);
            function.last = now;
            let mut passes = entries as f64;
            if function.reenters {
                // Which of them looped is not told: each is taken for as bad as the others.
                passes += loops as f64 / looping as f64;
            }
            let cost = passes * function.costs.entry_ns as f64
                + returns as f64 * function.costs.exit_ns as f64;
            spent += cost;
            function.calls += newest * (entries as f64 * per_second - function.calls);
            function.cost += newest * (cost * per_second - function.cost);
        }
        self.allowance.look(elapsed_ns, spent);
        let allowed = self.allowance.ns_per_second();
        let size = allowed * SIZE_SECONDS;
        self.account = (self.account + allowed / per_second - spent).clamp(-size, size);
        if self.account > 0.0 {
            return Vec::new();
        }
        // Without any function there would be nothing to follow states for.
        if self.states > allowed {
            return Vec::new();
        }
        self.shed(allowed)
    }

    /// Where following states alone breaks the budget, and that is spent: what it costs, for people.
    pub fn states_too_dear(&self) -> Option<String> {
        let allowed = self.allowance.ns_per_second();
        (self.account <= 0.0 && self.states > allowed).then(|| {
            format!(
                "to follow states costs {} here, and all together may cost {}",
                share(self.states),
                share(allowed)
            )
        })
    }

    fn shed(&mut self, allowed: f64) -> Vec<Shed> {
        let loads = self.functions.iter().zip(0..).filter(|(f, _)| !f.gone);
        let loads = loads.map(|(watched, function)| Load {
            function,
            calls: watched.calls,
            cost: watched.cost,
        });
        let gone = over_budget(loads.collect(), allowed - self.states);
        if !gone.is_empty() {
            // What the others have not spent is not held against them.
            self.account = allowed * SIZE_SECONDS / 2.0;
        }
        for load in &gone {
            if let Some(function) = self.functions.get_mut(load.function as usize) {
                function.gone = true;
            }
        }
        gone.into_iter()
            .map(|load| Shed { load, allowed })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attach::EntryCosts;
    use crate::target::{Pid, Process, Target};

    const TICK: u64 = SECOND / 20;

    /// A budget of 5 % of one CPU (this process, in a test, uses about one at most).
    fn watch(functions: usize) -> Watch {
        let own = Process::open(Pid(std::process::id())).expect("opens");
        let mut allowance = Allowance::new(5.0, &Target::Process(own));
        allowance.forget_clocks();
        let costs = HitCosts {
            entry_ns: 1_000,
            exit_ns: 9_000,
        };
        Watch::new(&vec![(costs, false); functions], allowance, 0)
    }

    /// Looks at each tick for `seconds` at functions that are called at these rates; when which went.
    fn play(watch: &mut Watch, from: u64, seconds: u64, rates: &[u64]) -> Vec<(u64, u32)> {
        let mut gone = Vec::new();
        let mut now = from;
        while now < from + seconds * SECOND {
            now += TICK;
            let hits = |id: u32| {
                let calls = rates[id as usize] * (now / 1_000) / 1_000_000;
                Hits {
                    entries: calls,
                    returns: calls,
                }
            };
            let shed = watch.look(now, hits, Others::default());
            gone.extend(shed.iter().map(|shed| (now - from, shed.load.function)));
        }
        gone
    }

    #[test]
    fn a_load_within_the_budget_stays() {
        // 10 µs a call: 5,000 calls a second are 5 % of a CPU.
        assert_eq!(play(&mut watch(3), 0, 20, &[2_000, 2_000, 900]), []);
    }

    #[test]
    fn twenty_times_the_budget_goes_within_a_second_and_the_rest_stays() {
        let gone = play(&mut watch(3), 0, 20, &[1_000, 100_000, 1_000]);
        assert_eq!(gone.len(), 1, "{gone:?}");
        let (after, function) = gone[0];
        assert!(function == 1 && after <= SECOND / 5, "{gone:?}");
    }

    #[test]
    fn a_little_too_much_goes_a_little_later() {
        let gone = play(&mut watch(2), 0, 20, &[5_000, 500]);
        assert_eq!(gone.len(), 1, "{gone:?}");
        assert!(gone[0].1 == 0 && gone[0].0 > SECOND, "{gone:?}");
    }

    #[test]
    fn a_look_right_after_another_makes_nobody_loud() {
        // 30 calls a second of each; then three of each within a tenth of a millisecond, as the account runs empty.
        let mut watch = watch(3);
        assert_eq!(play(&mut watch, 0, 2, &[30, 30, 3_000]), []);
        watch.account = 0.0;
        let hits = |id: u32| {
            let calls = if id == 2 { 6_000 } else { 63 };
            Hits {
                entries: calls,
                returns: calls,
            }
        };
        let gone = watch.look(2 * SECOND + 100_000, hits, Others::default());
        assert_eq!(gone, [], "3 % and twice 0.03 % are less than 5 %");
    }

    #[test]
    fn loops_are_held_against_those_that_may_have_made_them() {
        let mut watch = watch(2);
        watch.functions[1].reenters = true;
        let hits = |_| Hits::default();
        let shed: Vec<_> = (1..40)
            .flat_map(|tick| {
                let others = Others {
                    reentries: tick * 100_000,
                    ..Others::default()
                };
                watch.look(tick * TICK, hits, others)
            })
            .map(|shed| shed.load.function)
            .collect();
        assert_eq!(shed, [1]);
    }

    #[test]
    fn functions_make_room_for_what_states_cost_until_those_alone_are_too_dear() {
        let mut watch = watch(2).with_state_costs(Costs {
            emulated: EntryCosts {
                own_ns: 0,
                pair_ns: 1_000,
            },
            ..Costs::default()
        });
        // 10 µs a call: 3 % of a CPU, and 1 %.
        let hits = |now: u64| {
            move |id: u32| {
                let calls = [3_000, 1_000][id as usize] * (now / 1_000) / 1_000_000;
                Hits {
                    entries: calls,
                    returns: calls,
                }
            }
        };
        let states = |hits: u64| Others {
            states: StateHits {
                emulated: hits,
                stepped: 0,
            },
            ..Others::default()
        };
        let mut gone = Vec::new();
        for now in (1..400).map(|tick| tick * TICK) {
            // 30,000 a second: 3 %.
            gone.extend(watch.look(now, hits(now), states(now / 1_000 * 3 / 100)));
        }
        let functions: Vec<u32> = gone.iter().map(|shed| shed.load.function).collect();
        assert_eq!((functions, watch.states_too_dear()), (vec![0], None));
        for now in (400..800).map(|tick| tick * TICK) {
            assert!(watch.look(now, hits(now), states(now / 10_000)).is_empty());
        }
        assert!(watch.states_too_dear().is_some());
    }
}
