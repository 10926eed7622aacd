//! What this kernel lets this user do, found out by trying.
//!
//! In: nothing. Out: [`Check`]s. Each feature is tried with the smallest program, map or link that
//! needs it; nothing is inferred from a version, and nothing is left behind.

mod attempt;
mod check;
mod kernel;
mod limits;
mod order;
mod rights;

pub use check::{Check, Verdict};
pub use kernel::has_uprobe_multi;
pub use order::newest_first;

/// All checks of the kernel and of this user's rights, the most basic first.
#[must_use]
pub fn checks() -> Vec<Check> {
    let mut checks = vec![rights::check()];
    checks.extend(kernel::checks());
    checks.extend(limits::checks());
    checks
}
