//! Running a command as another user with chosen capabilities: by setpriv(1), or by those of its file.

use std::{
    ffi::OsString,
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use goinstr::target::{Capability, capability};
use rustix::fs::{XattrFlags, setxattr};

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

/// A goinstr that has these capabilities beside the usual ones by its file, given by the command that goinstr and
/// the README name; and a command that runs it as [`GOINSTRS`], who has none.
///
/// Unlike one that was given them by its parent, such a process is nobody's to look at: its files in `/proc` are
/// root's.
pub fn goinstr_by_file(
    folder: &Path,
    beside: &[Capability],
) -> Result<impl Fn() -> Command + use<>> {
    let goinstr = readable_copy(&super::measurement::goinstr(), folder, 0o755)?;
    let line = capability::setcap(beside);
    let line = line.strip_prefix("sudo ").context("not by sudo")?;
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}:/usr/sbin:/sbin", folder.display());
    let shell = |line: &str| {
        Command::new("sh")
            .args(["-c", line])
            .env("PATH", &path)
            .output()
    };
    if shell("command -v setcap")?.status.success() {
        let output = shell(line)?;
        ensure!(output.status.success(), "{line}: {output:?}");
    } else {
        let names = line
            .split_ascii_whitespace()
            .nth(1)
            .context("no capabilities")?;
        set_file_capabilities(&goinstr, names)?;
    }
    Ok(move || {
        let mut command = Command::new(&goinstr);
        command.uid(GOINSTRS).gid(GOINSTRS);
        command
    })
}

/// What setcap(8) does: `struct vfs_cap_data` of the kernel's include/uapi/linux/capability.h.
fn set_file_capabilities(file: &Path, names: &str) -> Result<()> {
    const REVISION_2: u32 = 0x0200_0000;
    const EFFECTIVE: u32 = 1;
    let names = names.strip_suffix("+ep").context("another set")?;
    let mut permitted = 0u64;
    for name in names.split(',') {
        permitted |= 1
            << match name {
                "cap_dac_read_search" => 2,
                "cap_sys_ptrace" => 19,
                "cap_sys_admin" => 21,
                "cap_perfmon" => 38,
                "cap_bpf" => 39,
                _ => bail!("an unknown capability: {name}"),
            };
    }
    let [low, high] = [permitted, permitted >> 32].map(|half| half as u32);
    // Each half with what may be inherited.
    let words = [REVISION_2 | EFFECTIVE, low, 0, high, 0];
    let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    setxattr(file, "security.capability", &bytes, XattrFlags::empty())
        .with_context(|| format!("can't give capabilities to {}", file.display()))
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
    // In place of an earlier one, which the process that holds the last measurement's probes may still run.
    let copied = Command::new("cp")
        .arg("--remove-destination")
        .arg(executable)
        .arg(&copy)
        .status()?;
    ensure!(copied.success(), "can't copy {}", executable.display());
    fs::set_permissions(&copy, fs::Permissions::from_mode(mode))?;
    Ok(copy)
}
