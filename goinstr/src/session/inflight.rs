//! What is open now: looks at the goroutines of a process, once or again and again.
//!
//! Only memory is read: nothing is armed, and calls that began long ago are seen like all others.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::SessionError;
use super::clock::{Clock, monotonic_ns};
use super::ending::Ending;
use crate::aggregate::{Inflight, OpenStack};
use crate::binary::{GoBinary, LayoutDoubt, RuntimeLayout, goroutines};
use crate::target::Target;

/// What is looked at.
#[derive(Debug)]
pub struct InflightConfig {
    /// Which processes.
    pub target: Target,
    /// Their program.
    pub binary: GoBinary,
    /// Offsets in the runtime's structures.
    pub layout: RuntimeLayout,
    /// The functions whose open calls are shown, as stack traces name them; `None`: all goroutines.
    pub functions: Option<HashSet<String>>,
    /// Looks again at this interval; `None`: once.
    pub interval: Option<Duration>,
    /// Ends after this time.
    pub duration: Option<Duration>,
}

/// Looks until the end comes, and hands what it sees to `show`.
///
/// # Errors
/// Where the process can't be read, or what was seen not be shown.
pub fn inflight(
    config: &InflightConfig,
    mut show: impl FnMut(&Inflight) -> io::Result<()>,
) -> Result<(), SessionError> {
    let reasons = config.binary.wait_reasons();
    let Some(pause) = config.interval else {
        return look(config, &reasons, &mut show);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(SessionError::Runtime)?;
    runtime.block_on(async {
        let mut ending = Ending::of(&config.target)?;
        ending.after(config.duration);
        let mut looks = interval(pause);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = ending.wait() => return Ok(()),
                _ = looks.tick() => {
                    if config.target.is_over() {
                        return Ok(());
                    }
                    look(config, &reasons, &mut show)?;
                }
            }
        }
    })
}

fn look(
    config: &InflightConfig,
    reasons: &[String],
    show: &mut impl FnMut(&Inflight) -> io::Result<()>,
) -> Result<(), SessionError> {
    let processes = match &config.target {
        Target::Process(process) => std::slice::from_ref(process),
        Target::Executable { running, .. } => running,
    };
    for process in processes {
        let pid = process.pid().0;
        let now_ns = monotonic_ns();
        let snapshot = goroutines(&config.binary, &config.layout, pid, reasons)
            .map_err(|doubt| seen(&doubt))?;
        let (all, torn) = (snapshot.goroutines.len(), snapshot.torn);
        let shown = snapshot.goroutines.into_iter().filter_map(|goroutine| {
            let calls: Vec<String> = match &config.functions {
                None => Vec::new(),
                Some(wanted) => goroutine
                    .stack
                    .iter()
                    .filter(|frame| wanted.contains(&frame.function))
                    .map(|frame| frame.function.clone())
                    .collect(),
            };
            (config.functions.is_none() || !calls.is_empty()).then(|| OpenStack {
                waits_ns: goroutine
                    .waits_since_ns
                    .map(|since| now_ns.saturating_sub(since)),
                goroutine,
                calls,
            })
        });
        let inflight = Inflight {
            pid,
            unix_ns: Clock::now().unix_ns(now_ns),
            goroutines: all,
            torn,
            shown: shown.collect(),
        };
        show(&inflight).map_err(SessionError::Output)?;
    }
    Ok(())
}

fn seen(doubt: &LayoutDoubt) -> SessionError {
    SessionError::Unseen(doubt.to_string())
}
