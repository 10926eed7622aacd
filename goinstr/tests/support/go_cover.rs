//! Go's own coverage of a program, the oracle of `goinstr cover`, and how the two compare.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::{build, coverage::FileLines, toolchain::Toolchain};

/// A block of a Go cover profile. Lines and columns count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    pub start: (u32, u32),
    pub end: (u32, u32),
    pub ran: bool,
}

/// Go's own coverage: blocks by file, as its profiles name it.
#[derive(Clone, Debug, Default)]
pub struct Profile(pub BTreeMap<String, Vec<Block>>);

impl Profile {
    /// Runs a program that was built with `-cover` and reads what it left.
    pub fn of_run(
        exe: &Path,
        toolchain: &Toolchain,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Result<Self> {
        let folder = folder()?;
        run(
            exe,
            args,
            &[env, &[("GOCOVERDIR", &folder.path().to_string_lossy())]].concat(),
        )?;
        Self::of_folder(folder.path(), toolchain)
    }

    /// Reads a GOCOVERDIR.
    pub fn of_folder(folder: &Path, toolchain: &Toolchain) -> Result<Self> {
        let text = folder.join("profile");
        let output = Command::new(&toolchain.go)
            .args(["tool", "covdata", "textfmt"])
            .arg(format!("-i={}", folder.display()))
            .arg(format!("-o={}", text.display()))
            .env("GOTOOLCHAIN", "local")
            .env_remove("GOROOT")
            .output()
            .context("can't run go")?;
        ensure!(
            output.status.success(),
            "go tool covdata: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Self::parse(&fs::read_to_string(text)?)
    }

    /// Reads a profile's text.
    pub fn parse(text: &str) -> Result<Self> {
        let mut files: BTreeMap<String, Vec<Block>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with("mode:")) {
            // file:line.column,line.column statements count
            let parse = || {
                let (file, rest) = line.rsplit_once(':')?;
                let mut numbers = rest.split([',', ' ', '.']).map(str::parse::<u32>);
                let mut next = || numbers.next()?.ok();
                let start = (next()?, next()?);
                let end = (next()?, next()?);
                let _statements = next()?;
                let ran = next()? > 0;
                let block = Block { start, end, ran };
                Some((file.to_owned(), block))
            };
            let (file, block) = parse().with_context(|| format!("no block: {line}"))?;
            files.entry(file).or_default().push(block);
        }
        for blocks in files.values_mut() {
            blocks.sort_unstable();
        }
        Ok(Self(files))
    }

    /// The blocks of a file, by the path that the compiler recorded.
    pub fn blocks(&self, path: &str) -> &[Block] {
        let name = Path::new(path).file_name();
        let folder = Path::new(path).parent().and_then(Path::file_name);
        let named = || {
            let files = self
                .0
                .iter()
                .map(|(file, blocks)| (Path::new(file), blocks));
            files.filter(|(file, _)| file.file_name() == name)
        };
        // Of several files with the same name it is the one whose folder has the same too.
        let several = named().count() > 1;
        named()
            .find(|(file, _)| !several || file.parent().and_then(Path::file_name) == folder)
            .map_or(&[], |(_, blocks)| blocks)
    }

    /// Whether the function ran whose `func` stands at a line of this source; `None` if Go counts
    /// nothing in it (an empty body).
    pub fn function(&self, path: &str, source: &str, line: u32) -> Option<bool> {
        let lines: Vec<&str> = source.lines().collect();
        let text = lines.get(line.checked_sub(1)? as usize)?;
        let func = text.find("func")?;
        let brace = u32::try_from(func + text[func..].find('{')? + 1).ok()?;
        // Up to Go 1.26 the first block begins with the brace, since 1.27 with the statement.
        let first = self
            .blocks(path)
            .iter()
            .find(|block| block.start >= (line, brace))?;
        let empty = (line..=first.start.0).any(|number| {
            let text = lines.get(number as usize - 1).copied().unwrap_or("");
            let code = text.split("//").next().unwrap_or("");
            let from = if number == line { brace as usize } else { 0 };
            let to = if number == first.start.0 {
                (first.start.1 as usize - 1).min(code.len())
            } else {
                code.len()
            };
            code.get(from..to)
                .is_some_and(|between| between.contains('}'))
        });
        (!empty).then_some(first.ran)
    }
}

/// Runs a program to its end, its handshake answered by the end of stdin.
pub fn run(exe: &Path, args: &[&str], env: &[(&str, &str)]) -> Result<()> {
    let output = Command::new(exe)
        .args(args)
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("can't run {}", exe.display()))?;
    ensure!(
        output.status.success(),
        "{} ended with {}: {}",
        exe.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// An empty folder for what a program leaves: its own, as tests of one program run at once.
pub fn folder() -> Result<TempDir> {
    Ok(tempfile::tempdir_in(build::scratch())?)
}

/// How a block of Go's own coverage compares with the lines that are its alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Both say that it ran, or that it didn't.
    Agree,
    /// No line is its alone: nothing of goinstr's tells of it only.
    Shared(Block),
    /// The optimiser left none of its lines any code.
    NoCode(Block),
    /// It ran up to a call that did not come back; Go counts it when it is begun.
    LeftEarly(Block, Vec<u32>),
    /// They differ.
    Wrong(Block, Vec<u32>),
}

/// The lines of a file that any instruction of package main is of, as Go's own tool says.
pub fn lines_with_code(exe: &Path, toolchain: &Toolchain, path: &str) -> Result<BTreeSet<u32>> {
    let output = Command::new(&toolchain.go)
        .args(["tool", "objdump", "-s", r"^main\."])
        .arg(exe)
        .env("GOTOOLCHAIN", "local")
        .env_remove("GOROOT")
        .output()
        .context("can't run go")?;
    ensure!(output.status.success(), "go tool objdump failed");
    let file = Path::new(path)
        .file_name()
        .context("no name")?
        .to_string_lossy();
    let text = String::from_utf8_lossy(&output.stdout);
    let mut whole = "";
    let mut lines = BTreeSet::new();
    for line in text.lines() {
        // TEXT main.f(SB) /src/main.go; then: main.go:12  0x4a…  …
        if line.starts_with("TEXT ") {
            whole = line.rsplit(' ').next().unwrap_or("");
        } else if let Some((name, rest)) = line.trim_start().split_once(':')
            && name == file
            && whole.ends_with(&*file)
        {
            let number = rest.split_whitespace().next().unwrap_or("");
            lines.extend(number.parse::<u32>());
        }
    }
    ensure!(!lines.is_empty(), "go tool objdump says nothing of {path}");
    Ok(lines)
}

/// Holds the blocks of a file against its lines. `with_code`: as [`lines_with_code`] says.
pub fn against_blocks(
    blocks: &[Block],
    lines: &FileLines,
    source: &str,
    with_code: &BTreeSet<u32>,
) -> Vec<Verdict> {
    let text: Vec<&str> = source.lines().collect();
    let bare = |line: u32| {
        let text = text.get(line as usize - 1).map_or("", |text| text.trim());
        text.is_empty() || text.starts_with("//") || text.chars().all(|c| "})(,;".contains(c))
    };
    // Up to Go 1.26 a block begins at the brace that ends the line before it.
    let something = |line: u32, from: u32, to: u32| {
        let text = text.get(line as usize - 1).copied().unwrap_or("");
        let from = (from.max(1) as usize - 1).min(text.len());
        let to = (to as usize).saturating_sub(1).clamp(from, text.len());
        let text = text.get(from..to).unwrap_or(text);
        text.chars()
            .any(|c| !c.is_whitespace() && !"{}".contains(c))
    };
    let holds = |block: &Block, line: u32| {
        let from = if line == block.start.0 {
            block.start.1
        } else {
            1
        };
        let to = if line == block.end.0 {
            block.end.1
        } else {
            u32::MAX
        };
        block.start.0 <= line && line <= block.end.0 && something(line, from, to)
    };
    blocks
        .iter()
        .map(|block| {
            let mut own: Vec<u32> = (block.start.0..=block.end.0)
                .filter(|&line| {
                    let holding = blocks.iter().filter(|other| holds(other, line));
                    holds(block, line) && holding.count() == 1
                })
                .collect();
            // Where a block ends with a brace, the brace is no statement.
            own.retain(|&line| !bare(line));
            if own.is_empty() {
                return Verdict::Shared(*block);
            }
            let of = |set: &BTreeSet<u32>| -> Vec<u32> {
                own.iter()
                    .copied()
                    .filter(|line| set.contains(line))
                    .collect()
            };
            let (ran, not) = (of(&lines.covered), of(&lines.uncovered));
            // The line of a `func` is no statement of the function.
            let declares = |line: u32| {
                text.get(line as usize - 1)
                    .is_some_and(|t| t.contains("func"))
            };
            let untold: Vec<u32> = of(with_code)
                .into_iter()
                .filter(|line| !ran.contains(line) && !not.contains(line) && !declares(*line))
                .collect();
            if !untold.is_empty() {
                return Verdict::Wrong(*block, untold);
            }
            match (block.ran, ran.first(), not.first()) {
                (_, None, None) => Verdict::NoCode(*block),
                (true, Some(_), None) | (false, None, Some(_)) => Verdict::Agree,
                (true, Some(ran), Some(not)) if ran < not => {
                    Verdict::LeftEarly(*block, of(&lines.uncovered))
                }
                (true, _, Some(_)) => Verdict::Wrong(*block, not),
                (false, Some(_), _) => Verdict::Wrong(*block, ran),
            }
        })
        .collect()
}

/// The verdicts on a program.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    pub agree: usize,
    listed: Vec<String>,
    pub wrong: Vec<String>,
}

impl Verdicts {
    /// Adds one on a file.
    pub fn add(&mut self, path: &str, verdict: &Verdict) {
        let at = |block: &Block| format!("{path}:{}-{}", block.start.0, block.end.0);
        match verdict {
            Verdict::Agree => self.agree += 1,
            Verdict::Shared(block) => {
                self.listed.push(format!(
                    "{}: shares its lines with another block",
                    at(block)
                ));
            }
            Verdict::NoCode(block) => {
                self.listed
                    .push(format!("{}: the optimiser left no code of it", at(block)));
            }
            Verdict::LeftEarly(block, lines) => self.listed.push(format!(
                "{}: left before lines {lines:?}, which Go counts from the block's beginning",
                at(block)
            )),
            Verdict::Wrong(block, lines) => self.wrong.push(format!(
                "{}: truly {}, but lines {lines:?} say the contrary, or nothing",
                at(block),
                if block.ran { "ran" } else { "did not run" }
            )),
        }
    }
}

impl std::fmt::Display for Verdicts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} blocks agree; not compared:", self.agree)?;
        self.listed
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}
