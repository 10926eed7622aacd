//! `cargo xtask lint-kernel`: format and clippy for goinstr-ebpf.
//!
//! Clippy has to see the kernel program as the compiler does, for the BPF target (its assembly is
//! BPF's), so it is the clippy that belongs to the compiler with BPF's core.

use crate::{
    command,
    kernel_toolchain::{self, KernelRust, TARGET},
    packages::{Apt, Package},
    setup, workspace,
};
use anyhow::{Context, Result, bail};
use std::path::Path;

const RUSTFLAGS: &str = "--cfg=bpf_target_arch=\"x86_64\" -Ctarget-cpu=v3 -Dwarnings";

pub fn run() -> Result<()> {
    setup::run(setup::Scope::Build)?;
    let source = workspace::root().join("goinstr-ebpf");
    command::run(
        workspace::cargo()
            .current_dir(&source)
            .args(["fmt", "--check"]),
    )?;

    let rust = kernel_toolchain::rust().context("no Rust with a core for BPF")?;
    let mut clippy = match &rust {
        KernelRust::Prebuilt(rustc) => {
            let driver = Path::new(rustc).with_file_name("clippy-driver");
            if !driver.is_file() {
                install_driver()?;
            }
            let mut check = workspace::cargo();
            check
                .arg("check")
                .env("RUSTC", rustc)
                .env("RUSTC_WORKSPACE_WRAPPER", driver);
            check
        }
        KernelRust::Nightly => {
            let mut clippy = std::process::Command::new("rustup");
            clippy
                .args(["run", "nightly", "cargo", "clippy", "-Zbuild-std=core"])
                .env_remove("RUSTUP_TOOLCHAIN");
            clippy
        }
    };
    clippy
        .current_dir(&source)
        .args(["--release", "--locked", "--target", TARGET, "--target-dir"])
        .arg(workspace::target_dir().join("kernel-lint"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", RUSTFLAGS);
    command::run(&mut clippy)
}

fn install_driver() -> Result<()> {
    let package = Package::new("rust-web-clippy", "clippy for BPF, by the same compiler");
    match Apt::here() {
        Some(apt) => apt.install(&[package]),
        None => bail!("no clippy-driver beside the rustc with BPF's core"),
    }
}
