//! How much the probes may cost: a share of the CPU time that the target uses itself, and of one
//! CPU where it uses less.
//!
//! A service that keeps 20 CPUs busy has 20 CPU-seconds a second to take a share of. One that is
//! nearly idle does not notice a share of a CPU that is free.

use super::{SECOND, weight};
use crate::target::{CpuClock, Target};

/// Weight of the newest look at the target's CPU use, where it comes at the guard's pace.
const NEWEST: f64 = 0.25;

/// How much the probes may cost now.
#[derive(Debug)]
pub(in crate::session) struct Allowance {
    /// Of the CPU time used.
    share: f64,
    clocks: Vec<CpuClock>,
    /// Of all processes together, ns.
    last_ns: Option<u64>,
    /// CPUs in use by the target itself, smoothed.
    used: Option<f64>,
}

impl Allowance {
    /// `percent` of what the processes of `target` use, those that run now.
    pub fn new(percent: f64, target: &Target) -> Self {
        let processes = match target {
            Target::Process(process) => std::slice::from_ref(process),
            Target::Executable { running, .. } => running,
        };
        let mut allowance = Self {
            share: percent / 100.0,
            clocks: processes.iter().filter_map(CpuClock::of).collect(),
            last_ns: None,
            used: None,
        };
        allowance.last_ns = allowance.read();
        allowance
    }

    fn read(&mut self) -> Option<u64> {
        let mut sum = 0;
        for clock in &self.clocks {
            // One that has gone takes its time with it: the sum starts anew.
            sum += clock.read()?;
        }
        Some(sum)
    }

    /// Looks at the target's clocks, `elapsed_ns` after the last time; `cost_ns` is what the probes
    /// took meanwhile, which the clocks have counted too.
    #[expect(clippy::cast_precision_loss, reason = "shares need no 53 bits")]
    pub fn look(&mut self, elapsed_ns: u64, cost_ns: f64) {
        let now = self.read();
        if let (Some(now), Some(last)) = (now, self.last_ns)
            && elapsed_ns > 0
            && now >= last
        {
            let used = ((now - last) as f64 - cost_ns).max(0.0) / elapsed_ns as f64;
            self.used = Some(match self.used {
                None => used,
                Some(before) => before + weight(NEWEST, elapsed_ns) * (used - before),
            });
        }
        if now.is_none() {
            self.clocks.retain(|clock| clock.read().is_some());
        }
        self.last_ns = now;
    }

    /// From here on as if the target were idle.
    #[cfg(test)]
    pub fn forget_clocks(&mut self) {
        self.clocks.clear();
        self.used = Some(0.0);
    }

    /// What the probes may cost, in ns a second.
    #[expect(clippy::cast_precision_loss, reason = "a constant")]
    pub fn ns_per_second(&self) -> f64 {
        self.share * self.used.unwrap_or(1.0).max(1.0) * SECOND as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(used: Option<f64>) -> f64 {
        let allowance = Allowance {
            share: 0.05,
            clocks: Vec::new(),
            last_ns: None,
            used,
        };
        allowance.ns_per_second()
    }

    #[test]
    fn an_idle_target_has_one_cpu_and_a_busy_one_its_own() {
        assert!((of(None) - 5e7).abs() < 1.0);
        assert!((of(Some(0.01)) - 5e7).abs() < 1.0);
        assert!((of(Some(20.0)) - 1e9).abs() < 1.0);
    }
}
