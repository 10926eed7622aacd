//! The files that a process has mapped as code: a C program's Go may be in a shared library.
//!
//! In: `/proc/PID/maps` (proc(5)), which the process writes by what it maps. Out: each file once,
//! opened, in the order of its mappings.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::executable::Executable;
use super::process::without_deleted;
use super::{Pid, TargetError};

/// More of `maps` is not read: some hundred thousand mappings, the kernel's own limit is 65,530.
const MAX_BYTES: u64 = 32 << 20;
/// More files than this no process is linked with.
const MAX_FILES: usize = 4096;

/// The files that process `pid` has mapped as code and that can be opened.
pub(super) fn files(pid: Pid) -> Result<Vec<Executable>, TargetError> {
    let path = PathBuf::from(format!("/proc/{pid}/maps"));
    let text = read(&path).map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => TargetError::Permission {
            pid,
            what: "its mappings",
            source,
        },
        _ => TargetError::Vanished { pid },
    })?;
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for mapping in text.lines().filter_map(Mapping::parse) {
        if files.len() < MAX_FILES
            && seen.insert((mapping.device, mapping.inode))
            && let Some(file) = open(pid, &mapping)
        {
            files.push(file);
        }
    }
    Ok(files)
}

/// A line of `maps` that maps a file as code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mapping<'a> {
    /// As the line has it, and as the name under `map_files`.
    range: &'a str,
    device: &'a str,
    inode: u64,
    path: &'a str,
}

impl<'a> Mapping<'a> {
    /// `START-END PERMS OFFSET DEVICE INODE PATH`; the path may hold blanks.
    fn parse(line: &'a str) -> Option<Self> {
        let (range, rest) = line.split_once(' ')?;
        let (permissions, rest) = rest.split_once(' ')?;
        let (_offset, rest) = rest.split_once(' ')?;
        let (device, rest) = rest.split_once(' ')?;
        let (inode, path) = rest.split_once(' ')?;
        let inode = inode.parse().ok().filter(|&inode| inode != 0)?;
        let is_range = range.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        (is_range && permissions.contains('x')).then_some(Self {
            range,
            device,
            inode,
            path: path.trim_start(),
        })
    }
}

/// By the mapping itself, which needs more privilege, else by its path in the process's own root.
fn open(pid: Pid, mapping: &Mapping<'_>) -> Option<Executable> {
    let (path, deleted) = without_deleted(Path::new(mapping.path));
    let link = PathBuf::from(format!("/proc/{pid}/map_files/{}", mapping.range));
    if let Ok(file) = Executable::open_as(&link, path.clone()) {
        return Some(file);
    }
    let inside = path.strip_prefix("/").ok().filter(|_| !deleted)?;
    let path_from_here = Path::new(&format!("/proc/{pid}/root")).join(inside);
    let file = Executable::open_as(&path_from_here, path).ok()?;
    // The path may lead to another file by now.
    (file.image().ino == mapping.inode).then_some(file)
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_mapped_as_code_count() {
        let code = "7f00-8000 r-xp 00001000 fd:01 1234                       /usr/lib/my lib.so";
        let mapping = Mapping::parse(code).expect("a mapping");
        assert_eq!((mapping.range, mapping.inode), ("7f00-8000", 1234));
        assert_eq!(mapping.path, "/usr/lib/my lib.so");
        for line in [
            "7f00-8000 rw-p 00001000 fd:01 1234   /usr/lib/lib.so",
            "7ffd-7fff r-xp 00000000 00:00 0      [vdso]",
            "../../x-y r-xp 00000000 fd:01 1      /x",
            "7f00-8000 r-xp 00000000",
            "",
        ] {
            assert_eq!(Mapping::parse(line), None, "{line}");
        }
    }

    #[test]
    fn this_process_maps_its_own_executable() {
        let files = files(Pid(std::process::id())).expect("files");
        let own = std::env::current_exe().expect("exe");
        let own = Executable::open(&own).expect("opens").image();
        assert_eq!(files.iter().filter(|file| file.image() == own).count(), 1);
    }
}
