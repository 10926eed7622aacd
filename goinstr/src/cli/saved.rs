//! `goinstr cover --merge` and `--diff`: what was saved, put together or held against each other.

use std::fs;
use std::path::{Path, PathBuf};

use super::cover::CoverFormat;
use super::failure::Failure;
use super::output::Output;
use crate::aggregate::Profile;
use crate::sink::{ProfileFormat, cover_saved};

/// Larger files are no coverage: one of a hundred thousand functions by lines takes some 30 MB.
const LARGEST: u64 = 1 << 30;

/// Puts files together.
pub(super) fn merge(
    files: &[PathBuf],
    format: CoverFormat,
    output: &Output,
) -> Result<(), Failure> {
    let mut merged = Profile::default();
    for file in files {
        merged.merge(read(file)?);
    }
    let out = output.open()?;
    let written = match format {
        CoverFormat::Table => cover_saved::merged_table(&merged, out),
        CoverFormat::Json => cover_saved::merged_json(&merged, out),
        CoverFormat::Go => ProfileFormat::Go.write(&merged, out),
        CoverFormat::Lcov => ProfileFormat::Lcov.write(&merged, out),
    };
    written.map_err(|error| Failure::writing(output.name(), &error))
}

/// Tells what the first of two files ran that the second didn't.
pub(super) fn difference(
    files: &[PathBuf],
    format: CoverFormat,
    output: &Output,
) -> Result<(), Failure> {
    let [first, second] = files else {
        return Err(Failure::failed("--diff takes two files"));
    };
    let (one, other) = (read(first)?, read(second)?);
    let difference = one.without(&other);
    if other.functions.is_empty() && !one.functions.is_empty() {
        log::warn!(
            "{} has no functions, only lines: save it as JSON to compare functions too",
            second.display()
        );
    }
    let out = output.open()?;
    let written = match format {
        CoverFormat::Table => cover_saved::difference_table(&difference, out),
        CoverFormat::Json => cover_saved::difference_json(&difference, out),
        CoverFormat::Go => ProfileFormat::Go.write(&difference, out),
        CoverFormat::Lcov => ProfileFormat::Lcov.write(&difference, out),
    };
    written.map_err(|error| Failure::writing(output.name(), &error))
}

fn read(path: &Path) -> Result<Profile, Failure> {
    let fail = |why: &dyn std::fmt::Display| {
        Failure::failed(format_args!(
            "can't read the coverage in {}: {why}",
            path.display()
        ))
    };
    let size = fs::metadata(path).map_err(|error| fail(&error))?.len();
    if size > LARGEST {
        return Err(fail(&"it is larger than 1 GiB"));
    }
    let text = fs::read_to_string(path).map_err(|error| fail(&error))?;
    Profile::parse(&text).map_err(|error| fail(&error))
}
