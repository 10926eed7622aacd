//! What compiles the kernel program: a Rust with `core` for BPF, and bpf-linker.
//!
//! goinstr/build.rs looks for the same two in the same order; this installs them.

use crate::{
    command,
    packages::{Apt, Package, by_hand},
};
use anyhow::{Context, Result, bail};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The target that the kernel program is compiled for.
pub const TARGET: &str = "bpfel-unknown-none";
const DISTRIBUTION_RUSTC: &str = "/usr/bin/rustc";
/// Links the bitcode of rustc 1.95 to 1.97 (LLVM 21 to 23).
const BPF_LINKER: &str = "0.13.0";

/// Installs what is missing of the two.
pub fn set_up(apt: Option<&Apt>) -> Result<()> {
    let rustc = match rust() {
        Some(found) => found,
        None => {
            install_rust(apt)?;
            rust().with_context(|| {
                format!("no Rust with a core for {TARGET}, although it was just installed")
            })?
        }
    };
    if command::find("bpf-linker").is_none() {
        install_linker(apt, &rustc)?;
    }
    Ok(())
}

/// The rustc that compiles the kernel program.
pub enum KernelRust {
    /// This one, with a prebuilt core.
    Prebuilt(String),
    /// rustup's nightly, which builds core from rust-src.
    Nightly,
}

impl KernelRust {
    /// The major version of its LLVM; bpf-linker's must not be older.
    fn llvm(&self) -> Result<u32> {
        let version = command::output(self.rustc().arg("-vV")).unwrap_or_default();
        version
            .lines()
            .find_map(|line| line.strip_prefix("LLVM version: "))
            .and_then(|llvm| llvm.split('.').next()?.parse().ok())
            .with_context(|| format!("{:?} doesn't say which LLVM it has", self.rustc()))
    }

    /// Whether it is there, with what BPF needs.
    fn serves(&self) -> bool {
        match self {
            Self::Prebuilt(_) => {
                command::output(
                    self.rustc()
                        .args(["--print", "target-libdir", "--target", TARGET]),
                )
                .is_some_and(|directory| has_core(Path::new(&directory)))
            }
            Self::Nightly => command::output(self.rustc().args(["--print", "sysroot"]))
                .is_some_and(|sysroot| {
                    Path::new(&sysroot)
                        .join("lib/rustlib/src/rust/library/core/src/lib.rs")
                        .is_file()
                }),
        }
    }

    fn rustc(&self) -> Command {
        let mut command = match self {
            Self::Prebuilt(rustc) => Command::new(rustc),
            Self::Nightly => {
                let mut rustup = Command::new("rustup");
                rustup.args(["run", "nightly", "rustc"]);
                rustup
            }
        };
        command
            .env_remove("RUSTUP_TOOLCHAIN")
            // Only what is there counts; installing is said before it is done.
            .env("RUSTUP_AUTO_INSTALL", "0");
        command
    }
}

/// The one that goinstr/build.rs takes.
pub fn rust() -> Option<KernelRust> {
    let named = env::var("GOINSTR_BPF_RUSTC").unwrap_or_else(|_| DISTRIBUTION_RUSTC.to_owned());
    [KernelRust::Prebuilt(named), KernelRust::Nightly]
        .into_iter()
        .find(KernelRust::serves)
}

fn has_core(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libcore-") && name.ends_with(".rlib")
        })
    })
}

/// Debian's where Debian has it, else aya's ordinary way by rustup.
fn install_rust(apt: Option<&Apt>) -> Result<()> {
    let packages = [
        Package::new("rustc-web", "a Rust compiler with BPF among its targets"),
        Package::new(
            "libstd-rust-web-dev-bpf",
            "Rust's core for BPF, which the kernel program is built on",
        ),
    ];
    if let Some(apt) = apt
        && apt.offers("libstd-rust-web-dev-bpf")?
    {
        return apt.install(&packages);
    }
    if command::find("rustup").is_none() {
        bail!(
            "the kernel program needs Rust's core for {TARGET}, which this distribution has no \
             package for: install rustup, then `rustup toolchain install nightly --component \
             rust-src`"
        );
    }
    eprintln!(
        "Installing rustup's nightly with rust-src: the kernel program's core is built of it"
    );
    command::run(Command::new("rustup").args([
        "toolchain",
        "install",
        "nightly",
        "--profile",
        "minimal",
        "--component",
        "rust-src",
    ]))
}

/// bpf-linker from its source, against the distribution's LLVM.
fn install_linker(apt: Option<&Apt>, rust: &KernelRust) -> Result<()> {
    let llvm = rust.llvm()?;
    if !(21..=23).contains(&llvm) {
        bail!("bpf-linker {BPF_LINKER} knows LLVM 21 to 23, but the kernel's rustc has {llvm}");
    }
    let why = "bpf-linker, which links the kernel program, is built against it";
    let packages = [
        Package::new(format!("llvm-{llvm}-dev"), why),
        Package::new(format!("libpolly-{llvm}-dev"), why),
        Package::new("zlib1g-dev", why),
        Package::new("libzstd-dev", why),
        Package::new("g++", "links bpf-linker with LLVM's C++"),
    ];
    let prefix = PathBuf::from(format!("/usr/lib/llvm-{llvm}"));
    match apt {
        Some(apt) => apt.install(&packages)?,
        None if prefix.join("lib").is_dir() => {}
        None => by_hand(&packages)?,
    }
    eprintln!(
        "Installing bpf-linker {BPF_LINKER}, which links the kernel program (a minute or two)"
    );
    command::run(
        Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["install", "bpf-linker", "--version", BPF_LINKER, "--locked"])
            .args(["--no-default-features", "--features"])
            .arg(format!("llvm-{llvm}"))
            .env("LLVM_PREFIX", &prefix)
            .env("RUSTFLAGS", format!("-L {}", prefix.join("lib").display())),
    )
}
