//! Go's own reader of function tables (`debug/gosym`), by way of the program `testdata/gosym`: what it
//! tells of a stripped program is the truth about the functions, their names and their places.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use goinstr::binary::GoBinary;

use crate::{compare::Score, toolchain::Toolchain};

/// A function that every program has once.
const ANCHOR: &str = "runtime.main";

/// The reader, built by a toolchain that knows all formats.
fn reader(newest: &Toolchain) -> Result<&'static Path, String> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gosym");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/gosym");
        let mut go = crate::form::go(newest);
        let output = go
            .args(["build", "-buildvcs=false", "-o"])
            .arg(&to)
            .arg(".")
            .current_dir(source)
            .env("CGO_ENABLED", "0")
            .output()
            .map_err(|why| format!("{}: {why}", newest.go.display()))?;
        match output.status.success() {
            true => Ok(to),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    });
    match built {
        Ok(reader) => Ok(reader),
        Err(why) => Err(format!("can't build testdata/gosym: {why}")),
    }
}

/// Holds each function's address, name, file and line against those that Go's reader tells of. Counts the
/// functions there are and those found; what differs is a fault.
pub fn compare(
    program: &Path,
    read: &GoBinary,
    newest: &Toolchain,
    score: &mut Score,
) -> Result<(), String> {
    let output = Command::new(reader(newest)?)
        .arg(program)
        .output()
        .map_err(|why| format!("gosym: {why}"))?;
    if !output.status.success() {
        return Err(format!(
            "gosym: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    // Of a marker without a size and the function behind it, at one address, the latter is told last.
    let mut truth: BTreeMap<u64, (&str, &str, &str)> = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.splitn(4, '\t');
        let mut field = || fields.next().ok_or("gosym: a short line");
        let (address, file, line, name) = (field()?, field()?, field()?, field()?);
        let address = address.strip_prefix("0x").unwrap_or(address);
        let address = u64::from_str_radix(address, 16).map_err(|why| format!("gosym: {why}"))?;
        truth.insert(address, (file, line, name));
    }
    // Since Go 1.18 the table has offsets from the text's start, which stands elsewhere.
    let known = truth.iter().find(|(_, (.., name))| *name == ANCHOR);
    let own = read.named(ANCHOR).next();
    let (Some((known, _)), Some(own)) = (known, own) else {
        return Err(format!("no {ANCHOR}"));
    };
    let text_start = own.entry.0.wrapping_sub(*known);
    let ours: BTreeMap<u64, _> = read
        .functions()
        .iter()
        .map(|function| (function.entry.0.wrapping_sub(text_start), function))
        .collect();
    for (at, (file, line, name)) in &truth {
        score.functions += 1;
        let Some(function) = ours.get(at) else {
            score.faults.push(format!("{at:#x} {name} is missing"));
            continue;
        };
        let place = read.location_at(function.entry);
        let place = place.map(|place| (place.file, place.line.to_string()));
        let same_place = match &place {
            Some((ours, number)) => ours == file && number == line,
            // Markers, and C that stands in the table.
            None => function.is_not_go(),
        };
        if read.name(function) == *name && same_place {
            score.found += 1;
        } else {
            score.faults.push(format!(
                "{at:#x} {name} ({file}:{line}) is called {} ({place:?})",
                read.name(function)
            ));
        }
    }
    Ok(())
}
