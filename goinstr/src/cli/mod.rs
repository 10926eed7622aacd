//! The command line: what was typed → what is meant → a call of the stages, and its exit code.
//!
//! Errors are told here, one line each on stderr: what failed, on what, what to do next.

mod args;
mod attach;
mod both;
mod capture;
mod completions;
mod config;
mod cover;
mod delivery;
mod diff;
mod doctor;
mod failure;
mod inflight;
mod inspect;
mod list;
mod logging;
mod otlp;
mod output;
mod pager;
mod progress;
mod record;
mod report;
mod rotation;
mod saved;
mod subject;
mod trace;
mod verified;
mod views;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use failure::Failure;

/// Runs the command line and tells how it went.
#[must_use]
pub fn run() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return Failure::from(error).report(),
    };
    logging::start(args.global.verbose, args.global.color);
    let result =
        match args.command {
            Command::Attach(typed) => config::Attach::new(typed, args.global.color)
                .and_then(|attach| attach::run(&attach)),
            Command::Trace(typed) => {
                trace::Trace::new(typed, args.global.color).and_then(|trace| trace::run(&trace))
            }
            Command::Record(typed) => record::Record::new(typed, args.global.color)
                .and_then(|record| record::run(&record)),
            Command::Report(typed) => report::run(typed, args.global.color),
            Command::Diff(typed) => diff::run(typed, args.global.color),
            Command::Inflight(typed) => inflight::InflightArgs::new(typed, args.global.color)
                .and_then(|inflight| inflight::run(&inflight)),
            Command::Cover(typed) => cover::run(typed, args.global.color),
            Command::List(typed) => {
                config::List::new(typed, args.global.color).and_then(|list| list::run(&list))
            }
            Command::Inspect(typed) => {
                config::Inspect::new(typed).and_then(|inspect| inspect::run(&inspect))
            }
            Command::Doctor(typed) => doctor::run(typed, args.global.color),
            Command::Completions(typed) => completions::completions(&typed),
            Command::Man(typed) => completions::man(&typed),
        };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
