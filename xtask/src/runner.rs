//! Runs one test binary for `cargo test`: those that measure live processes as root, all others
//! as who we are.
//!
//! Live tests are the test binaries whose name begins with `live` (`tests/live*`). A binary that
//! dies without its closing line says so in a line that `test` counts as a failure.

use crate::{command, workspace};
use anyhow::{Context, Result};
use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, ExitCode, ExitStatus},
};

/// Begins the line that tells of a test binary without a closing line.
pub const DIED: &str = "test binary died: ";

/// Begins the line of the live tests that tells what is still in the kernel after them.
pub const LEFT: &str = "left in the kernel: ";

/// What a test may look at, and sudo would not pass on; and whatever is [`OURS`].
const PASSED_ON: [&str; 10] = [
    "CARGO_BIN_EXE_goinstr",
    "CARGO_MANIFEST_DIR",
    "CI",
    "HOME",
    "INSTA_UPDATE",
    "PATH",
    "PYTHONPATH",
    "RUST_BACKTRACE",
    "TERM",
    "TMPDIR",
];

/// How the names of all variables begin that say how to test.
const OURS: &str = "GOINSTR_";

/// Set where every binary is run as root, whatever its name: benchmarks.
const ALL_AS_ROOT: &str = "GOINSTR_RUN_ALL_AS_ROOT";

/// Which binaries need root.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum AsRoot {
    /// Those named `live*`.
    Live,
    /// Every one.
    All,
}

/// Has this cargo run its binaries through us.
///
/// # Errors
/// Where our own executable is can't be learnt.
pub fn through_us(cargo: &mut Command, as_root: AsRoot) -> Result<()> {
    let own = env::current_exe().context("where xtask is")?;
    // As an array: a path may have spaces in it.
    cargo
        .arg("--config")
        .arg(format!("target.'cfg(all())'.runner=[{own:?}, \"run\"]"));
    if as_root == AsRoot::All {
        cargo.env(ALL_AS_ROOT, "1");
    }
    Ok(())
}

/// Runs `binary arguments…` and ends as it ended.
pub fn run(command: &[OsString]) -> ExitCode {
    match status(command) {
        Ok(status) => {
            // 101 is how a test binary says that tests failed, after its closing line.
            if !matches!(status.code(), Some(0 | 101)) {
                println!("{DIED}{} ({status})", command[0].display());
            }
            let code = status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }
        Err(why) => {
            eprintln!("error: {why:#}");
            println!("{DIED}{}", command[0].display());
            ExitCode::FAILURE
        }
    }
}

fn status(command: &[OsString]) -> Result<ExitStatus> {
    let (binary, arguments) = command.split_first().context("no test binary")?;
    let needs_root = is_live(Path::new(binary)) || env::var_os(ALL_AS_ROOT).is_some();
    let privileged = needs_root && !command::is_root() && can_be_root();
    let mut run = match privileged {
        true => {
            let mut env = command::as_root("env")?;
            for (name, value) in env::vars_os() {
                if is_passed_on(&name) {
                    env.arg(assignment(&name, &value));
                }
            }
            // Root's own: the user's Go cache would be left with files that the user can't touch.
            let cache = workspace::target_dir().join("tmp/go-cache-of-root");
            env.arg(assignment("GOCACHE".as_ref(), cache.as_os_str()));
            env.arg(binary);
            env
        }
        false => Command::new(binary),
    };
    run.args(arguments)
        .status()
        .with_context(|| format!("cannot run {}", binary.display()))
}

/// Is there a sudo that lets us? Else the live tests run as they are and say why they can't.
fn can_be_root() -> bool {
    command::as_root("true").is_ok_and(|mut sudo| sudo.status().is_ok_and(|done| done.success()))
}

fn is_live(binary: &Path) -> bool {
    binary
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("live"))
}

fn is_passed_on(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| PASSED_ON.contains(&name) || name.starts_with(OURS))
}

fn assignment(name: &OsStr, value: &OsStr) -> OsString {
    let mut assignment = name.to_owned();
    assignment.push("=");
    assignment.push(value);
    assignment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_test_binaries_named_live_run_as_root() {
        assert!(is_live(Path::new(
            "/x/target/debug/deps/live-0123456789abcdef"
        )));
        assert!(is_live(Path::new("live_random-0123456789abcdef")));
        assert!(!is_live(Path::new(
            "/live/target/debug/deps/goinstr-0123456789abcdef"
        )));
    }

    #[test]
    fn what_says_how_to_test_is_passed_on() {
        for name in ["GOINSTR_SOAK", "GOINSTR_FAULTS_TABLE", "PYTHONPATH"] {
            assert!(is_passed_on(name.as_ref()), "{name}");
        }
        for name in ["LD_PRELOAD", "MY_GOINSTR_SOAK", "GOCACHE"] {
            assert!(!is_passed_on(name.as_ref()), "{name}");
        }
    }
}
