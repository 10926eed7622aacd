//! The Go toolchains of this machine: the one on PATH first, then those that `cargo xtask` keeps
//! in the user's cache, then Debian's.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// One Go toolchain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// The `go` command.
    pub go: PathBuf,
    /// As `go env GOVERSION` prints it, without the `go`: `1.26.6`.
    pub version: String,
}

impl Toolchain {
    /// The toolchain whose `go` command this is, if it runs.
    fn at(go: &Path) -> Option<Self> {
        let output = Command::new(go)
            .args(["env", "GOVERSION"])
            .env("GOTOOLCHAIN", "local")
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        let version = String::from_utf8(output.stdout).ok()?;
        Some(Self {
            go: go.to_owned(),
            version: version.trim().trim_start_matches("go").to_owned(),
        })
    }

    /// Whether it is at least Go 1.`minor`.
    pub fn at_least(&self, minor: u32) -> bool {
        self.version
            .split(['.', ' ', '-'])
            .nth(1)
            .map(|part| part.trim_end_matches(|c: char| !c.is_ascii_digit()))
            .and_then(|part| part.parse::<u32>().ok())
            .is_some_and(|own| own >= minor)
    }
}

/// All toolchains found, each version once.
pub fn all() -> &'static [Toolchain] {
    static FOUND: OnceLock<Vec<Toolchain>> = OnceLock::new();
    FOUND.get_or_init(|| {
        if let Some(targets) = prebuilt() {
            let version = std::fs::read_to_string(targets.join("GOVERSION")).ok();
            return version
                .map(|version| Toolchain {
                    go: PathBuf::from("go"),
                    version: version.trim().to_owned(),
                })
                .into_iter()
                .collect();
        }
        let mut found: Vec<Toolchain> = Vec::new();
        for go in candidates() {
            if let Some(toolchain) = Toolchain::at(&go)
                && !found.iter().any(|other| other.version == toolchain.version)
            {
                found.push(toolchain);
            }
        }
        found
    })
}

/// The toolchain that the tests use where the version does not matter.
pub fn usual() -> Option<&'static Toolchain> {
    all().first()
}

/// The directory of targets that were built elsewhere, where there is no Go: in a virtual machine.
/// Each is named as `build` names it, and `GOVERSION` has the toolchain's version.
pub fn prebuilt() -> Option<PathBuf> {
    env::var_os("GOINSTR_LIVE_TARGETS").map(PathBuf::from)
}

fn candidates() -> Vec<PathBuf> {
    let mut candidates = vec![PathBuf::from("go")];
    if let Some(home) = env::var_os("HOME")
        && let Ok(versions) = Path::new(&home).join(".cache/goinstr/go").read_dir()
    {
        let mut kept: Vec<PathBuf> = versions
            .flatten()
            .map(|version| version.path().join("bin/go"))
            .filter(|go| go.is_file())
            .collect();
        kept.sort();
        candidates.extend(kept);
    }
    candidates.push(PathBuf::from("/usr/lib/go-1.19/bin/go"));
    candidates
}
