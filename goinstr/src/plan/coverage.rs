//! What coverage waits for: functions and lines, and the sites that show that they ran.
//!
//! In: the binary and the user's patterns. Out: a [`CoverPlan`]. A function has run when its body
//! was entered or a copy of it that was inlined somewhere; a line, when any of its instructions was.
//! A block shows what none of the blocks has without which it can't run, so that most have no site.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::body::{self, Body, Shown};
use super::obstacle::Obstacle;
use super::survey::{chosen, in_parallel, site};
use super::{Location, Pattern, PlanError, Site, Skipped};
use crate::binary::{Function, GoBinary, names};

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Which functions ran.
    Functions,
    /// Also which lines of them.
    Lines,
}

/// What coverage waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverPlan {
    /// Functions, by package and name. Instances of a generic one are one.
    pub functions: Vec<CoverFunction>,
    /// Files of the lines, by path.
    pub files: Vec<SourceFile>,
    /// Lines with code, by file and number. None unless they were asked for.
    pub lines: Vec<SourceLine>,
    /// Where to probe, by address.
    pub sites: Vec<CoverSite>,
    /// What was chosen and can't be seen.
    pub skipped: Vec<Skipped>,
    /// Functions that were chosen and are the compiler's own: they are in no source and count nowhere.
    pub made_up: usize,
}

/// A function that may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverFunction {
    /// Name as stack traces print it.
    pub name: String,
    /// Import path of its package: `main` for the main package.
    pub package: String,
    /// Where its source is, where the binary tells.
    pub location: Option<Location>,
    /// Number of its bodies and of the functions that hold an inlined copy of it, where it can't be
    /// seen: 0 for none. Such a function may have run without being seen.
    pub unseen: u32,
}

/// A file of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Path as the compiler recorded it.
    pub path: String,
    /// The same as Go's cover profiles name it: import path and file name. `None` where the package
    /// isn't known or has no import path.
    pub import: Option<String>,
}

/// A line with code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLine {
    /// Index in [`CoverPlan::files`].
    pub file: u32,
    /// Line, from 1.
    pub line: u32,
    /// Index in [`CoverPlan::functions`] of the function that it is of, where that counts.
    pub function: Option<u32>,
}

/// A place to probe and what a hit shows to have run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverSite {
    /// Where.
    pub site: Site,
    /// Indices in [`CoverPlan::functions`].
    pub functions: Vec<u32>,
    /// Indices in [`CoverPlan::lines`].
    pub lines: Vec<u32>,
}

/// What is to be waited for where `patterns` choose.
///
/// # Errors
/// Those of [`choose`](super::choose), [`PlanError::NothingMeasurable`] when nothing that was chosen
/// can be seen.
pub fn cover(
    binary: &GoBinary,
    patterns: &[Pattern],
    level: Level,
) -> Result<CoverPlan, PlanError> {
    let inlined = binary.inlined();
    let chosen = chosen(binary, &inlined, patterns)?;
    let names: HashSet<&str> = chosen.iter().map(|&(name, _)| name).collect();
    let bodies = bodies(&chosen, &inlined);
    let found = in_parallel(&bodies, |function| {
        Body::of(binary, function, &names, level)
    });
    let mut builder = Builder::new(binary);
    for &(name, function) in &chosen {
        builder.add_function(name, function);
    }
    for body in &found {
        builder.add_body(body);
    }
    builder.finish()
}

/// The bodies in which something that was chosen may run, by address.
fn bodies(
    chosen: &[(&str, Option<Function>)],
    inlined: &HashMap<&str, Vec<&Function>>,
) -> Vec<Function> {
    let own = chosen.iter().filter_map(|&(_, function)| function);
    let callers = chosen.iter().filter_map(|(name, _)| inlined.get(name));
    let mut bodies: Vec<Function> = own
        .chain(callers.flatten().map(|&&caller| caller))
        .collect();
    bodies.sort_by_key(|body| body.entry);
    bodies.dedup_by_key(|body| body.entry);
    bodies
}

