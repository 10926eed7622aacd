//! An executable file, held open: its identity is its inode, its path only a name.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::TargetError;
use super::opening::{self, OpenError, Opened};

/// Which file: equal ids are the same file under whatever path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageId {
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
}

/// An executable that was found and opened. Clones share the open file.
#[derive(Clone, Debug)]
pub struct Executable {
    path: PathBuf,
    image: ImageId,
    file: Arc<File>,
}

impl Executable {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// [`TargetError::Executable`] or [`TargetError::NotAFile`].
    pub fn open(path: &Path) -> Result<Self, TargetError> {
        Self::open_as(path, path.to_owned()).map_err(|error| match error {
            OpenError::NotAFile => TargetError::NotAFile {
                path: path.to_owned(),
            },
            OpenError::Io(source) => TargetError::Executable {
                path: path.to_owned(),
                source,
            },
        })
    }

    /// Opens `from`, calling it `path`.
    pub(super) fn open_as(from: &Path, path: PathBuf) -> Result<Self, OpenError> {
        opening::regular(from).map(|opened| Self::of(opened, path))
    }

    /// What was opened, called `path`.
    pub(super) fn of((file, metadata): Opened, path: PathBuf) -> Self {
        Self {
            path,
            image: ImageId {
                dev: metadata.dev(),
                ino: metadata.ino(),
            },
            file: Arc::new(file),
        }
    }

    /// Path as the process sees it, or as the user gave it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which file it is.
    #[must_use]
    pub fn image(&self) -> ImageId {
        self.image
    }

    /// A path that leads to the open file as long as this value or a clone of it lives.
    #[must_use]
    pub fn open_path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }
}

/// The file that `/proc/PID/exe` leads to.
pub(super) fn image_of(link: &Path) -> io::Result<ImageId> {
    let metadata = std::fs::metadata(link)?;
    Ok(ImageId {
        dev: metadata.dev(),
        ino: metadata.ino(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_open_path_survives_the_deletion_of_the_file() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("program");
        std::fs::write(&path, b"bytes").expect("write");
        let executable = Executable::open(&path).expect("opens");
        std::fs::remove_file(&path).expect("remove");
        assert_eq!(
            std::fs::read(executable.open_path()).expect("read"),
            b"bytes"
        );
    }

    #[test]
    fn a_directory_is_refused() {
        let error = Executable::open(Path::new("/")).expect_err("refused");
        assert!(matches!(error, TargetError::NotAFile { .. }), "{error}");
    }
}
