//! What came of a virtual machine: read from its console, told as a row of a table.

use super::{
    guest::MARK,
    machine::{Arch, Kernel},
};
use std::time::Duration;

/// The table's head.
pub const HEAD: &str = "\
| kernel | arch | sites armed by | tests passed | failed | result |
|---|---|---|---|---|---|";

/// What a test says of a program that was not built for the guest.
const NOT_BUILT: &str = " was not built before";

/// The oldest kernel that can measure, as goinstr says it.
const OLDEST: &str = "Linux 5.17";

pub struct Outcome {
    kernel: Kernel,
    arch: Arch,
    /// As the guest's `uname -r` says.
    release: Option<String>,
    /// The session line's `attach`.
    armed_by: Option<String>,
    balanced: Option<bool>,
    passed: Vec<String>,
    failed: Vec<String>,
    /// Tests whose program is not there.
    without: Vec<String>,
    /// The failed test whose reason is read.
    reason_of: Option<String>,
    /// What a return was measured to cost, in ns: made by the kernel, and by the program.
    returns: [Vec<u64>; 2],
    /// goinstr's exit code and the number of lines it wrote, where it had to refuse.
    refused: Option<String>,
    said: Vec<String>,
    done: bool,
    trouble: Option<String>,
    took: Duration,
}

impl Outcome {
    pub fn of(kernel: Kernel, arch: Arch) -> Self {
        Self {
            kernel,
            arch,
            release: None,
            armed_by: None,
            balanced: None,
            passed: Vec::new(),
            failed: Vec::new(),
            without: Vec::new(),
            reason_of: None,
            returns: [Vec::new(), Vec::new()],
            refused: None,
            said: Vec::new(),
            done: false,
            trouble: None,
            took: Duration::ZERO,
        }
    }

    /// Takes a line of the console.
    pub fn read(&mut self, line: &str) {
        if let Some(mark) = line.strip_prefix(MARK) {
            let mark = mark.trim_start();
            if let Some(release) = mark.strip_prefix("kernel ") {
                self.release = Some(release.to_owned());
            } else if let Some(how) = mark.strip_prefix("refused ") {
                self.refused = Some(how.to_owned());
            } else if let Some(said) = mark.strip_prefix("said ") {
                self.said.push(said.to_owned());
            } else if let Some(cost) = mark.strip_prefix("return kernel ") {
                self.returns[0].extend(cost.parse::<u64>());
            } else if let Some(cost) = mark.strip_prefix("return program ") {
                self.returns[1].extend(cost.parse::<u64>());
            } else if mark == "done" {
                self.done = true;
            }
        } else if let Some(result) = line.strip_prefix("test ") {
            // libtest: `test NAME ... ok`; its closing line begins with `test result`.
            match result.split_once(" ... ") {
                Some((name, "ok")) => note(&mut self.passed, name),
                Some((name, "FAILED")) => note(&mut self.failed, name),
                _ => {}
            }
        } else if let Some(name) = line.strip_prefix("---- ") {
            self.reason_of = name.strip_suffix(" ----").map(str::to_owned);
        } else if line.ends_with(NOT_BUILT) {
            if let Some(name) = self.reason_of.take() {
                self.failed.retain(|failed| *failed != name);
                self.without.push(name);
            }
        } else if let Ok(record) = serde_json::from_str::<serde_json::Value>(line) {
            match record["type"].as_str() {
                Some("session") => {
                    self.armed_by = record["attach"].as_str().map(str::to_owned);
                }
                Some("ledger") => self.balanced = Some(balances(&record)),
                _ => {}
            }
        }
    }

    /// Takes how the emulator ended.
    pub fn ended(&mut self, how: anyhow::Result<()>, took: Duration) {
        self.took = took;
        self.trouble = match how {
            Err(why) => Some(format!("{why:#}")),
            Ok(()) if !self.done => Some("the guest died before its end".to_owned()),
            Ok(()) => None,
        };
    }

    pub fn is_good(&self) -> bool {
        let as_it_should = if self.kernel.too_old() {
            // The one line has to say what would have it.
            self.refused.as_deref() == Some("with 1 in 1 lines")
                && self.said.iter().any(|line| line.contains(OLDEST))
        } else {
            self.failed.is_empty() && !self.passed.is_empty() && self.balanced == Some(true)
        };
        as_it_should && self.trouble.is_none()
    }

    /// As a row of the table.
    pub fn row(&self) -> String {
        let result = if let Some(trouble) = &self.trouble {
            trouble.clone()
        } else if self.kernel.too_old() {
            match self.is_good() {
                true => "refused in one line".to_owned(),
                false => format!("not refused: {}", self.refused.as_deref().unwrap_or("-")),
            }
        } else {
            match (self.balanced, self.failed.is_empty()) {
                (Some(true), true) if self.passed.is_empty() => "no test ran".to_owned(),
                (Some(true), true) => "every count exact, every ledger balanced".to_owned(),
                (Some(true), false) => "some failed".to_owned(),
                (Some(false), _) => "THE LEDGER DOES NOT BALANCE".to_owned(),
                (None, _) => "nothing was measured".to_owned(),
            }
        };
        format!(
            "| {} ({}) | {} | {} | {} | {} | {result} |",
            self.kernel.name(),
            self.release.as_deref().unwrap_or("did not boot"),
            self.arch.name(),
            self.armed_by.as_deref().unwrap_or("–"),
            self.passed.len(),
            self.failed.len(),
        )
    }

