//! What the virtual machine boots into: an initramfs of busybox, goinstr, its live tests, Go
//! programs for them to measure, and an init that runs them and powers off.

use super::machine::Arch;
use crate::archive::Archive;
use crate::command;
use anyhow::{Context, Result};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

/// Begins a line of the console that is ours to read.
pub const MARK: &str = "@vm";

/// What was built for an architecture.
pub struct Built {
    pub goinstr: PathBuf,
    pub live: PathBuf,
    /// The directory of Go programs.
    pub targets: PathBuf,
    /// The version of the Go that built them.
    pub go_version: String,
}

/// Makes the initramfs `into`, in which the shell commands `work` are done.
pub fn initramfs(
    arch: Arch,
    work: &str,
    built: &Built,
    archive: &Archive,
    cache: &Path,
    into: &Path,
) -> Result<()> {
    let busybox = busybox(arch, archive, cache)?;
    let root = into.with_extension("root");
    let _ = fs::remove_dir_all(&root);
    for directory in ["bin", "proc", "sys", "dev", "tmp", "targets", "root"] {
        fs::create_dir_all(root.join(directory))?;
    }
    install(&busybox, &root.join("bin/busybox"))?;
    symlink("busybox", root.join("bin/sh"))?;
    // The targets exec it.
    symlink("busybox", root.join("bin/sleep"))?;
    stripped(arch, &built.goinstr, &root.join("bin/goinstr"))?;
    stripped(arch, &built.live, &root.join("bin/live"))?;
    if arch == Arch::HOST {
        libraries(&built.goinstr, &root)?;
        libraries(&built.live, &root)?;
    }
    for target in fs::read_dir(&built.targets)? {
        let target = target?.path();
        let name = target.file_name().context("a target without a name")?;
        install(&target, &root.join("targets").join(name))?;
    }
    fs::write(root.join("targets/GOVERSION"), &built.go_version)?;
    let init = root.join("init");
    fs::write(&init, script(work))?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;

    let host_busybox = self::busybox(Arch::HOST, archive, cache)?;
    let mut pack = Command::new("sh");
    pack.current_dir(&root)
        .args([
            "-c",
            r#""$0" find . | "$0" cpio --quiet -o -H newc > "$1" 2>/dev/null"#,
        ])
        .arg(&host_busybox)
        .arg(into);
    let packed = pack.status().context("cannot run sh")?;
    anyhow::ensure!(packed.success(), "cannot pack {}", into.display());
    fs::remove_dir_all(&root)?;
    Ok(())
}

/// The guest's whole life.
fn script(work: &str) -> String {
    format!(
        r#"#!/bin/busybox sh
export PATH=/bin HOME=/root TMPDIR=/tmp
/bin/busybox --install -s /bin 2>/dev/null
mount -t devtmpfs dev /dev
exec </dev/null >/dev/console 2>&1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
mkdir -p /sys/fs/cgroup && mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t tmpfs tmp /tmp
ip link set lo up
echo 1 >/proc/sys/kernel/print-fatal-signals
echo 1 >/proc/sys/debug/exception-trace
export GOINSTR_LIVE_BINARY=/bin/goinstr GOINSTR_LIVE_TARGETS=/targets
echo "{MARK} kernel $(uname -r)"
{work}
echo "{MARK} done"
poweroff -f
"#
    )
}

fn busybox(arch: Arch, archive: &Archive, cache: &Path) -> Result<PathBuf> {
    let debian = arch.debian();
    let unpacked = cache.join(format!("busybox-{debian}"));
    if !unpacked.is_dir() {
        archive.unpack("trixie", &format!("busybox-static:{debian}"), &unpacked)?;
    }
    ["usr/bin/busybox", "bin/busybox"]
        .into_iter()
        .map(|path| unpacked.join(path))
        .find(|path| path.is_file())
        .with_context(|| format!("no busybox in {}", unpacked.display()))
}

fn install(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Without debug information, which is ten times the rest.
fn stripped(arch: Arch, from: &Path, to: &Path) -> Result<()> {
    let strip = match arch {
        _ if arch == Arch::HOST => "strip",
        Arch::X86_64 => "x86_64-linux-gnu-strip",
        Arch::Arm64 => "aarch64-linux-gnu-strip",
    };
    let done = Command::new(strip)
        .args(["--strip-debug", "-o"])
        .arg(to)
        .arg(from)
        .status();
    match done {
        Ok(status) if status.success() => Ok(()),
        _ => install(from, to),
    }
}

/// The shared libraries of an executable, at the paths where it looks for them.
fn libraries(executable: &Path, root: &Path) -> Result<()> {
    // `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`, and the loader by its path alone.
    let list = command::output(Command::new("ldd").arg(executable)).context("ldd failed")?;
    for path in list
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(Path::new)
    {
        let to = root.join(path.strip_prefix("/")?);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        install(path, &to)?;
    }
    Ok(())
}
