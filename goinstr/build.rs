//! Builds the kernel program (`goinstr-ebpf`) into `OUT_DIR/goinstr-ebpf`, for
//! `aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/goinstr-ebpf"))`.
//!
//! Two ways, the first that is there:
//! - a rustc that has a prebuilt `core` for `bpfel-unknown-none` (Debian's `rustc-web` with
//!   `libstd-rust-web-dev-bpf`, or the one `GOINSTR_BPF_RUSTC` names);
//! - aya's ordinary one: rustup's nightly with `rust-src`, which builds `core` itself.
//!
//! The object is little-endian BPF whatever the machine; what differs by architecture is the
//! layout of the registers that a probe reads, told by `--cfg bpf_target_arch`.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

const TARGET: &str = "bpfel-unknown-none";
const OBJECT: &str = "goinstr-ebpf";
/// rustc that Debian's `rustc-web` installs.
const DISTRIBUTION_RUSTC: &str = "/usr/bin/rustc";

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // One line that cargo shows as the error, before the script's own output.
            println!("cargo::error={why}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let out = PathBuf::from(variable("OUT_DIR")?);
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("..");
    let kernel_crate = root.join("goinstr-ebpf");
    watch(&root);

    let arch = match variable("CARGO_CFG_TARGET_ARCH")?.as_str() {
        arch @ ("x86_64" | "aarch64") => arch.to_owned(),
        other => return Err(format!("goinstr knows x86_64 and aarch64, not {other}")),
    };
    let linker = linker()?;
    let toolchain = Toolchain::find()?;

    let target_dir = out.join("kernel");
    let mut cargo = toolchain.cargo();
    cargo
        .current_dir(&kernel_crate)
        .args(["build", "--release", "--locked", "--target", TARGET])
        .arg("--target-dir")
        .arg(&target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(&arch, &linker));
    let output = cargo
        .output()
        .map_err(|why| format!("the kernel program: cannot run {cargo:?}: {why}"))?;
    let diagnostics = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        eprintln!("{diagnostics}");
        let first = diagnostics
            .lines()
            .find(|line| line.starts_with("error"))
            .unwrap_or("see the output below");
        return Err(format!(
            "the kernel program (goinstr-ebpf) does not build with {}: {first}",
            toolchain.name()
        ));
    }
    for warning in diagnostics
        .lines()
        .filter(|line| line.starts_with("warning: ") && !line.contains("generated"))
    {
        println!("cargo::warning=goinstr-ebpf: {warning}");
    }

    let built = target_dir.join(TARGET).join("release").join(OBJECT);
    fs::copy(&built, out.join(OBJECT))
        .map_err(|why| format!("the kernel program: cannot copy {}: {why}", built.display()))?;
    Ok(())
}

/// Where the kernel program's `core` comes from.
enum Toolchain {
    /// This rustc has `core` for BPF prebuilt.
    Prebuilt(PathBuf),
    /// rustup's nightly with rust-src builds `core`.
    BuildStd,
}

impl Toolchain {
    fn find() -> Result<Self, String> {
        println!("cargo::rerun-if-env-changed=GOINSTR_BPF_RUSTC");
        if let Some(named) = env::var_os("GOINSTR_BPF_RUSTC") {
            let named = PathBuf::from(named);
            return match has_prebuilt_core(&named) {
                true => Ok(Self::Prebuilt(named)),
                false => Err(format!(
                    "GOINSTR_BPF_RUSTC={} has no core for {TARGET}",
                    named.display()
                )),
            };
        }
        let distribution = PathBuf::from(DISTRIBUTION_RUSTC);
        if has_prebuilt_core(&distribution) {
            return Ok(Self::Prebuilt(distribution));
        }
        if has_nightly_source() {
            return Ok(Self::BuildStd);
        }
        Err(format!(
            "the kernel program needs a Rust core for {TARGET} (Debian's rustc-web with \
             libstd-rust-web-dev-bpf, or rustup's nightly with rust-src); run `cargo xtask setup`"
        ))
    }