    /// What the row has no room for, on stderr.
    pub fn explain(&self) {
        let of = format!("{} {}", self.kernel.name(), self.arch.name());
        let [kernel, program] = self.returns.each_ref().map(|costs| median(costs));
        if let (Some(kernel), Some(program)) = (kernel, program) {
            eprintln!(
                "{of}: a return costs {program} ns made by the program, {kernel} ns by the kernel: {:.2} of it",
                program as f64 / kernel as f64
            );
        }
        eprintln!("{of}: {:.0} s", self.took.as_secs_f64());
        for name in &self.failed {
            eprintln!("{of}: failed: {name}");
        }
        for name in &self.without {
            eprintln!("{of}: not run, its program is not built for a guest: {name}");
        }
        for line in &self.said {
            eprintln!("{of}: goinstr said: {line}");
        }
    }
}

/// A test may be run twice, by two names' beginnings.
fn note(tests: &mut Vec<String>, name: &str) {
    let name = name.trim().to_owned();
    if !tests.contains(&name) {
        tests.push(name);
    }
}

/// The one in the middle.
fn median(of: &[u64]) -> Option<u64> {
    let mut sorted = of.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

/// `entries = returned + unwound + in_flight + sum(lost)`, and not all of it zero.
fn balances(ledger: &serde_json::Value) -> bool {
    let number = |field: &str| ledger[field].as_u64().unwrap_or(0);
    let lost: u64 = ledger["lost"]
        .as_object()
        .map(|lost| lost.values().filter_map(serde_json::Value::as_u64).sum())
        .unwrap_or(0);
    let closed = number("returned") + number("unwound") + number("in_flight") + lost;
    number("entries") == closed && closed > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"@vm kernel 6.1.0-1-amd64
{"type":"session","attach":"perf_event"}
{"type":"ledger","entries":10,"returned":7,"unwound":1,"in_flight":1,"lost":{"ring_full":1}}
test lifetime::a ... ok
test result: ok. 1 passed; 0 failed
@vm done"#;

    fn outcome(kernel: Kernel, console: &str) -> Outcome {
        let mut outcome = Outcome::of(kernel, Arch::X86_64);
        console.lines().for_each(|line| outcome.read(line));
        outcome.ended(Ok(()), Duration::from_secs(1));
        outcome
    }

    #[test]
    fn a_row_tells_what_the_console_said() {
        let good = outcome(Kernel::V6_1, GOOD);
        assert!(good.is_good());
        assert_eq!(
            good.row(),
            "| 6.1 (6.1.0-1-amd64) | x86_64 | perf_event | 1 | 0 | every count exact, every ledger balanced |"
        );
    }

    #[test]
    fn a_test_without_its_program_is_neither_passed_nor_failed() {
        let failed = "test cgo::a ... FAILED\ntest cgo::b ... FAILED\n\n---- cgo::a ----\ncgo-1.26 was not built before\n\n---- cgo::b ----\n";
        let outcome = outcome(
            Kernel::V6_1,
            &GOOD.replace("test result", &format!("{failed}test result")),
        );
        assert_eq!(outcome.without, ["cgo::a"]);
        assert_eq!(outcome.failed, ["cgo::b"]);
        assert_eq!(outcome.passed, ["lifetime::a"]);
    }

    #[test]
    fn costs_of_returns_are_kept_by_who_made_them() {
        let told = "@vm return kernel 900\n@vm return program 200\n@vm return kernel 1000\n@vm return kernel x";
        let outcome = outcome(Kernel::V7_3, told);
        assert_eq!(outcome.returns, [vec![900, 1000], vec![200]]);
        assert_eq!(
            outcome.returns.map(|costs| median(&costs)),
            [Some(1000), Some(200)]
        );
    }

    #[test]
    fn nothing_short_of_all_is_good() {
        for (from, to) in [
            ("... ok", "... FAILED"),
            (r#""returned":7"#, r#""returned":6"#),
            ("@vm done", ""),
            ("test lifetime::a ... ok\n", ""),
            (r#""type":"ledger""#, r#""type":"other""#),
        ] {
            assert!(GOOD.contains(from), "{from}");
            assert!(
                !outcome(Kernel::V6_1, &GOOD.replace(from, to)).is_good(),
                "{from}"
            );
        }
    }

    #[test]
    fn a_kernel_that_is_too_old_has_to_be_refused_in_one_line() {
        let refused =
            "@vm kernel 5.10\n@vm refused with 1 in 1 lines\n@vm said needs Linux 5.17\n@vm done";
        assert!(outcome(Kernel::V5_10, refused).is_good());
        assert!(!outcome(Kernel::V5_10, &refused.replace("5.17", "0")).is_good());
        assert!(!outcome(Kernel::V5_10, &refused.replace("in 1", "in 2")).is_good());
        assert!(!outcome(Kernel::V5_10, &refused.replace("with 1", "with 0")).is_good());
        assert!(!outcome(Kernel::V5_10, GOOD).is_good());
    }
}
