//! The proof that counts are exact: the real `goinstr`, as root, on real Go programs that know
//! their own calls. One file for each group of behaviours.
//!
//! Where nothing can be measured (not root, no BPF, no Go) every test is ignored and the reason is
//! printed once. `GOINSTR_SEEDS` widens the tests of random programs: see `random`.

#[path = "../support/mod.rs"]
mod support;

mod budget;
mod call_stacks;
mod conditions;
mod container;
mod counting;
mod cover;
mod cover_files;
mod cover_truth;
mod diff;
mod doctor;
mod duty;
mod entries;
mod faults;
mod foreign;
mod goroutine;
mod hostile;
mod inflight;
mod library;
mod lifetime;
mod metrics;
mod modes;
mod nesting;
mod newer;
mod open;
mod oracle;
mod otlp;
mod panic;
mod plugin;
mod privilege;
mod programs;
mod random;
mod record;
mod returning;
mod slow;
mod soak;
mod stack;
mod states;
mod terminal;
mod trace;
mod trace_budget;
mod values;
mod versions;

use std::{process::ExitCode, sync::RwLock, time::Duration};

use goinstr::attach::Returns;
use libtest_mimic::{Arguments, Failed, Trial};

use support::{build, kernel, objects::Objects, toolchain};

/// Tests at once: each keeps a target, its load and goinstr busy.
const PARALLEL: usize = 2;

/// How long the kernel may take to free what the tests made.
const SETTLING: Duration = Duration::from_secs(60);

/// A test: the behaviour it proves, and the proof.
pub struct Test {
    name: String,
    needs_c: bool,
    needs_register_writes: bool,
    needs: &'static [&'static str],
    obstacle: Option<String>,
    alone: bool,
    run: Box<dyn FnOnce() -> anyhow::Result<()> + Send>,
}

/// Names a test.
pub fn test(
    name: impl Into<String>,
    run: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> Test {
    Test {
        name: name.into(),
        needs_c: false,
        needs_register_writes: false,
        needs: &[],
        obstacle: None,
        alone: false,
        run: Box::new(run),
    }
}

impl Test {
    /// It compares times of separate runs: no other test runs meanwhile.
    pub fn alone(self) -> Self {
        Self {
            alone: true,
            ..self
        }
    }

    /// It looks at what is written with these tools.
    pub fn needing(self, tools: &'static [&'static str]) -> Self {
        Self {
            needs: tools,
            ..self
        }
    }

    /// It can't run here, where there is a reason why.
    pub fn unless(self, obstacle: Option<impl Into<String>>) -> Self {
        Self {
            obstacle: obstacle.map(Into::into),
            ..self
        }
    }

    /// A kernel program has to be let write registers.
    pub fn needing_register_writes(self) -> Self {
        Self {
            needs_register_writes: true,
            ..self
        }
    }

    /// Its target is linked by a C compiler.
    pub fn needing_c(self) -> Self {
        Self {
            needs_c: true,
            ..self
        }
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(PARALLEL);
    let obstacle = kernel::obstacle().or_else(|| {
        toolchain::usual()
            .is_none()
            .then(|| "no Go toolchain".to_owned())
    });
    if let Some(obstacle) = &obstacle {
        eprintln!("live tests are ignored: {obstacle}");
    }
    let no_writes = Returns::obstacle(Some(std::process::id()), Some(0));
    if let Some(why) = &no_writes {
        eprintln!("live tests of returns made by the program are ignored: {why}");
    }
    let no_c = !build::has_c_compiler();
    if no_c {
        eprintln!("live tests of cgo and -race are ignored: no C compiler (gcc)");
    }
    let groups = [
        stack::tests(),
        panic::tests(),
        plugin::tests(),
        goroutine::tests(),
        foreign::tests(),
        open::tests(),
        library::tests(),
        lifetime::tests(),
        faults::tests(),
        modes::tests(),
        counting::tests(),
        entries::tests(),
        returning::tests(),
        programs::tests(),
        nesting::tests(),
        newer::tests(),
        oracle::tests(),
        slow::tests(),
        soak::tests(),
        states::tests(),
        call_stacks::tests(),
        conditions::tests(),
        inflight::tests(),
        budget::tests(),
        container::tests(),
        doctor::tests(),
        duty::tests(),
        hostile::tests(),
        privilege::tests(),
        trace::tests(),
        trace_budget::tests(),
        values::tests(),
        metrics::tests(),
        otlp::tests(),
        terminal::tests(),
        cover::tests(),
        diff::tests(),
        record::tests(),
        versions::tests(),
        random::tests(),
    ];
    let trials = groups.into_iter().flatten().map(|test| {
        let missing = missing(test.needs);
        if !missing.is_empty() {
            eprintln!("{} is ignored: no {}", test.name, missing.join(", no "));
        }
        if let Some(why) = &test.obstacle {
            eprintln!("{} is ignored: {why}", test.name);
        }
        let ignored = obstacle.is_some()
            || (test.needs_c && no_c)
            || (test.needs_register_writes && no_writes.is_some())
            || test.obstacle.is_some()
            || !missing.is_empty();
        Trial::test(test.name, move || {
            static MACHINE: RwLock<()> = RwLock::new(());
            let (_alone, _shared) = match test.alone {
                true => (Some(MACHINE.write()), None),
                false => (None, Some(MACHINE.read())),
            };
            (test.run)().map_err(|error| Failed::from(format!("{error:#}")))
        })
        .with_ignored_flag(ignored)
    });
    let before = Objects::now();
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if obstacle.is_none() && !arguments.list {
        let left = before.and_then(|before| Objects::left_since(&before, SETTLING));
        if left != Some(Objects::default()) {
            println!("left in the kernel: {left:?}");
            return ExitCode::FAILURE;
        }
    }
    conclusion.exit_code()
}

/// Those of the tools that are not here.
fn missing(tools: &[&'static str]) -> Vec<&'static str> {
    tools
        .iter()
        .copied()
        .filter(|tool| !record::has(tool))
        .collect()
}
