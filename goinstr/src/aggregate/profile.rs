//! Coverage as it is kept: what runs of one program, or of several tools, come together in.
//!
//! Two kinds of figures are told apart. *Lines* are goinstr's: a line has run or not. *Blocks* are
//! those of `go test -cover` and `go build -cover`: statements from one place in the source to
//! another. Where a file has both, the blocks are the finer and lines say which of them ran.

use std::collections::BTreeMap;

use super::Coverage;
use crate::plan::CoverPlan;

/// What ran, by source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// By name: import path and file name, or the path where the package is not known.
    pub files: BTreeMap<String, ProfileFile>,
    /// By name as stack traces print it. Go's own profiles have none.
    pub functions: BTreeMap<String, ProfileFunction>,
}

/// What ran of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileFile {
    /// Path as the compiler recorded it, where that is known.
    pub path: Option<String>,
    /// Whether each line with code ran.
    pub lines: BTreeMap<u32, bool>,
    /// Whether each block ran.
    pub blocks: BTreeMap<Block, bool>,
}

/// A block of Go's own coverage. Lines and columns count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    /// Line and column of its first byte.
    pub start: (u32, u32),
    /// Line and column of the byte after its last.
    pub end: (u32, u32),
    /// Number of its statements.
    pub statements: u32,
}

/// Whether a function ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileFunction {
    /// Import path.
    pub package: String,
    /// Path of its file as the compiler recorded it, and its line.
    pub place: Option<(String, u32)>,
    /// Whether it ran.
    pub ran: bool,
}

impl Block {
    /// The block that stands for a line in a Go cover profile: from its beginning to that of the
    /// next. Go's own never begin in the first column and end in it.
    #[must_use]
    pub fn of_line(line: u32) -> Self {
        Self {
            start: (line, 1),
            end: (line.saturating_add(1), 1),
            statements: 1,
        }
    }

    /// The line that it stands for, if it does.
    #[must_use]
    pub fn line(&self) -> Option<u32> {
        (*self == Self::of_line(self.start.0)).then_some(self.start.0)
    }

    /// The number of its lines, as far as they are believed.
    pub(super) fn lines(&self) -> u64 {
        let more = self.end.0.saturating_sub(self.start.0);
        u64::from(more.min(LONGEST_BLOCK)) + 1
    }
}

impl Profile {
    /// What a coverage found out.
    #[must_use]
    pub fn of(plan: &CoverPlan, coverage: &Coverage) -> Self {
        let mut profile = Self::default();
        for (line, &ran) in plan.lines.iter().zip(&coverage.lines) {
            let Some(file) = plan.files.get(line.file as usize) else {
                continue;
            };
            let name = file.import.as_ref().unwrap_or(&file.path);
            let of_file = profile.file(name);
            of_file.path.get_or_insert_with(|| file.path.clone());
            *of_file.lines.entry(line.line).or_default() |= ran;
        }
        for (function, ran) in plan.functions.iter().zip(&coverage.functions) {
            let place = function.location.as_ref();
            profile.functions.insert(
                function.name.clone(),
                ProfileFunction {
                    package: function.package.clone(),
                    place: place.map(|at| (at.file.clone(), at.line)),
                    ran: ran.is_some(),
                },
            );
        }
        profile
    }

    /// The file of this name.
    pub fn file(&mut self, name: &str) -> &mut ProfileFile {
        if !self.files.contains_key(name) {
            self.files.insert(name.to_owned(), ProfileFile::default());
        }
        self.files.entry(name.to_owned()).or_default()
    }

    /// What ran in either.
    pub fn merge(&mut self, other: Self) {
        for (name, file) in other.files {
            let own = self.file(&name);
            own.path = own.path.take().or(file.path);
            for (line, ran) in file.lines {
                *own.lines.entry(line).or_default() |= ran;
            }
            for (block, ran) in file.blocks {
                *own.blocks.entry(block).or_default() |= ran;
            }
        }
        for (name, function) in other.functions {
            match self.functions.get_mut(&name) {
                Some(own) => own.ran |= function.ran,
                None => {
                    self.functions.insert(name, function);
                }
            }
        }
    }

    /// What ran here and not in `other`; of both only what both tell of: lines count where `other`
    /// has any, functions where it has any.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = Self::default();
        let lines_known = other.files.values().any(|file| !file.is_empty());
        for (name, file) in self.files.iter().filter(|_| lines_known) {
            let theirs = other.files.get(name).map(ProfileFile::by_line);
            let theirs = theirs.unwrap_or_default();
            let ran = file.by_line().into_iter().filter(|&(_, ran)| ran);
            let only = ran.filter(|(line, _)| theirs.get(line) != Some(&true));
            let only: BTreeMap<u32, bool> = only.collect();
            if !only.is_empty() {
                let kept = rest.file(name);
                kept.path.clone_from(&file.path);
                kept.lines = only;
            }
        }
        let functions_known = !other.functions.is_empty();
        for (name, function) in self.functions.iter().filter(|_| functions_known) {
            let theirs = other.functions.get(name);
            if function.ran && !theirs.is_some_and(|other| other.ran) {
                rest.functions.insert(name.clone(), function.clone());
            }
        }
        rest
    }
}