    fn name(&self) -> String {
        match self {
            Self::Prebuilt(rustc) => rustc.display().to_string(),
            Self::BuildStd => "rustup's nightly and -Z build-std=core".to_owned(),
        }
    }

    /// The inner cargo, without what the outer one set for the host's build.
    fn cargo(&self) -> Command {
        let mut cargo = match self {
            Self::Prebuilt(rustc) => {
                let outer = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
                let mut cargo = clean(&outer);
                cargo.env("RUSTC", rustc);
                cargo
            }
            Self::BuildStd => {
                let mut rustup = clean("rustup");
                rustup.args(["run", "nightly", "cargo", "-Zbuild-std=core"]);
                rustup
            }
        };
        // rustc's BPF target is unstable on every channel's compiler but nightly's.
        cargo.env("RUSTC_BOOTSTRAP", "1");
        cargo
    }
}

/// A command that inherits nothing of the outer build: its flags, wrappers (clippy sets one) and
/// target directory are the host's, and `CARGO`/`RUSTUP_TOOLCHAIN` would pin its toolchain.
fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let outer = name.starts_with("RUSTC")
            || name.starts_with("RUSTDOC")
            || name.starts_with("CARGO_BUILD_")
            || name.starts_with("CARGO_CFG_")
            || name.starts_with("CARGO_FEATURE_")
            || name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_PROFILE_")
            || name.starts_with("CARGO_TARGET_")
            || name.starts_with("CLIPPY_")
            || [
                "CARGO",
                "CARGO_ENCODED_RUSTFLAGS",
                "CARGO_MAKEFLAGS",
                "CARGO_MANIFEST_DIR",
                "HOST",
                "LD_LIBRARY_PATH",
                "MAKEFLAGS",
                "OPT_LEVEL",
                "PROFILE",
                "RUSTFLAGS",
                "RUSTUP_TOOLCHAIN",
                "TARGET",
            ]
            .contains(&name);
        if outer {
            command.env_remove(name);
        }
    }
    command
}

fn rustflags(arch: &str, linker: &Path) -> String {
    [
        &format!("--cfg=bpf_target_arch=\"{arch}\""),
        &format!("-Clinker={}", linker.display()),
        "-Cdebuginfo=2",
        "-Clink-arg=--btf",
        // v3 has the atomics that return a value; every kernel with attach cookies knows it.
        "-Ctarget-cpu=v3",
    ]
    .join("\u{1f}")
}

fn has_prebuilt_core(rustc: &Path) -> bool {
    let Ok(output) = clean(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
    else {
        return false;
    };
    let directory = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success()
        && fs::read_dir(directory).is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.starts_with("libcore-") && name.ends_with(".rlib")
            })
        })
}

fn has_nightly_source() -> bool {
    let Ok(output) = clean("rustup")
        // It may be set to fetch what is missing; whether to is `cargo xtask setup`'s to say.
        .env("RUSTUP_AUTO_INSTALL", "0")
        .args(["run", "nightly", "rustc", "--print", "sysroot"])
        .output()
    else {
        return false;
    };
    let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success()
        && Path::new(&sysroot)
            .join("lib/rustlib/src/rust/library/core/src/lib.rs")
            .is_file()
}

/// bpf-linker on PATH, else where `cargo install` puts it.
fn linker() -> Result<PathBuf, String> {
    println!("cargo::rerun-if-env-changed=PATH");
    let on_path = env::var_os("PATH").unwrap_or_default();
    let installed = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))
        .map(|cargo_home| cargo_home.join("bin"));
    env::split_paths(&on_path)
        .chain(installed)
        .map(|directory| directory.join("bpf-linker"))
        .find(|linker| linker.is_file())
        .ok_or_else(|| "the kernel program needs bpf-linker; run `cargo xtask setup`".to_owned())
}

fn watch(root: &Path) {
    for path in [
        "goinstr-ebpf/src",
        "goinstr-ebpf/Cargo.toml",
        "goinstr-ebpf/Cargo.lock",
        "goinstr-common/src",
        "goinstr-common/Cargo.toml",
        "Cargo.toml",
        "goinstr/build.rs",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|why| format!("{name}, which cargo sets for a build script: {why}"))
}
