//! The forms a binary comes in: how it is built, and what is taken away from it afterwards.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use goinstr::binary::Arch;

use crate::{toolchain::Toolchain, truth::Truth};

/// How `go build` is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Executable,
    Pie,
    /// Paths of this machine left out.
    Trimpath,
    /// Neither optimised nor inlined.
    Unoptimised,
    /// With C code, linked by the C linker.
    CgoExternal,
    /// Position-independent, by the C linker, with the relocations packed (`DT_RELR`).
    PackedPie,
    /// With the standard library's C code, linked by Go's linker.
    CgoInternal,
    CShared,
    /// Loops to a function's first instruction.
    EntryLoop,
    /// Wrappers that leave by a jump.
    Wrappers,
    /// A first instruction with a LOCK prefix.
    LockedEntry,
    /// A bounds check that looks like a stack check.
    BoundsCheck,
    /// Names with all that Go allows in them.
    Names,
    /// Loop bodies that are functions.
    RangeFunc,
}

impl Mode {
    pub const ALL: [Self; 14] = [
        Self::Executable,
        Self::Pie,
        Self::Trimpath,
        Self::Unoptimised,
        Self::CgoExternal,
        Self::PackedPie,
        Self::CgoInternal,
        Self::CShared,
        Self::EntryLoop,
        Self::Wrappers,
        Self::LockedEntry,
        Self::BoundsCheck,
        Self::Names,
        Self::RangeFunc,
    ];

    /// Folder of `testdata/targets`.
    fn target(self) -> &'static str {
        match self {
            Self::Executable | Self::Pie | Self::Trimpath | Self::Unoptimised => "basic",
            Self::CgoExternal | Self::PackedPie => "cgo",
            Self::CgoInternal => "cgoint",
            Self::CShared => "cshared",
            Self::EntryLoop => "entryloop",
            Self::Wrappers => "ifacewrap",
            Self::LockedEntry => "lockentry",
            Self::BoundsCheck => "freshg",
            Self::Names => "names",
            Self::RangeFunc => "rangefunc",
        }
    }

    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Executable
            | Self::EntryLoop
            | Self::Wrappers
            | Self::LockedEntry
            | Self::BoundsCheck
            | Self::Names
            | Self::RangeFunc => &[],
            Self::Pie => &["-buildmode=pie"],
            Self::Trimpath => &["-trimpath"],
            Self::Unoptimised => &["-gcflags=all=-N -l"],
            Self::CgoExternal => &["-ldflags=-linkmode=external"],
            Self::PackedPie => &[
                "-buildmode=pie",
                "-ldflags=-linkmode=external -extldflags=-Wl,-z,pack-relative-relocs",
            ],
            Self::CgoInternal => &["-ldflags=-linkmode=internal"],
            Self::CShared => &["-buildmode=c-shared"],
        }
    }

    /// Whether the binary has the hard case in it that it is built for.
    pub fn is_as_meant(self, arch: Arch, truth: &Truth) -> bool {
        let mut own = truth
            .values()
            .filter(|function| function.name.starts_with("main."));
        match self {
            Self::EntryLoop => own.any(|function| function.loops),
            Self::Wrappers => own.any(|function| function.jumps_out),
            // arm64 has no such prefix.
            Self::LockedEntry => arch == Arch::Aarch64 || own.any(|function| function.locked),
            Self::BoundsCheck => {
                own.any(|function| function.name == "main.use" && function.checked)
            }
            _ => true,
        }
    }

    /// The minor version of Go that its source needs.
    fn since(self) -> u32 {
        match self {
            Self::LockedEntry | Self::RangeFunc => 23,
            _ => 19,
        }
    }

    fn needs_c(self) -> bool {
        matches!(
            self,
            Self::CgoExternal | Self::PackedPie | Self::CgoInternal | Self::CShared
        )
    }
}

/// What is missing from a binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stripping {
    Nothing,
    /// `-ldflags="-s -w"`
    Linker,
    /// binutils' `strip`
    Strip,
    /// Section headers, and whatever no segment loads: what `sstrip` does.
    Sections,
}

/// One build, whose forms are compared.
#[derive(Clone, Debug)]
pub struct Plan {
    pub toolchain: Toolchain,
    pub arch: Arch,
    pub mode: Mode,
}