/// Puts together what the bodies show.
struct Builder<'b> {
    binary: &'b GoBinary,
    /// By name as it is printed.
    functions: BTreeMap<String, Pending>,
    /// By full name: the name as it is printed, of those that count.
    printed: HashMap<&'b str, String>,
    /// File and line, with the functions it was seen in, by full name.
    lines: BTreeMap<(&'b str, u32), BTreeSet<&'b str>>,
    sites: Vec<(Site, Vec<Shown<'b>>)>,
    /// Import path by folder.
    packages: HashMap<&'b Path, String>,
    made_up: usize,
}

/// A function of the plan to be.
#[derive(Default)]
struct Pending {
    package: String,
    location: Option<Location>,
    seen: bool,
    unseen: u32,
    obstacle: Option<Obstacle>,
}

impl<'b> Builder<'b> {
    fn new(binary: &'b GoBinary) -> Self {
        Self {
            binary,
            functions: BTreeMap::new(),
            printed: HashMap::new(),
            lines: BTreeMap::new(),
            sites: Vec::new(),
            packages: HashMap::new(),
            made_up: 0,
        }
    }

    /// A function that was chosen.
    fn add_function(&mut self, name: &'b str, function: Option<Function>) {
        let wrapper = function.is_some_and(|function| function.is_wrapper());
        let foreign = function.is_some_and(|function| function.is_not_go());
        if wrapper || (names::is_made_up(name) && !foreign) {
            self.made_up += 1;
            return;
        }
        let location = function.and_then(|function| self.binary.location(&function));
        if let Some(location) = &location
            && !names::is_closure(name)
            && let Some(folder) = Path::new(location.file).parent()
        {
            let import = self.import_path(name);
            self.packages.extend(import.map(|import| (folder, import)));
        }
        let printed = names::printed(name).into_owned();
        let pending = self.functions.entry(printed.clone()).or_default();
        pending.package = names::import_path(names::package(name)).into_owned();
        pending.location = pending.location.take().or(location.map(|at| Location {
            file: at.file.to_owned(),
            line: at.line,
        }));
        self.printed.insert(name, printed);
    }

    /// Import path of the package that a name is of, as Go's tools find it.
    fn import_path(&self, name: &str) -> Option<String> {
        let package = names::import_path(names::package(name));
        if package != "main" {
            return Some(package.into_owned()).filter(|package| !package.is_empty());
        }
        // The main package calls itself `main` in symbols. Files given to `go build` have no package.
        let path = self.binary.build_info()?.path.clone()?;
        (path != "command-line-arguments").then_some(path)
    }

    /// What a body shows.
    fn add_body(&mut self, body: &Body<'b>) {
        for &(address, ref shown) in &body.sites {
            match site(self.binary, address) {
                Ok(site) => {
                    for shown in shown {
                        self.note(shown);
                    }
                    self.sites.push((site, shown.clone()));
                }
                Err(obstacle) => shown.iter().for_each(|shown| self.miss(shown, &obstacle)),
            }
        }
        for (shown, obstacle) in &body.unseen {
            self.miss(shown, obstacle);
        }
        for &(name, file, line) in &body.places {
            if let Some(pending) = self.pending(name) {
                pending.location.get_or_insert_with(|| Location {
                    file: file.to_owned(),
                    line,
                });
            }
        }
    }

    fn note(&mut self, shown: &Shown<'b>) {
        match *shown {
            Shown::Function(name) => {
                if let Some(pending) = self.pending(name) {
                    pending.seen = true;
                }
            }
            Shown::Line { file, line, name } => {
                self.lines.entry((file, line)).or_default().insert(name);
            }
        }
    }

    fn miss(&mut self, shown: &Shown<'b>, obstacle: &Obstacle) {
        if let Shown::Function(name) = shown
            && let Some(pending) = self.pending(name)
        {
            pending.unseen += 1;
            pending.obstacle.get_or_insert_with(|| obstacle.clone());
        }
    }

    fn pending(&mut self, name: &str) -> Option<&mut Pending> {
        self.functions.get_mut(self.printed.get(name)?)
    }

    fn finish(mut self) -> Result<CoverPlan, PlanError> {
        let mut skipped = Vec::new();
        let mut functions: Vec<CoverFunction> = Vec::new();
        for (name, pending) in std::mem::take(&mut self.functions) {
            if !pending.seen {
                let obstacle = pending.obstacle;
                skipped.push(Skipped {
                    function: name,
                    reason: obstacle.as_ref().map_or("no_code", Obstacle::reason),
                    detail: obstacle.as_ref().map_or_else(
                        || "no instruction of it is left where it was inlined".to_owned(),
                        body::detail,
                    ),
                });
                continue;
            }
            functions.push(CoverFunction {
                name,
                package: pending.package,
                location: pending.location,
                unseen: pending.unseen,
            });
        }
        if functions.is_empty() {
            return Err(PlanError::NothingMeasurable { skipped });
        }
        functions.sort_by(|a, b| (&a.package, &a.name).cmp(&(&b.package, &b.name)));
        let ids: HashMap<&str, u32> = functions
            .iter()
            .zip(0..)
            .map(|(function, id)| (function.name.as_str(), id))
            .collect();
        let printed = std::mem::take(&mut self.printed);
        let id = |name: &str| ids.get(printed.get(name)?.as_str()).copied();
        self.drop_declarations(&functions, &id);
        let (files, lines) = self.number_lines(&functions, &id);
        let line_ids: HashMap<(&str, u32), u32> = self.lines.keys().copied().zip(0..).collect();
        let mut sites: Vec<CoverSite> = Vec::with_capacity(self.sites.len());
        for (site, shown) in &self.sites {
            let mut shows = CoverSite {
                site: *site,
                functions: Vec::new(),
                lines: Vec::new(),
            };
            for shown in shown {
                match *shown {
                    Shown::Function(name) => shows.functions.extend(id(name)),
                    Shown::Line { file, line, .. } => {
                        shows.lines.extend(line_ids.get(&(file, line)));
                    }
                }
            }
            shows.functions.sort_unstable();
            shows.functions.dedup();
            shows.lines.sort_unstable();
            shows.lines.dedup();
            if !shows.functions.is_empty() || !shows.lines.is_empty() {
                sites.push(shows);
            }
        }
        Ok(CoverPlan {
            sites,
            lines,
            files,
            skipped,
            made_up: self.made_up,
            functions,
        })
    }

    /// The line of a `func` is no statement: it goes where the function has others, so that what is
    /// counted are lines that do something.
    fn drop_declarations(
        &mut self,
        functions: &[CoverFunction],
        id: &impl Fn(&str) -> Option<u32>,
    ) {
        let mut has_more: HashSet<u32> = HashSet::new();
        let declares = |at: (&str, u32), function: u32| {
            functions
                .get(function as usize)
                .and_then(|function| function.location.as_ref())
                .is_some_and(|location| location.file == at.0 && location.line == at.1)
        };
        for (&at, names) in &self.lines {
            let others = names.iter().filter_map(|name| id(name));
            has_more.extend(others.filter(|&function| !declares(at, function)));
        }
        self.lines.retain(|&at, names| {
            !names.iter().all(|name| {
                id(name)
                    .is_some_and(|function| declares(at, function) && has_more.contains(&function))
            })
        });
    }

    fn number_lines(
        &self,
        functions: &[CoverFunction],
        id: &impl Fn(&str) -> Option<u32>,
    ) -> (Vec<SourceFile>, Vec<SourceLine>) {
        let mut files: Vec<SourceFile> = Vec::new();
        let mut lines = Vec::with_capacity(self.lines.len());
        for (&(path, line), names) in &self.lines {
            if files.last().is_none_or(|file| file.path != path) {
                files.push(SourceFile {
                    path: path.to_owned(),
                    import: self.imported(path),
                });
            }
            // The innermost of several: the one that begins last.
            let function = names.iter().filter_map(|name| id(name)).max_by_key(|&id| {
                let location = functions.get(id as usize)?.location.as_ref()?;
                Some(location.line)
            });
            lines.push(SourceLine {
                file: u32::try_from(files.len() - 1).unwrap_or(u32::MAX),
                line,
                function,
            });
        }
        (files, lines)
    }

    /// A file's name in a cover profile.
    fn imported(&self, path: &str) -> Option<String> {
        let path = Path::new(path);
        let import = self.packages.get(path.parent()?)?;
        Some(format!("{import}/{}", path.file_name()?.to_str()?))
    }
}
