//! `cargo xtask setup`: installs what is missing, saying what and why before it does.
//!
//! At once when everything is there. The other subcommands call it with what they need.

use crate::{go::Go, kernel_toolchain, packages::Apt};
use anyhow::Result;

/// How much of it is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// What `cargo build` needs.
    Build,
    /// That, and a Go toolchain.
    Everything,
}

pub fn run(scope: Scope) -> Result<()> {
    let apt = Apt::here();
    kernel_toolchain::set_up(apt.as_ref())?;
    if scope == Scope::Everything {
        Go::find_or_install(apt.as_ref())?;
    }
    Ok(())
}
