//! The binary that a command reads: opened by path or through a process.

use std::path::{Path, PathBuf};

use super::config::Subject;
use super::failure::Failure;
use super::progress::Progress;
use crate::binary::{self, BinaryError, GoBinary};
use crate::plan::{self, Module, Pattern, ProbePlan};
use crate::target::{Target, TargetError};

/// An opened binary and what to call it.
pub(super) struct Opened {
    pub binary: GoBinary,
    /// Go code beside it in the same process.
    pub plugins: Vec<Module>,
    /// Path as the process sees it, or as the user gave it.
    pub path: PathBuf,
    /// Keeps the file open that `binary` was read from.
    _target: Option<Target>,
}

impl Subject {
    /// Finds and reads the binary.
    pub fn open(&self) -> Result<Opened, Failure> {
        match self {
            Self::File(path) => {
                let binary = Progress::of_unknown("reading the binary")
                    .during(|| GoBinary::open(path))
                    .map_err(Failure::failed)?;
                Ok(Opened {
                    binary,
                    plugins: Vec::new(),
                    path: path.clone(),
                    _target: None,
                })
            }
            Self::Selected(selection) => {
                let mut target = Target::find(selection).map_err(Failure::failed)?;
                let binary = read(&mut target)?;
                let plugins = plugins(&mut target, &binary)?;
                Ok(Opened {
                    binary,
                    plugins,
                    path: target.image().path().to_owned(),
                    _target: Some(target),
                })
            }
        }
    }
}

/// Why the Go code of a target can't be read.
#[derive(Debug)]
pub(super) struct Unread {
    /// What is wrong, on what.
    pub what: String,
    /// What to do next.
    pub remedy: String,
    /// All of it in a line.
    line: String,
}

impl From<TargetError> for Unread {
    fn from(error: TargetError) -> Self {
        Self {
            what: error.what(),
            remedy: error.remedy(),
            line: error.to_string(),
        }
    }
}

impl From<Unread> for Failure {
    fn from(unread: Unread) -> Self {
        Self::failed(unread.line)
    }
}

/// Reads the Go code of a target: its executable, or the only Go library of a process that is no
/// Go program itself, which is then what is measured of it.
pub(super) fn read(target: &mut Target) -> Result<GoBinary, Unread> {
    let reading = Progress::of_unknown("reading the binary");
    let error = match reading.during(|| GoBinary::open(&target.open_path())) {
        Ok(binary) => return Ok(binary),
        Err(error) => error,
    };
    if !matches!(error, BinaryError::NotGo { .. }) {
        return Err(told(target, &error));
    }
    let libraries = target.libraries()?;
    let mut found = libraries.into_iter().filter_map(|library| {
        let binary = GoBinary::open(&library.open_path()).ok()?;
        Some((library, binary))
    });
    match (found.next(), found.next()) {
        (Some((library, binary)), None) => {
            log::info!("the Go code is in the library {}", library.path().display());
            target.measure(library);
            Ok(binary)
        }
        (Some((first, _)), Some((second, _))) => {
            let what = format!(
                "several libraries of the process are Go ({}, {}, …)",
                first.path().display(),
                second.path().display()
            );
            let remedy = "choose one with --exe".to_owned();
            let line = format!("{what}: {remedy}");
            Err(Unread { what, remedy, line })
        }
        (None, _) => Err(told(target, &error)),
    }
}

/// Reads the Go code of a target, its plugins' too, and plans what `patterns` choose of it.
pub(super) fn planned(
    target: &mut Target,
    patterns: &[Pattern],
) -> Result<(GoBinary, ProbePlan), Failure> {
    let program = read(target)?;
    let plugins = plugins(target, &program)?;
    let plan = Progress::of_unknown("decoding the functions")
        .during(|| plan::plan_modules(&program, &plugins, patterns))?;
    Ok((program, plan))
}

/// Tells of the plugins of a process where only the program's own file is looked at.
pub(super) fn leave_plugins_out(target: &mut Target, program: &GoBinary) -> Result<(), Failure> {
    for plugin in plugins(target, program)? {
        log::warn!(
            "{} is a plugin of the process: its functions are not covered, only the program's own",
            plugin.path.display()
        );
    }
    Ok(())
}

/// The Go code that the dynamic loader has put beside a process' own: its plugins, as they are now.
///
/// They share the program's runtime, so they are of its very Go version; a `c-shared` library in a
/// Go process has a runtime of its own, and goroutines that are none of the program's.
fn plugins(target: &mut Target, program: &GoBinary) -> Result<Vec<Module>, Failure> {
    if target.process().is_none() || !program.loads_libraries() {
        return Ok(Vec::new());
    }
    let mut modules = Vec::new();
    for library in target.libraries().map_err(Failure::failed)? {
        let Ok(binary) = GoBinary::open(&library.open_path()) else {
            continue;
        };
        let path = library.path().to_owned();
        let mode = binary
            .build_info()
            .and_then(|info| info.setting("-buildmode"));
        if binary.go_version() != program.go_version() || mode == Some("c-shared") {
            log::warn!(
                "{} has a Go runtime of its own: it is left out",
                path.display()
            );
            continue;
        }
        log::info!("{} is a Go plugin of the process", path.display());
        let open_path = library.open_path();
        target.measure_also(library);
        modules.push(Module {
            binary,
            path,
            open_path,
        });
    }
    Ok(modules)
}

/// The error with the file called as the process does, not by the descriptor that it is read through.
fn told(target: &Target, error: &BinaryError) -> Unread {
    let what = error
        .what()
        .replace(&text(&target.open_path()), &text(target.exe()));
    let what = match target.pid() {
        Some(pid) => format!("process {pid}: {what}"),
        None => what,
    };
    let remedy = error.remedy().to_owned();
    let line = format!("{what}; {remedy}");
    Unread { what, remedy, line }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// What the loader added to the file's addresses, where one process is measured and that can be known.
pub(super) fn load_bias(target: &Target, binary: &GoBinary) -> Option<u64> {
    let process = target.process()?;
    binary::load_bias(binary, process.pid().0).ok()?
}
