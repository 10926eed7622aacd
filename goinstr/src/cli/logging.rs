//! Diagnostics on stderr: warnings always, more by `-v` and `-vv`.

use std::io::Write as _;

use env_logger::WriteStyle;
use log::LevelFilter;

use super::args::Color;
use crate::sink::visible;

/// Starts the logger; `RUST_LOG` is not consulted, so that a shell's setting changes nothing.
pub(super) fn start(verbose: u8, color: Color) {
    let level = match verbose {
        0 => LevelFilter::Warn,
        1 => LevelFilter::Info,
        2 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    let style = match color {
        Color::Auto => WriteStyle::Auto,
        Color::Always => WriteStyle::Always,
        Color::Never => WriteStyle::Never,
    };
    env_logger::Builder::new()
        .filter_level(LevelFilter::Warn)
        .filter_module("goinstr", level)
        .write_style(style)
        .format(|out, record| {
            let level = record.level();
            let style = out.default_level_style(level);
            // Names and paths of the target's own choosing may be in it.
            for line in record.args().to_string().lines() {
                writeln!(out, "[{style}{level:<5}{style:#}] {}", visible(line))?;
            }
            Ok(())
        })
        .init();
}
