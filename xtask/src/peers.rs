//! Other tools that a benchmark compares with and that are Debian packages: unpacked into
//! `~/.cache/goinstr/peers`, never installed.
//!
//! bpftrace is taken from a newer release than most machines have: that of Debian 12 is built without what
//! it takes to probe at an offset in a function.

use crate::{
    archive::{self, Archive},
    workspace,
};
use anyhow::{Context, Result};
use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// The release whose bpftrace it is.
const RELEASE: &str = "trixie";

/// The Debian name of this machine's libraries' folder.
const TRIPLE: &str = if cfg!(target_arch = "aarch64") {
    "aarch64-linux-gnu"
} else {
    "x86_64-linux-gnu"
};

/// PATH with the tools before all else. What can't be had is said, and the benchmark takes the machine's own.
pub fn first_on_path(path: OsString) -> Result<OsString> {
    match bpftrace() {
        Ok(folder) => env::join_paths([folder].into_iter().chain(env::split_paths(&path)))
            .context("a directory of PATH has a colon in its name"),
        Err(why) => {
            eprintln!("warning: no bpftrace of {RELEASE}: {why:#}");
            Ok(path)
        }
    }
}

/// The folder with a `bpftrace` that runs.
fn bpftrace() -> Result<PathBuf> {
    let folder = workspace::cache()?.join("peers");
    let root = folder.join(format!("bpftrace-{RELEASE}"));
    if !root.is_dir() {
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let archive = Archive::at(workspace::cache()?.join("vm/apt"))?;
        archive.unpack_whole(RELEASE, &["bpftrace"], &root)?;
    }
    let programs = folder.join("bin");
    fs::create_dir_all(&programs)?;
    wrap(&root, &programs.join("bpftrace"))?;
    Ok(programs)
}

/// A script that runs it by its own loader.
fn wrap(root: &Path, place: &Path) -> Result<()> {
    let command = archive::unpacked(root, TRIPLE, "bpftrace")?;
    let mut script = "#!/bin/sh\nexec".to_owned();
    for word in [command.get_program()]
        .into_iter()
        .chain(command.get_args())
    {
        let word = word.to_str().context("a path that is no text")?;
        script.push_str(&format!(" '{}'", word.replace('\'', r"'\''")));
    }
    script.push_str(" \"$@\"\n");
    fs::write(place, script).with_context(|| place.display().to_string())?;
    fs::set_permissions(place, fs::Permissions::from_mode(0o755))
        .with_context(|| place.display().to_string())
}
