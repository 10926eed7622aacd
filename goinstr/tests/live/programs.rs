//! The kernel programs' sizes, by the kernel's own statistics: what runs at each hit only grows on
//! purpose.

use anyhow::{Context as _, Result, ensure};
use goinstr::{
    attach::{Aggregation, Costs, EntryCosts, ProgramSize, Returns, Scope, Settings, Watch},
    binary::GoBinary,
    plan::{
        CapturePlan, Condition, Limits, Pattern, ProbePlan, Redaction, StatePlan, Wanted, plan,
    },
};

use crate::{Test, support::build::Build, test};

/// Instructions that a program may have at most once the verifier has dropped what isn't asked for, and
/// instructions that the verifier may go through at most. A tenth above what they were on Linux 6.18; newer
/// kernels inline more helpers or fewer. Who raises one says in the commit what a hit has got for it,
/// and what `cargo xtask bench` says of it.
const CEILINGS: [(&str, u32, u32); 11] = [
    ("entry", 1_280, 9_700),
    ("exit", 1_070, 9_300),
    ("count", 73, 73),
    ("begin", 199, 282),
    ("cover", 82, 77),
    ("state_status", 195, 400),
    ("state_site", 186, 320),
    ("state_switch", 71, 102),
    ("recovery", 815, 7_300),
    ("goexit", 785, 7_200),
    ("goexit_entry", 745, 7_100),
];

pub fn tests() -> Vec<Test> {
    vec![
        test("programs::are_no_larger_than_they_have_to_be", sizes),
        test("programs::are_taken_with_all_that_can_be_asked_for", || {
            all_asked(Returns::Kernel)
        }),
        test("programs::are_taken_where_entries_are_told", told_entries),
        test("programs::are_taken_where_they_make_the_returns", || {
            all_asked(Returns::Program { load_bias: 0 })
        })
        .needing_register_writes(),
    ]
}

fn sizes() -> Result<()> {
    let (_, plan) = planned()?;
    let found = ProgramSize::of_all(&plan, &settings())?;
    let mut wrong = Vec::new();
    for (name, instructions, verified) in CEILINGS {
        let size = found.iter().find(|size| size.name == name);
        let within =
            |size: &&ProgramSize| size.instructions <= instructions && size.verified <= verified;
        if size.filter(within).is_none() {
            wrong.push(format!(
                "{name}: {size:?}, at most {instructions} instructions, {verified} verified"
            ));
        }
    }
    for size in &found {
        // A raw tracepoint's program can't be preempted.
        ensure!(
            !size.shared_stack || size.name == "state_switch",
            "a preempted run of it would be overwritten by the next on its CPU: {size:?}"
        );
        ensure!(
            CEILINGS.iter().any(|(name, ..)| *name == size.name),
            "no ceiling: {size:?}"
        );
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// What can be asked for together.
#[derive(Clone, Copy, Debug)]
struct Asked {
    states: bool,
    stacks: bool,
    values: bool,
    /// Only calls that match.
    conditions: bool,
    /// Each call through the ring buffer.
    ring: bool,
    /// `--duty`.
    windows: bool,
    shedding: bool,
}

impl Asked {
    /// All that the command line lets; with the guard, where that can be had: these are the larger ones.
    fn all() -> impl Iterator<Item = Self> {
        (0..1_u8 << 6).filter_map(|bits| {
            let bit = |n: u8| bits & 1 << n != 0;
            let [states, stacks, values, ring, windows, conditions] = [0, 1, 2, 3, 4, 5].map(bit);
            let of_calls = states || stacks || values;
            let allowed =
                !(windows && of_calls) && !(ring && (stacks || values)) && (values || !conditions);
            allowed.then_some(Self {
                states,
                stacks,
                values,
                conditions,
                ring,
                windows,
                shedding: !windows,
            })
        })
    }
}

/// The verifier lets in, and the machine code keeps to the thread's own stack, whatever is asked for.
fn all_asked(returns: Returns) -> Result<()> {
    /// A tenth of the million at which the verifier gives up: what it takes of one program differs by more than
    /// that from kernel to kernel.
    const MOST: u32 = 100_000;
    let (binary, plain) = planned()?;
    let values = CapturePlan {
        conditional: false,
        ..CapturePlan::of(&binary, &plain, &wanted(true)?)
    };
    let mut wrong = Vec::new();
    for asked in Asked::all() {
        let mut plan = plain.clone();
        if asked.states {
            plan.states = Some(StatePlan::of(&binary).context("no states")?);
        }
        plan.captures = asked.values.then(|| CapturePlan {
            conditional: asked.conditions,
            ..values.clone()
        });
        let settings = Settings {
            returns,
            shedding: asked.shedding,
            windows: asked.windows,
            aggregation: match asked.ring {
                true => Aggregation::Ring,
                false => Aggregation::Kernel,
            },
            slower_than_ns: Some(1),
            stacks: asked.stacks,
            chains: true,
            ..settings()
        };
        let told = |of: &dyn std::fmt::Display| format!("{asked:?}, {returns:?}: {of}");
        match ProgramSize::of_all(&plan, &settings) {
            Err(error) => wrong.push(told(&error)),
            Ok(sizes) => wrong.extend(sizes.iter().filter_map(|size| {
                let shares = size.shared_stack && size.name != "state_switch";
                (shares || size.verified >= MOST).then(|| told(&format_args!("{size:?}")))
            })),
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// All values of calls that match.
fn wanted(results: bool) -> Result<Wanted> {
    Ok(Wanted {
        arguments: true,
        results,
        limits: Limits::default(),
        redaction: Redaction::default(),
        signatures: Vec::new(),
        condition: Some(Condition::parse("n == 1 && r0 != 3")?),
    })
}

/// What tells of each call as it begins, with and without its arguments, and of some alone.
fn told_entries() -> Result<()> {
    /// What a probe without arguments may take; and with them, a hundredth of the verifier's million.
    const MOST: [u32; 3] = [500, 10_000, 10_000];
    let (binary, plain) = planned()?;
    let conditional = CapturePlan::of(&binary, &plain, &wanted(false)?);
    let values = CapturePlan {
        conditional: false,
        ..conditional.clone()
    };
    for (captures, most) in [None, Some(values), Some(conditional)]
        .into_iter()
        .zip(MOST)
    {
        let plan = ProbePlan {
            captures,
            ..plain.clone()
        };
        let settings = Settings {
            watch: Watch::Entries {
                callers: false,
                told: true,
            },
            ..settings()
        };
        let sizes = ProgramSize::of_all(&plan, &settings)?;
        let begin = sizes.iter().find(|size| size.name == "begin");
        let begin = begin.context("no such program")?;
        ensure!(!begin.shared_stack && begin.verified < most, "{begin:?}");
    }
    Ok(())
}

fn planned() -> Result<(GoBinary, ProbePlan)> {
    let binary = GoBinary::open(&Build::of("grow").executable()?)?;
    let plan = plan(&binary, &[Pattern::parse("main.*")?])?;
    Ok((binary, plan))
}

fn settings() -> Settings {
    let entry = EntryCosts {
        own_ns: 1,
        pair_ns: 2,
    };
    Settings {
        costs: Costs {
            emulated: entry,
            stepped: entry,
            exit_ns: 1,
        },
        ..Settings::of(Scope::Process {
            pid: 1,
            kernel_pid: Some(1),
        })
    }
}
