//! Running a command as another user with chosen capabilities: by setpriv(1).

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

/// A user that nothing else runs as.
pub const GOINSTRS: u32 = 61_234;
/// Another.
pub const TARGETS: u32 = 61_235;

/// Whether there is setpriv(1) to become another user with.
pub fn can_be_changed() -> bool {
    Command::new("setpriv")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The words before a command that run it as `user` with these capabilities (`bpf`, `perfmon`, …)
/// and no others.
pub fn become_with(user: u32, capabilities: &[&str]) -> Vec<OsString> {
    let mut set = "-all".to_owned();
    for capability in capabilities {
        set += &format!(",+{capability}");
    }
    let words = [
        "setpriv".to_owned(),
        format!("--reuid={user}"),
        format!("--regid={user}"),
        "--clear-groups".to_owned(),
        format!("--inh-caps={set}"),
        format!("--ambient-caps={set}"),
        format!("--bounding-set={set}"),
    ];
    words.into_iter().map(OsString::from).collect()
}

/// A command that runs goinstr as [`GOINSTRS`] with these capabilities and no others.
pub fn goinstr_with(folder: &Path, capabilities: &[&str]) -> Result<Command> {
    let goinstr = readable_copy(&super::measurement::goinstr(), folder, 0o755)?;
    let words = become_with(GOINSTRS, capabilities);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg(goinstr);
    Ok(command)
}

/// A folder that every user may enter, wherever the tests' own lies.
pub fn open_folder() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

/// A copy of an executable in `folder`, with this mode.
pub fn readable_copy(executable: &Path, folder: &Path, mode: u32) -> Result<PathBuf> {
    let copy = folder.join(executable.file_name().context("no file name")?);
    // By another process: a child that a test beside this one forks while this process writes the copy
    // would have it open for writing too, and it could not be run until that child runs its own.
    let copied = Command::new("cp").arg(executable).arg(&copy).status()?;
    ensure!(copied.success(), "can't copy {}", executable.display());
    fs::set_permissions(&copy, fs::Permissions::from_mode(mode))?;
    Ok(copy)
}
