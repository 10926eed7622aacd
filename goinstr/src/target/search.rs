//! Processes by name and by executable: one pass over `/proc`.

use std::io;
use std::path::PathBuf;

use super::executable::{ImageId, image_of};
use super::process::{exe_link, without_deleted};
use super::procfs::{self, Stat};
use super::{Candidate, Pid, Process, TargetError};

/// The kernel cuts a comm to this many bytes (`TASK_COMM_LEN` less its NUL).
const COMM_BYTES: usize = 15;

/// The only process whose comm or executable's base name is `name`. goinstr itself is none.
pub(super) fn by_name(name: &str) -> Result<Process, TargetError> {
    let mut unreadable = 0;
    let mut matches = Vec::new();
    for pid in others()? {
        let Ok(stat) = Stat::read(pid) else { continue };
        if stat.is_kernel_thread() || stat.is_dead() {
            continue;
        }
        let exe = match std::fs::read_link(exe_link(pid)) {
            Ok(link) => Some(without_deleted(&link).0),
            Err(error) => {
                unreadable += usize::from(error.kind() == io::ErrorKind::PermissionDenied);
                None
            }
        };
        let base = exe
            .as_ref()
            .and_then(|path| path.file_name())
            .and_then(|base| base.to_str());
        // A name longer than a comm can be known only by its beginning, where nothing better is.
        let cut = base.is_none()
            && name.len() > COMM_BYTES
            && name.as_bytes().get(..COMM_BYTES) == Some(stat.comm.as_bytes());
        if stat.comm == name || base == Some(name) || cut {
            let what = exe.map_or(stat.comm, |path| path.display().to_string());
            matches.push(Candidate { pid, what });
        }
    }
    match matches.as_slice() {
        [] => Err(TargetError::NoSuchName {
            name: name.to_owned(),
            unreadable,
        }),
        [only] => Process::open(only.pid),
        _ => Err(TargetError::Ambiguous {
            name: name.to_owned(),
            matches,
        }),
    }
}

/// Every process that runs the file `image` now, by pid.
pub(super) fn by_image(image: ImageId) -> Result<Vec<Process>, TargetError> {
    let mut running = Vec::new();
    for pid in others()? {
        // One that exits or is another's meanwhile is simply not among them.
        if image_of(&exe_link(pid)).is_ok_and(|found| found == image)
            && let Ok(process) = Process::open(pid)
            && process.executable().image() == image
        {
            running.push(process);
        }
    }
    Ok(running)
}

fn others() -> Result<impl Iterator<Item = Pid>, TargetError> {
    let pids = procfs::pids().map_err(|source| TargetError::Procfs {
        path: PathBuf::from("/proc"),
        source,
    })?;
    Ok(pids.into_iter().filter(|pid| pid.0 != std::process::id()))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;
    use crate::target::{Executable, Selection, Target, started::started};

    /// A copy of `sleep` under a name that nothing else has, longer than a comm.
    fn program() -> (tempfile::TempDir, PathBuf, String) {
        let dir = tempfile::tempdir().expect("tempdir");
        let name = format!(
            "goinstr-search-{}",
            dir.path()
                .file_name()
                .and_then(|n| n.to_str())
                .expect("name")
        );
        let path = dir.path().join(&name);
        std::fs::copy("/bin/sleep", &path).expect("copy");
        (dir, path, name)
    }

    fn end(mut child: Child) {
        child.kill().expect("kill");
        child.wait().expect("wait");
    }

    #[test]
    fn one_is_found_by_its_long_name_and_two_are_an_error_that_lists_both() {
        let (_dir, path, name) = program();
        let error = by_name(&name).expect_err("not yet");
        assert!(matches!(error, TargetError::NoSuchName { .. }), "{error}");
        let first = started(Command::new(&path).arg("60"));
        assert_eq!(by_name(&name).expect("found").pid(), Pid(first.id()));
        let second = started(Command::new(&path).arg("60"));
        let error = by_name(&name).expect_err("two").to_string();
        assert!(error.contains(&first.id().to_string()), "{error}");
        assert!(error.contains(&second.id().to_string()), "{error}");
        end(first);
        end(second);
    }

    #[test]
    fn an_executable_is_the_file_and_not_its_path() {
        let (dir, path, _) = program();
        let link = dir.path().join("other-name");
        std::fs::hard_link(&path, &link).expect("link");
        let child = started(Command::new(&link).arg("60"));
        let target = Target::find(&Selection::Exe(path.clone())).expect("found");
        let Target::Executable {
            executable,
            running,
        } = target
        else {
            panic!("one process");
        };
        assert_eq!(executable.path(), path);
        let pids: Vec<_> = running.iter().map(Process::pid).collect();
        assert_eq!(pids, [Pid(child.id())]);
        end(child);
        let executable = Executable::open(&path).expect("opens");
        assert!(by_image(executable.image()).expect("searched").is_empty());
    }
}
