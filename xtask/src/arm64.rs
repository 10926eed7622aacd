//! `cargo xtask check-arm64`: builds goinstr and its kernel program for arm64, and runs the tests
//! that need no kernel under qemu's user-mode emulation.
//!
//! On an x86_64 Debian: its `rustc-web` has a standard library for arm64, where rustup's would be
//! another download.

use crate::{
    command,
    packages::{Apt, Package},
    setup, workspace,
};
use anyhow::{Context, Result, bail};
use std::process::Command;

const TARGET: &str = "aarch64-unknown-linux-gnu";
const LINKER: &str = "aarch64-linux-gnu-gcc";
const EMULATOR: &str = "qemu-aarch64-static";
const RUSTC: &str = "/usr/bin/rustc";

pub fn run() -> Result<()> {
    setup::run(setup::Scope::Build)?;
    if cfg!(target_arch = "aarch64") {
        return command::run(workspace::cargo().args(["test", "--locked", "--workspace", "--lib"]));
    }
    set_up()?;
    let cross =
        |arguments: &[&str], of_tests: &[&str]| command::run(cargo(arguments).args(of_tests));
    cross(&["build", "--bins"], &[])?;
    eprintln!(
        "Not run under emulation: the kernel shows the emulator where these look for the program:\n  {}",
        OF_PROCESSES.join("\n  ")
    );
    let mut skipped = OF_PROCESSES.to_vec();
    if !knows_openat2() {
        eprintln!(
            "Not run under this emulator, which has no openat2(2), as QEMU from 9.2 on:\n  {}",
            OF_OPENAT2.join("\n  ")
        );
        skipped.extend(OF_OPENAT2);
    }
    let mut of_tests = vec!["--"];
    of_tests.extend(skipped.iter().flat_map(|test| ["--skip", test]));
    cross(&["test", "--lib"], &of_tests)
}

/// A cargo that builds goinstr for arm64; everything it needs is there after [`set_up`].
pub fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = workspace::cargo();
    cargo
        .args(arguments)
        .args(["--locked", "--target", TARGET, "--target-dir"])
        .arg(workspace::target_dir().join("arm64"))
        .args(["--package", "goinstr", "--package", "goinstr-common"])
        .env("RUSTC", RUSTC)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", EMULATOR)
        // Static, so that the emulator needs no arm64 libraries.
        .env(
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
            "-Ctarget-feature=+crt-static",
        );
    cargo
}

/// Tests that open their own process, or one that they have just started; by name, so that all others
/// beside them run.
const OF_PROCESSES: [&str; 10] = [
    "attach::holder::tests::trials_leave_goinstr_as_it_is",
    // Each watches its own process.
    "session::guard::watch::tests::",
    "target::container::tests::this_process_has_its_own_surroundings",
    "target::cpu_clock::tests::the_clock_of_a_busy_process_goes_on",
    "target::memory::tests::both_ways_read_the_same",
    "target::process::tests::a_child_is_opened_and_seen_to_exit",
    "target::process::tests::another_image_is_noticed",
    "target::process::tests::a_deleted_executable_is_still_readable",
    "target::process::tests::one_that_replaces_itself_all_the_time_is_opened",
    "target::process::tests::the_same_image_once_more_is_noticed",
];

/// Tests that resolve a path in another root, by openat2(2).
const OF_OPENAT2: [&str; 4] = [
    "target::mapped::tests::files_on_an_overlay_are_what_is_mapped",
    "target::mapped::tests::what_is_mapped_is_opened_by_its_path",
    "target::opening::tests::links_lead_nowhere_but_into_the_root",
    "target::opening::tests::what_is_no_file_is_not_opened",
];

/// Whether the emulator carries out openat2(2): by its version, which its first line ends with or has before a
/// distribution's own in brackets. One that doesn't tell is taken to.
fn knows_openat2() -> bool {
    let told = command::output(Command::new(EMULATOR).arg("--version"));
    told.as_deref()
        .and_then(version)
        .is_none_or(|version| version >= (9, 2))
}

fn version(told: &str) -> Option<(u32, u32)> {
    let (_, version) = told.lines().next()?.split_once("version ")?;
    let mut numbers = version
        .split(|other: char| !other.is_ascii_digit())
        .map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Installs what cross-building needs.
pub fn set_up() -> Result<()> {
    let apt = Apt::here().with_context(|| {
        format!("{TARGET} is built with Debian's cross toolchain, and this is no Debian")
    })?;
    let standard_library = "libstd-rust-web-dev:arm64";
    let packages = [
        Package::new("rustc-web", "the compiler that has it"),
        Package::new(standard_library, "Rust's standard library for arm64"),
        Package::new("gcc-aarch64-linux-gnu", "links arm64 executables"),
        Package::new("libc6-dev-arm64-cross", "what they are linked with"),
        Package::new("qemu-user-static", "runs them here"),
    ];
    if !apt.has(standard_library) {
        let foreign = command::output(Command::new("dpkg").arg("--print-foreign-architectures"));
        if !foreign.is_some_and(|foreign| foreign.lines().any(|line| line == "arm64")) {
            eprintln!("Adding arm64 to dpkg's architectures, for {standard_library}");
            command::run(command::as_root("dpkg")?.args(["--add-architecture", "arm64"]))?;
        }
    }
    apt.install(&packages)?;
    if command::find(EMULATOR).is_none() {
        bail!("no {EMULATOR}, although it was just installed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emulator_tells_its_version() {
        let debian = "qemu-aarch64 version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright";
        assert_eq!(version(debian), Some((7, 2)));
        assert_eq!(version("qemu-aarch64 version 10.1.2\n"), Some((10, 1)));
        assert_eq!(version("qemu-aarch64: no such option"), None);
    }
}
