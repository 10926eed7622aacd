//! The executable on disk changes: a deploy.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::{Fault, Times};
use crate::{
    Test,
    support::{
        build::{self, Build},
        case::Measured,
        measurement::Measurement,
        process::Target,
    },
};

pub fn tests() -> Vec<Test> {
    [
        (
            "the_file_is_replaced_while_it_is_measured",
            "executable replaced while it is measured",
            When::Measured,
        ),
        (
            "the_file_is_replaced_before",
            "executable replaced before",
            When::Before,
        ),
        (
            "the_file_is_deleted_before",
            "executable deleted before",
            When::DeletedBefore,
        ),
    ]
    .map(|(name, what, when)| {
        Fault {
            name,
            what,
            times: Times::Once,
            result: "counts exact",
        }
        .test(move || replaced(when))
    })
    .into()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Measured,
    Before,
    DeletedBefore,
}

/// A deploy: another file is renamed over the executable, or it is deleted. What runs is measured.
fn replaced(when: When) -> Result<()> {
    let original = Build::of("panics").executable()?;
    let folder = tempfile::tempdir_in(build::scratch().canonicalize()?)?;
    let exe: PathBuf = folder.path().join("server");
    let next = folder.path().join("next");
    fs::copy(&original, &exe)?;
    fs::copy(Build::of("steady").executable()?, &next)?;
    let mut target = Target::start(&exe, &[""; 0])?;
    match when {
        When::Before => fs::rename(&next, &exe)?,
        When::DeletedBefore => fs::remove_file(&exe)?,
        When::Measured => {}
    }
    let measurement = Measurement::start(target.pid, &["main.*"])?;
    if when == When::Measured {
        fs::rename(&next, &exe)?;
    }
    target.go()?;
    // As the kernel names a mapping whose file is gone.
    let mapped = format!("{} (deleted)", exe.display());
    Measured::finish_as(target, measurement, &original, Path::new(&mapped))?.agree(&[])
}
