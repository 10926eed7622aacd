//! Saved coverages, put together or held against each other, for people and for scripts.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::cover::Share;
use super::human::{count, percent, things};
use super::line::{self, Line};
use super::visible::visible;
use crate::aggregate::Profile;

/// Lines that follow each other without a gap, as people write them.
fn ranges(lines: impl Iterator<Item = u32>) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for line in lines {
        match ranges.last_mut() {
            Some(last) if last.1.checked_add(1) == Some(line) => last.1 = line,
            _ => ranges.push((line, line)),
        }
    }
    let range = |&(from, to): &(u32, u32)| match from == to {
        true => from.to_string(),
        false => format!("{from}-{to}"),
    };
    ranges.iter().map(range).collect::<Vec<_>>().join(", ")
}

/// The shares of a profile's functions and lines, by package, for people.
///
/// # Errors
/// Those of `out`.
pub fn merged_table(profile: &Profile, out: impl Write) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    let mut packages: BTreeMap<&str, Share> = BTreeMap::new();
    for function in profile.functions.values() {
        packages
            .entry(&function.package)
            .or_default()
            .add(function.ran);
    }
    let row = |out: &mut io::BufWriter<_>, share: Share, name: &str| {
        let percent = percent(share.ran as u64, share.all as u64);
        writeln!(
            out,
            "{:>9}  {:>7} of {:<7}  {}",
            percent.unwrap_or_default(),
            count(share.ran as u64),
            count(share.all as u64),
            visible(name)
        )
    };
    if !packages.is_empty() {
        writeln!(out, "  covered  functions           package")?;
        for (package, share) in packages {
            row(&mut out, share, package)?;
        }
        writeln!(out)?;
    }
    writeln!(out, "  covered  lines               file")?;
    let mut total = Share::default();
    for (name, file) in &profile.files {
        let mut share = Share::default();
        for ran in file.by_line().into_values() {
            share.add(ran);
            total.add(ran);
        }
        row(&mut out, share, name)?;
    }
    row(&mut out, total, "all files")?;
    out.flush()
}

/// A profile as the lines of JSON that it can be read from again.
///
/// # Errors
/// Those of `out`.
pub fn merged_json(profile: &Profile, out: impl Write) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    for (name, function) in &profile.functions {
        let place = function.place.as_ref();
        Line::Coverage(line::CoverageLine {
            function: name,
            package: &function.package,
            file: place.map(|(file, _)| file.as_str()),
            line: place.map(|&(_, line)| line),
            covered: function.ran,
            first_run_unix_ns: None,
            lines: None,
            lines_covered: None,
            unseen: None,
            phase: None,
        })
        .write(&mut out)?;
    }
    for (name, file) in &profile.files {
        let lines = file.by_line();
        let which = |ran: bool| lines.iter().filter(move |(_, is)| **is == ran);
        Line::Lines(line::Lines {
            file: file.path.as_deref().unwrap_or(name),
            import: Some(name),
            covered: which(true).map(|(&line, _)| line).collect(),
            uncovered: which(false).map(|(&line, _)| line).collect(),
            phase: None,
        })
        .write(&mut out)?;
    }
    out.flush()
}

/// What one ran that the other didn't, for people.
///
/// # Errors
/// Those of `out`.
pub fn difference_table(difference: &Profile, out: impl Write) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    let lines: usize = difference.files.values().map(|file| file.lines.len()).sum();
    writeln!(
        out,
        "ran in the first and not in the second: {}, {}",
        things(difference.functions.len(), "function"),
        things(lines, "line")
    )?;
    for (name, function) in &difference.functions {
        write!(out, "  {}", visible(name))?;
        if let Some((file, line)) = &function.place {
            write!(out, "  ({}:{line})", visible(file))?;
        }
        writeln!(out)?;
    }
    for (name, file) in &difference.files {
        let ranges = ranges(file.lines.keys().copied());
        writeln!(out, "  {}: {ranges}", visible(name))?;
    }
    out.flush()
}

/// The same for scripts.
///
/// # Errors
/// Those of `out`.
pub fn difference_json(difference: &Profile, out: impl Write) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    for (name, function) in &difference.functions {
        let place = function.place.as_ref();
        Line::OnlyFunction(line::OnlyFunction {
            function: name,
            package: &function.package,
            file: place.map(|(file, _)| file.as_str()),
            line: place.map(|&(_, line)| line),
        })
        .write(&mut out)?;
    }
    let mut lines = 0;
    for (name, file) in &difference.files {
        lines += file.lines.len();
        Line::OnlyLines(line::OnlyLines {
            file: file.path.as_deref().unwrap_or(name),
            import: Some(name),
            lines: file.lines.keys().copied().collect(),
        })
        .write(&mut out)?;
    }
    Line::Difference(line::Difference {
        functions: difference.functions.len(),
        lines,
    })
    .write(&mut out)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_make_a_range() {
        assert_eq!(ranges([3, 4, 5, 7, 9, 10].into_iter()), "3-5, 7, 9-10");
        assert_eq!(ranges([u32::MAX].into_iter()), u32::MAX.to_string());
        assert_eq!(ranges(std::iter::empty()), "");
    }

    #[test]
    fn what_was_put_together_can_be_read_again() {
        let text = "mode: set\na/a.go:3.1,4.1 1 1\na/a.go:5.1,6.1 1 0\n";
        let profile = Profile::parse(text).expect("a profile");
        let mut json = Vec::new();
        merged_json(&profile, &mut json).expect("written");
        let again = Profile::parse(&String::from_utf8(json).expect("UTF-8")).expect("a profile");
        assert_eq!(again.files["a/a.go"].lines, profile.files["a/a.go"].lines);
    }
}
