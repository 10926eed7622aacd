//! Logs in files of a bounded size: the newest at the path itself, older ones at `PATH.1`, `PATH.2`…
//!
//! A line is never parted. Whoever moves the file away (as `logrotate` does) needs to tell nobody:
//! at each flush the path is looked at, and opened again where another file or none is there.

use std::fs::{File, OpenOptions, rename};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Files beside the newest, without `--keep`.
const KEPT: u32 = 5;
/// Smaller ones would hold few lines each.
const SMALLEST: u64 = 4096;

/// What can be typed.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Rotation {
    /// Begin another file when this one has so many bytes (100M, 1G); it becomes PATH.1
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "output_file")]
    pub rotate: Option<u64>,
    /// Keep at most so many older files
    #[arg(long, value_name = "N", default_value_t = KEPT, requires = "rotate")]
    pub keep: u32,
}

/// `4096`, `64K`, `100M`, `1G`: powers of 1024.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || "write it like 100M or 1G".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "" => 1,
        "K" | "k" => 1 << 10,
        "M" | "m" => 1 << 20,
        "G" | "g" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let size = number.checked_mul(unit).ok_or_else(wrong)?;
    if size < SMALLEST {
        return Err(format!("at least {SMALLEST} bytes"));
    }
    Ok(size)
}

/// The newest of the files.
#[derive(Debug)]
pub(super) struct Rotated {
    path: PathBuf,
    limit: u64,
    keep: u32,
    file: File,
    written: u64,
    /// Nothing of a line is written of which the rest is to come.
    between_lines: bool,
}

impl Rotated {
    /// A new file at `path`; what is there becomes the first of the older ones.
    pub fn create(path: &Path, limit: u64, keep: u32) -> io::Result<Self> {
        match path.metadata() {
            Ok(there) if !there.is_file() => return Err(not_regular()),
            Ok(there) if there.len() > 0 => shift(path, keep)?,
            // Whatever is wrong with it, opening it says.
            Ok(_) | Err(_) => {}
        }
        let (file, written) = open(path)?;
        Ok(Self {
            path: path.to_owned(),
            limit,
            keep,
            written,
            file,
            between_lines: true,
        })
    }

    fn rotate(&mut self) -> io::Result<()> {
        shift(&self.path, self.keep)?;
        self.reopen()
    }

    fn reopen(&mut self) -> io::Result<()> {
        (self.file, self.written) = open(&self.path)?;
        Ok(())
    }

    /// Whether the path leads to another file by now, or to none.
    fn was_moved(&self) -> io::Result<bool> {
        let own = self.file.metadata()?;
        Ok(match self.path.metadata() {
            Ok(there) => (there.dev(), there.ino()) != (own.dev(), own.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        })
    }
}

/// The file at `path` and its size. A pipe that took its place meanwhile is not waited for.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let data = file.metadata()?;
    if data.is_file() {
        Ok((file, data.len()))
    } else {
        Err(not_regular())
    }
}

/// A device renamed would be missed by all others.
fn not_regular() -> io::Error {
    let why = "it is no regular file, and --rotate renames what is full; leave --rotate out";
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

/// Every older file takes the place of the next, the newest that of the first.
fn shift(path: &Path, keep: u32) -> io::Result<()> {
    let older = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let absent = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    };
    if keep == 0 {
        return std::fs::remove_file(path).or_else(absent);
    }
    for number in (1..keep).rev() {
        rename(older(number), older(number + 1)).or_else(absent)?;
    }
    rename(path, older(1)).or_else(absent)
}

impl Write for Rotated {
    /// As many whole lines as there is room for, or else one.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1);
        let mut room =
            usize::try_from(self.limit.saturating_sub(self.written)).unwrap_or(usize::MAX);
        if self.between_lines && line > room && self.written > 0 {
            self.rotate()?;
            room = usize::try_from(self.limit).unwrap_or(usize::MAX);
        }
        let fitting = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        let end = memchr::memrchr(b'\n', fitting).map_or(line, |end| end + 1);
        let part = bytes.get(..end).unwrap_or(bytes);
        self.file.write_all(part)?;
        self.written += part.len() as u64;
        if let Some(last) = part.last() {
            self.between_lines = *last == b'\n';
        }
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.between_lines && self.was_moved()? {
            self.reopen()?;
        }
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("100M"), Ok(100 << 20));
        assert_eq!(size("2g"), Ok(2 << 30));
        for wrong in ["", "M", "1T", "1.5M", "100", "99999999999G", "-1M"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    /// All that is there, oldest first.
    fn all(path: &Path, keep: u32) -> Vec<String> {
        let older = (1..=keep)
            .rev()
            .map(|number| format!("{}.{number}", path.display()));
        older
            .chain([path.display().to_string()])
            .filter_map(|path| std::fs::read_to_string(path).ok())
            .collect()
    }

    #[test]
    fn no_line_is_parted_or_lost_and_no_file_is_larger() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "what was there\n").unwrap();
        let mut rotated = Rotated::create(&path, 100, 50).unwrap();
        let text: String = (0..200).map(|n| format!("line {n}\n")).collect();
        // Parts as a buffer makes them: anywhere within a line.
        for part in text.as_bytes().chunks(37) {
            rotated.write_all(part).unwrap();
        }
        rotated.flush().unwrap();
        let files = all(&path, 50);
        assert_eq!(files[0], "what was there\n");
        assert_eq!(files[1..].concat(), text);
        assert!(files.len() > 10);
        for file in &files {
            assert!(file.ends_with('\n'), "{file}");
            // A line whose end came later may stand beyond.
            assert!(file.len() <= 100 + "line 199\n".len(), "{file}");
        }
    }

    #[test]
    fn what_is_no_regular_file_stays_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        let error = Rotated::create(&path, 100, 2).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(path.exists());
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);

        // One that takes the place of the log while it is written.
        let path = folder.path().join("log");
        let mut rotated = Rotated::create(&path, 100, 2).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        rotated.write_all(b"a line\n").unwrap();
        let error = rotated.flush().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn only_so_many_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut rotated = Rotated::create(&path, 10, 2).unwrap();
        for n in 0..9 {
            rotated.write_all(format!("line {n}\n").as_bytes()).unwrap();
        }
        assert_eq!(all(&path, 9), ["line 6\n", "line 7\n", "line 8\n"]);
        assert_eq!(folder.path().read_dir().unwrap().count(), 3);
    }

    #[test]
    fn a_file_that_is_moved_away_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let moved = folder.path().join("moved");
        let mut rotated = Rotated::create(&path, 1 << 20, 2).unwrap();
        rotated.write_all(b"before\n").unwrap();
        rename(&path, &moved).unwrap();
        rotated.write_all(b"meanwhile\n").unwrap();
        rotated.flush().unwrap();
        rotated.write_all(b"after\n").unwrap();
        rotated.flush().unwrap();
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert_eq!(read(&moved), "before\nmeanwhile\n");
        assert_eq!(read(&path), "after\n");
    }
}