impl ProfileFile {
    /// Whether nothing is known of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.blocks.is_empty()
    }

    /// The file by lines alone: a line of blocks has run if one of them has.
    #[must_use]
    pub fn by_line(&self) -> BTreeMap<u32, bool> {
        let mut lines = self.lines.clone();
        for (block, &ran) in &self.blocks {
            // Ends at its closing brace: nothing runs there if that is all there is of it.
            let last = match block.end {
                (line, 1 | 2) if line > block.start.0 => line - 1,
                (line, _) => line,
            };
            // A profile may be anyone's.
            for line in block.start.0..=last.min(block.start.0.saturating_add(LONGEST_BLOCK)) {
                *lines.entry(line).or_default() |= ran;
            }
        }
        lines
    }

    /// The file by blocks alone, as Go's tools read it. Where there are blocks of Go's own, lines
    /// only say which of them ran: a line says so of the block whose alone it is.
    #[must_use]
    pub fn by_block(&self) -> BTreeMap<Block, bool> {
        let mut blocks = self.blocks.clone();
        if blocks.is_empty() {
            let lines = self.lines.iter();
            return lines
                .map(|(&line, &ran)| (Block::of_line(line), ran))
                .collect();
        }
        let ran: Vec<u32> = self
            .lines
            .iter()
            .filter(|&(_, &ran)| ran)
            .map(|(&line, _)| line)
            .collect();
        for line in ran {
            let mut holding = blocks
                .iter_mut()
                .filter(|(block, _)| block.start.0 <= line && line <= block.end.0);
            if let (Some((_, block)), None) = (holding.next(), holding.next()) {
                *block = true;
            }
        }
        blocks
    }
}

/// Lines of the longest block that is believed.
const LONGEST_BLOCK: u32 = 1 << 17;

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(name: &str, ran: &[u32], not: &[u32]) -> Profile {
        let mut profile = Profile::default();
        let file = profile.file(name);
        file.lines.extend(ran.iter().map(|&line| (line, true)));
        file.lines.extend(not.iter().map(|&line| (line, false)));
        profile
    }

    fn block(start: (u32, u32), end: (u32, u32)) -> Block {
        Block {
            start,
            end,
            statements: 2,
        }
    }

    #[test]
    fn what_ran_in_either_ran() {
        let mut one = lines("a/a.go", &[1, 2], &[3, 4]);
        one.merge(lines("a/a.go", &[3], &[1, 5]));
        assert_eq!(one, lines("a/a.go", &[1, 2, 3], &[4, 5]));
    }

    #[test]
    fn a_difference_is_what_ran_here_and_not_there() {
        let one = lines("a/a.go", &[1, 2, 3], &[4]);
        let other = lines("a/a.go", &[2, 4], &[3]);
        assert_eq!(one.without(&other), lines("a/a.go", &[1, 3], &[]));
        // One that has no lines at all says nothing of them.
        assert_eq!(one.without(&Profile::default()), Profile::default());
    }

    #[test]
    fn lines_tell_which_of_gos_own_blocks_ran() {
        let mut profile = lines("a/a.go", &[10, 11, 14], &[12]);
        let file = profile.file("a/a.go");
        // if x { on line 10; its body 11; then 12; one on a line of its own, 14.
        file.blocks.insert(block((9, 10), (10, 8)), false);
        file.blocks.insert(block((10, 8), (12, 3)), false);
        file.blocks.insert(block((12, 3), (13, 9)), false);
        file.blocks.insert(block((14, 2), (14, 20)), false);
        let ran: Vec<bool> = profile.files["a/a.go"].by_block().into_values().collect();
        assert_eq!(ran, [false, true, false, true]);
    }

    #[test]
    fn a_block_counts_for_its_lines_but_not_for_its_closing_brace() {
        let mut file = ProfileFile::default();
        file.blocks.insert(block((3, 5), (5, 2)), true);
        file.blocks.insert(block((7, 5), (7, 9)), false);
        let expected = [(3, true), (4, true), (7, false)];
        assert_eq!(file.by_line(), BTreeMap::from(expected));
        file.blocks
            .insert(block((1, 1), (u32::MAX, u32::MAX)), false);
        assert!(file.by_line().len() < 2 << 20);
    }

    #[test]
    fn a_line_is_known_again_by_its_block() {
        assert_eq!(Block::of_line(7).line(), Some(7));
        assert_eq!(block((7, 1), (8, 1)).line(), None);
        assert_eq!(Block::of_line(u32::MAX).line(), Some(u32::MAX));
    }
}
