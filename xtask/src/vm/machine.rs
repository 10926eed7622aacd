//! One virtual machine: an architecture, a kernel, an emulator; booted with an initramfs, its
//! console read line by line.
//!
//! Software emulation throughout (TCG): it runs wherever a process runs, and both architectures
//! run alike.

use crate::{
    archive::{self, Archive},
    command,
};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

/// The release whose QEMU is used: 7.2 and older are flaky with newer x86_64 kernels.
const EMULATOR_RELEASE: &str = "trixie";

/// Two CPUs of a guest, by turns on one of the host's.
///
/// At once, the emulator now and then goes on with an instruction that is no longer there. The kernel steps the
/// instructions under probes in slots that threads use one after the other, and targets died of an instruction of
/// another function's (docs/reliability.md).
const ACCELERATOR: &str = "tcg,thread=single";

/// Kernel parameters. The mitigations are for real CPUs; emulated, they are what takes longest.
const PARAMETERS: &str =
    "panic=-1 quiet mitigations=off init_on_alloc=0 rcupdate.rcu_cpu_stall_suppress=1";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Arch {
    #[value(name = "x86_64", alias = "amd64")]
    X86_64,
    #[value(name = "arm64", alias = "aarch64")]
    Arm64,
}

impl Arch {
    pub const HOST: Self = if cfg!(target_arch = "aarch64") {
        Self::Arm64
    } else {
        Self::X86_64
    };

    /// As users call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    /// As Debian and Go call it.
    pub fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    fn emulator(self) -> &'static str {
        match self {
            Self::X86_64 => "qemu-system-x86_64",
            Self::Arm64 => "qemu-system-aarch64",
        }
    }

    fn machine(self) -> [&'static str; 4] {
        match self {
            Self::X86_64 => ["-machine", "q35", "-cpu", "max"],
            // Pointer authentication as hardware does it takes the emulator ten times as long.
            Self::Arm64 => ["-machine", "virt", "-cpu", "max,pauth-impdef=on"],
        }
    }

    fn console(self) -> &'static str {
        match self {
            Self::X86_64 => "ttyS0",
            Self::Arm64 => "ttyAMA0",
        }
    }
}

/// A kernel that Debian has a package of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kernel {
    /// bullseye's, older than goinstr can work with
    #[value(name = "5.10")]
    V5_10,
    /// bookworm's: no uprobe.multi
    #[value(name = "6.1")]
    V6_1,
    /// trixie's
    #[value(name = "6.12")]
    V6_12,
    /// trixie-backports': the newest
    #[value(name = "7.3")]
    V7_3,
}

impl Kernel {
    pub const ALL: [Self; 4] = [Self::V5_10, Self::V6_1, Self::V6_12, Self::V7_3];

    pub fn name(self) -> &'static str {
        match self {
            Self::V5_10 => "5.10",
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
            Self::V7_3 => "7.3",
        }
    }

    fn release(self) -> &'static str {
        match self {
            Self::V5_10 => "bullseye",
            Self::V6_1 => "bookworm",
            Self::V6_12 => "trixie",
            Self::V7_3 => "trixie-backports",
        }
    }

    /// The kernel program calls `bpf_loop`, which is Linux 5.17's.
    pub fn too_old(self) -> bool {
        self == Self::V5_10
    }

    /// The image, fetched when it isn't there.
    pub fn image(self, arch: Arch, archive: &Archive, cache: &Path) -> Result<PathBuf> {
        let debian = arch.debian();
        let unpacked = cache.join(format!("linux-{}-{debian}", self.name()));
        if !unpacked.is_dir() {
            let release = self.release();
            let newest = format!("linux-image-{debian}:{debian}");
            let numbered = format!("linux-image-{}", &self.name()[..1]);
            let image = archive
                .dependency(release, &newest, &numbered)?
                .with_context(|| format!("{newest} of {release} depends on no {numbered}*"))?;
            // From 7 on, the file is in a package of its own.
            let binary = archive.dependency(release, &image, "linux-binary-")?;
            let package = binary.unwrap_or(image);
            archive.unpack(release, &package, &unpacked)?;
        }
        archive::find(&unpacked, "vmlinuz")?
            .with_context(|| format!("no vmlinuz in {}", unpacked.display()))
    }
}

/// QEMU for both architectures, with the libraries that it came with.
pub struct Emulator(PathBuf);

impl Emulator {
    /// Fetched when it isn't there. Nothing of it is installed.
    pub fn find_or_fetch(archive: &Archive, cache: &Path) -> Result<Self> {
        let unpacked = cache.join("qemu");
        if !unpacked.is_dir() {
            let host = Arch::HOST.debian();
            let packages = ["x86", "arm"].map(|of| format!("qemu-system-{of}:{host}"));
            archive.unpack_whole(
                EMULATOR_RELEASE,
                &packages.each_ref().map(String::as_str),
                &unpacked,
            )?;
        }
        Ok(Self(unpacked))
    }

    /// Boots and passes each line of the console to `line`, until the guest powers off.
    ///
    /// # Errors
    /// It takes longer than `patience`, or the guest is not seen to power off.
    pub fn boot(
        &self,
        arch: Arch,
        image: &Path,
        initramfs: &Path,
        patience: Duration,
        mut line: impl FnMut(&str),
    ) -> Result<()> {
        let mut qemu = self.command(arch)?;
        qemu.args(arch.machine())
            .args(["-accel", ACCELERATOR, "-smp", "2", "-m", "3072"])
            .args(["-nodefaults", "-no-user-config", "-no-reboot"])
            .args(["-display", "none", "-serial", "stdio"])
            .arg("-kernel")
            .arg(image)
            .arg("-initrd")
            .arg(initramfs)
            .arg("-append")
            .arg(format!("console={} {PARAMETERS}", arch.console()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command::say(&qemu);
        let mut running = Running(qemu.spawn().context("cannot run QEMU")?);
        let console = running.0.stdout.take().context("QEMU's stdout")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            // Firmware writes what is no text.
            for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                if sender.send(line.trim_end().to_owned()).is_err() {
                    return;
                }
            }
        });
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(text) => line(&text),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => bail!("not done after {patience:?}"),
            }
        }
        let status = running.0.wait()?;
        if !status.success() {
            bail!("QEMU ended with {status}");
        }
        Ok(())
    }

    fn command(&self, arch: Arch) -> Result<Command> {
        let root = &self.0;
        let triple = match Arch::HOST {
            Arch::X86_64 => "x86_64-linux-gnu",
            Arch::Arm64 => "aarch64-linux-gnu",
        };
        let mut qemu = archive::unpacked(root, triple, arch.emulator())?;
        for firmware in ["qemu", "seabios", "ipxe/qemu"] {
            qemu.arg("-L").arg(root.join("usr/share").join(firmware));
        }
        Ok(qemu)
    }
}

/// QEMU, ended with us.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
