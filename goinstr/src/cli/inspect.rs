//! `goinstr inspect`: what a binary is, and what goinstr reads it from.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use super::args::Format;
use super::config::Inspect;
use super::failure::Failure;
use super::subject::Opened;
use crate::binary::{LayoutSource, PclntabSource};
use crate::sink::line::{Binary, Line};
use crate::sink::{count, visible};

/// Shows what `inspect` names.
pub(super) fn run(inspect: &Inspect) -> Result<(), Failure> {
    let opened = inspect.subject.open()?;
    let out = BufWriter::new(inspect.output.open()?);
    let exe = opened.path.display().to_string();
    let binary = describe(&opened, &exe);
    let written = match inspect.output.format {
        Format::Json => json(out, binary),
        Format::Table => table(out, &binary),
    };
    written.map_err(|error| Failure::writing(inspect.output.name(), &error))
}

fn describe<'a>(opened: &'a Opened, exe: &'a str) -> Binary<'a> {
    let binary = &opened.binary;
    let info = binary.build_info();
    let module = info.and_then(|info| info.main.as_ref());
    let settings = info.map_or(&[][..], |info| &info.settings);
    Binary {
        exe,
        go_version: binary.go_version(),
        path: info.and_then(|info| info.path.as_deref()),
        module: module.map(|module| module.path.as_str()),
        module_version: module
            .map(|module| module.version.as_str())
            .filter(|version| !version.is_empty()),
        arch: binary.arch().name(),
        functions: binary.functions().len(),
        settings: settings
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect(),
        facts: facts(opened),
    }
}

/// How it was linked and what of the usual sources is there, by name.
fn facts(opened: &Opened) -> BTreeMap<&'static str, String> {
    let sources = opened.binary.symbol_sources();
    let there = |there: bool| if there { "present" } else { "absent" }.to_owned();
    let layout = match opened.binary.runtime_layout() {
        Ok(layout) => match layout.source {
            LayoutSource::Dwarf => "from DWARF".to_owned(),
            LayoutSource::Table => "from goinstr's table of Go versions".to_owned(),
            LayoutSource::NewestKnown => {
                "a guess by the newest Go known: to be proven on the live process".to_owned()
            }
        },
        Err(_) => "unknown: functions can be listed, not measured".to_owned(),
    };
    let mut facts = BTreeMap::from([
        ("build_info", there(opened.binary.build_info().is_some())),
        ("dwarf", there(sources.dwarf)),
        ("symbol_table", there(sources.symbol_table)),
        ("section_headers", there(sources.section_headers)),
        ("function_table", pclntab(sources.pclntab)),
        (
            "linking",
            linking(sources.dynamic, sources.position_independent, sources.cgo),
        ),
        ("runtime_offsets", layout),
    ]);
    if !opened.plugins.is_empty() {
        let plugins = opened.plugins.iter().map(|module| module.path.display());
        let plugins: Vec<String> = plugins.map(|path| path.to_string()).collect();
        facts.insert("plugins", plugins.join(", "));
    }
    facts
}

fn pclntab(source: PclntabSource) -> String {
    match source {
        PclntabSource::Section(name) => format!("in section {name}"),
        PclntabSource::Scan => "found by a search through the segments".to_owned(),
    }
}

fn linking(dynamic: bool, position_independent: bool, cgo: bool) -> String {
    let mut words = vec![if dynamic { "dynamic" } else { "static" }];
    if position_independent {
        words.push("position-independent");
    }
    if cgo {
        words.push("cgo");
    }
    words.join(", ")
}

fn json(mut out: impl Write, binary: Binary<'_>) -> io::Result<()> {
    Line::Binary(binary).write(&mut out)?;
    out.flush()
}

fn table(mut out: impl Write, binary: &Binary<'_>) -> io::Result<()> {
    let mut row = |name: &str, value: &str| writeln!(out, "{name:<16} {}", visible(value));
    row("executable", binary.exe)?;
    row("go version", binary.go_version.unwrap_or("unknown"))?;
    row("architecture", binary.arch)?;
    if let Some(path) = binary.path {
        row("main package", path)?;
    }
    if let Some(module) = binary.module {
        row(
            "module",
            &format!("{module} {}", binary.module_version.unwrap_or_default()),
        )?;
    }
    row("functions", &count(binary.functions as u64))?;
    for (name, value) in &binary.facts {
        row(&name.replace('_', " "), value)?;
    }
    for (key, value) in &binary.settings {
        row("build setting", &format!("{key}={value}"))?;
    }
    out.flush()
}
