//! `cargo xtask build`: `target/release/goinstr`.

use crate::{command, setup, workspace};
use anyhow::Result;
use std::path::PathBuf;

/// Sets up, builds, and says where the binary is.
pub fn run() -> Result<PathBuf> {
    setup::run(setup::Scope::Build)?;
    command::run(workspace::cargo().args([
        "build",
        "--release",
        "--locked",
        "--package",
        "goinstr",
    ]))?;
    let binary = workspace::target_dir().join("release/goinstr");
    eprintln!("built {}", binary.display());
    Ok(binary)
}