impl Plan {
    /// Why it can't be built here.
    pub fn impossible(&self) -> Option<&'static str> {
        if !self.toolchain.at_least(self.mode.since()) {
            return Some("the source needs a newer Go");
        }
        let go = &self.toolchain;
        let makes_no_such_code = match self.mode {
            Mode::Wrappers => go.at_least(21) && !go.at_least(24),
            Mode::LockedEntry => !go.at_least(24),
            _ => false,
        };
        if makes_no_such_code {
            return Some("this Go's compiler makes no such code");
        }
        (self.mode.needs_c() && self.tools().is_none())
            .then_some("needs a C compiler for the architecture")
    }

    pub fn strippings(&self) -> Vec<Stripping> {
        let mut strippings = vec![Stripping::Nothing];
        if self.mode == Mode::Executable {
            strippings.push(Stripping::Linker);
        }
        if !matches!(
            self.mode.target(),
            "entryloop" | "ifacewrap" | "lockentry" | "freshg"
        ) {
            strippings.extend([Stripping::Strip, Stripping::Sections]);
        }
        strippings
    }

    /// The binary with everything in it.
    pub fn build(&self) -> Result<PathBuf, String> {
        self.go_build(self.mode.flags(), "whole")
    }

    /// `twin` with something taken away; `Err` within if this machine can't.
    pub fn strip(
        &self,
        twin: &Path,
        stripping: Stripping,
    ) -> Result<Result<PathBuf, &'static str>, String> {
        let to = self.place(&stripping.to_string());
        match stripping {
            Stripping::Nothing => return Ok(Ok(twin.to_owned())),
            Stripping::Linker => return self.go_build(&["-ldflags=-s -w"], "sw").map(Ok),
            Stripping::Strip => {
                let Some(prefix) = self.tools() else {
                    return Ok(Err("needs binutils for the architecture"));
                };
                let mut strip = Command::new(format!("{prefix}strip"));
                match strip.arg("-o").arg(&to).arg(twin).output() {
                    Err(_) => return Ok(Err("needs binutils")),
                    Ok(output) if !output.status.success() => {
                        return Err(format!(
                            "strip: {}",
                            String::from_utf8_lossy(&output.stderr)
                        ));
                    }
                    Ok(_) => {}
                }
            }
            Stripping::Sections => {
                let mut bytes =
                    fs::read(twin).map_err(|why| format!("{}: {why}", twin.display()))?;
                drop_sections(&mut bytes).ok_or("the twin is no ELF file")?;
                fs::write(&to, bytes).map_err(|why| format!("{}: {why}", to.display()))?;
            }
        }
        Ok(Ok(to))
    }

    fn go_build(&self, flags: &[&str], form: &str) -> Result<PathBuf, String> {
        let to = self.place(form);
        let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/targets");
        let mut go = go(&self.toolchain);
        if let Some(prefix) = self.tools().filter(|prefix| !prefix.is_empty()) {
            go.env("CC", format!("{prefix}gcc"));
        }
        let output = go
            .args(["build", "-buildvcs=false", "-o"])
            .arg(&to)
            .args(flags)
            .arg(".")
            .current_dir(targets.join(self.mode.target()))
            .env("GOOS", "linux")
            .env("GOARCH", goarch(self.arch))
            .env("CGO_ENABLED", if self.mode.needs_c() { "1" } else { "0" })
            .output()
            .map_err(|why| format!("{}: {why}", self.toolchain.go.display()))?;
        if output.status.success() {
            return Ok(to);
        }
        Err(format!(
            "go build: {}",
            String::from_utf8_lossy(&output.stderr)
        ))
    }

    fn place(&self, form: &str) -> PathBuf {
        let name = format!("matrix-{self}-{form}").replace(' ', "-");
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
    }

    /// What the names of gcc and binutils for the architecture begin with. With a cross compiler only where
    /// everything is asked for: it takes its time.
    fn tools(&self) -> Option<&'static str> {
        const CROSS: &str = "aarch64-linux-gnu-";
        static CROSS_THERE: OnceLock<bool> = OnceLock::new();
        if self.arch.name() == env::consts::ARCH {
            return Some("");
        }
        let there = || {
            let gcc = Command::new(format!("{CROSS}gcc"))
                .arg("--version")
                .output();
            crate::is_all() && gcc.is_ok_and(|gcc| gcc.status.success())
        };
        (self.arch == Arch::Aarch64 && *CROSS_THERE.get_or_init(there)).then_some(CROSS)
    }
}

/// A toolchain's `go`, on its own and with nothing fetched.
pub fn go(toolchain: &Toolchain) -> Command {
    let mut go = Command::new(&toolchain.go);
    if let Some(home) = env::var_os("HOME") {
        // Beside the toolchains: a standard library for each of them is large.
        go.env("GOCACHE", Path::new(&home).join(".cache/goinstr/gocache"));
    }
    go.env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off")
        .env("GOWORK", "off")
        .env("GOFLAGS", "")
        .env_remove("GOROOT");
    go
}

/// As Go names the architecture.
pub fn goarch(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "amd64",
        Arch::Aarch64 => "arm64",
    }
}

/// Cuts the file behind its last segment and takes the section headers out of the ELF header
/// (e_shoff, e_shentsize, e_shnum, e_shstrndx of a 64-bit little-endian file).
fn drop_sections(elf: &mut Vec<u8>) -> Option<()> {
    const PROGRAM_HEADER: usize = 56;
    let word = |at: usize| {
        elf.get(at..at + 8)
            .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
    };
    let table = word(0x20)? as usize;
    let count = usize::from(*elf.get(0x38)?);
    let mut end = 0;
    for header in (0..count).map(|index| table + index * PROGRAM_HEADER) {
        end = end.max(word(header + 0x08)? + word(header + 0x20)?);
    }
    elf.truncate(end as usize);
    elf.get_mut(0x28..0x30)?.fill(0);
    elf.get_mut(0x3a..0x40)?.fill(0);
    Some(())
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.toolchain.version,
            goarch(self.arch),
            self.mode
        )
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Executable => "exe",
            Self::Pie => "pie",
            Self::Trimpath => "trimpath",
            Self::Unoptimised => "-N-l",
            Self::CgoExternal => "cgo-external",
            Self::PackedPie => "pie-packed",
            Self::CgoInternal => "cgo-internal",
            Self::CShared => "c-shared",
            Self::EntryLoop => "entry-loop",
            Self::Wrappers => "wrappers",
            Self::LockedEntry => "locked-entry",
            Self::BoundsCheck => "bounds-check",
            Self::Names => "names",
            Self::RangeFunc => "range-func",
        })
    }
}

impl fmt::Display for Stripping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nothing => "whole",
            Self::Linker => "-s-w",
            Self::Strip => "strip",
            Self::Sections => "no-sections",
        })
    }
}
