//! Building a Go target: one executable for each source, toolchain and set of flags, once a run.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use super::toolchain::{self, Toolchain};

/// What is to be built, and how.
#[derive(Clone, Debug)]
pub struct Build {
    source: PathBuf,
    toolchain: Option<Toolchain>,
    flags: Vec<&'static str>,
    cgo: bool,
    /// `go build -overlay`: a JSON file.
    overlay: Option<PathBuf>,
}

impl Build {
    /// A target of `testdata/targets`, optimised, by the usual toolchain.
    pub fn of(target: &str) -> Self {
        Self::in_folder(targets().join(target))
    }

    /// The main package in a folder.
    pub fn in_folder(source: PathBuf) -> Self {
        Self {
            source,
            toolchain: toolchain::usual().cloned(),
            flags: Vec::new(),
            cgo: false,
            overlay: None,
        }
    }

    /// By this toolchain.
    pub fn with(mut self, toolchain: &Toolchain) -> Self {
        self.toolchain = Some(toolchain.clone());
        self
    }

    /// Neither optimised nor inlined, as for a debugger.
    pub fn unoptimised(self) -> Self {
        self.flag("-gcflags=all=-N -l")
    }

    /// Without symbol table and DWARF.
    pub fn stripped(self) -> Self {
        self.flag("-ldflags=-s -w")
    }

    /// Position-independent.
    pub fn pie(self) -> Self {
        self.flag("-buildmode=pie")
    }

    /// As a plugin, which another executable loads; needs a C compiler.
    pub fn plugin(self) -> Self {
        self.flag("-buildmode=plugin").cgo()
    }

    /// As `go build -buildmode` names it.
    pub fn mode(mut self, mode: &'static str) -> Self {
        self.flags.push("-buildmode");
        self.flags.push(mode);
        self
    }

    /// With the race detector, which needs a C compiler.
    pub fn race(self) -> Self {
        self.flag("-race").cgo()
    }

    /// With Go's own coverage of the main module.
    pub fn covered(self) -> Self {
        self.flag("-cover")
    }

    /// With cgo, which needs a C compiler.
    pub fn cgo(mut self) -> Self {
        self.cgo = true;
        self
    }

    /// With some files replaced, as this JSON file says; there is one such file for a source.
    pub fn overlay(mut self, overlay: PathBuf) -> Self {
        self.overlay = Some(overlay);
        self
    }

    /// Runs the command that a folder of the source holds, in the source's folder.
    pub fn run_command(&self, command: &str, argument: &Path) -> Result<()> {
        let mut go = self.go()?;
        go.args(["run", command]).arg(argument);
        succeed(&mut go)
    }

    fn flag(mut self, flag: &'static str) -> Self {
        self.flags.push(flag);
        self
    }

    /// The executable.
    pub fn executable(&self) -> Result<PathBuf> {
        type Built = Arc<OnceLock<Result<PathBuf, String>>>;
        static BUILT: OnceLock<Mutex<HashMap<String, Built>>> = OnceLock::new();
        let name = self.name()?;
        let slot = Arc::clone(
            BUILT
                .get_or_init(Mutex::default)
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(name.clone())
                .or_default(),
        );
        slot.get_or_init(|| self.run(&name).map_err(|error| format!("{error:#}")))
            .clone()
            .map_err(|error| anyhow!(error))
    }

    fn name(&self) -> Result<String> {
        let toolchain = self.toolchain.as_ref().context("no Go toolchain found")?;
        let source = self.source.file_name().context("a folder without a name")?;
        let mut name = format!("{}-{}", source.to_string_lossy(), toolchain.version);
        if self.overlay.is_some() {
            name.push_str("-overlay");
        }
        for flag in &self.flags {
            name.extend(
                flag.chars()
                    .filter(|c| c.is_ascii_alphanumeric() || *c == '-'),
            );
        }
        Ok(name)
    }

    fn run(&self, name: &str) -> Result<PathBuf> {
        if let Some(prebuilt) = toolchain::prebuilt() {
            let executable = prebuilt.join(name);
            ensure!(executable.is_file(), "{name} was not built before");
            return Ok(executable);
        }
        let executable = scratch().join(name);
        let mut go = self.go()?;
        go.args(["build", "-buildvcs=false", "-o"])
            .arg(&executable)
            .args(&self.flags);
        if let Some(overlay) = &self.overlay {
            go.arg("-overlay").arg(overlay);
        }
        succeed(go.arg("."))?;
        Ok(executable)
    }

    /// The `go` command in the source's folder, kept from the network and from the user's settings.
    fn go(&self) -> Result<Command> {
        let toolchain = self.toolchain.as_ref().context("no Go toolchain found")?;
        let mut go = Command::new(&toolchain.go);
        go.current_dir(&self.source)
            .env("CGO_ENABLED", if self.cgo { "1" } else { "0" })
            .env("GOTOOLCHAIN", "local")
            .env("GOPROXY", "off")
            .env("GOWORK", "off")
            .env("GOFLAGS", "")
            // Wherever PATH's go comes from, the toolchain chosen uses its own root.
            .env_remove("GOROOT");
        Ok(go)
    }
}

fn succeed(go: &mut Command) -> Result<()> {
    let output = go.output().with_context(|| format!("can't run {go:?}"))?;
    if !output.status.success() {
        bail!(
            "{go:?} failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Whether Go can link C, with the compiler that it uses by default.
pub fn has_c_compiler() -> bool {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "gcc".into());
    let version = Command::new(compiler).arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

/// `testdata/targets`.
pub fn targets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/targets")
}

/// Where tests put what they build and write. A guest doesn't have the builder's folder.
pub fn scratch() -> &'static Path {
    match toolchain::prebuilt() {
        Some(_) => Path::new("/tmp"),
        None => Path::new(env!("CARGO_TARGET_TMPDIR")),
    }
}
