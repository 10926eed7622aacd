//! `cargo xtask`: sets up, builds, demonstrates and tests goinstr.
//!
//! One file for each subcommand, named as the subcommand; the others are what these share.

mod archive;
mod arm64;
mod bench;
mod build;
mod command;
mod demo;
mod faults;
mod fuzz;
mod go;
mod kernel_toolchain;
mod lint_kernel;
mod matrix;
mod packages;
mod peers;
mod programs;
mod receivers;
mod runner;
mod setup;
mod soak;
mod test;
mod toolchains;
mod tools;
mod vm;
mod workspace;

use clap::{Parser, Subcommand};
use std::{ffi::OsString, process::ExitCode};

/// Sets up, builds, demonstrates and tests goinstr.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    subcommand: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what building and testing needs and this machine lacks
    Setup,
    /// Build target/release/goinstr
    Build,
    /// Measure a bundled Go server under load and print the table
    Demo(demo::Arguments),
    /// Run every test, those that need root included
    Test(test::Arguments),
    /// Measure what measuring costs, as root
    Bench(bench::Arguments),
    /// Try every fault many times and print what came of it
    Faults(faults::Arguments),
    /// Throw guided random bytes at what reads untrusted ones
    Fuzz(fuzz::Arguments),
    /// Attach to a server under load again and again, for an hour or as long as told
    Soak(soak::Arguments),
    /// Hold every Go version and form, and real programs, against Go's own tools, and print the table
    Matrix(matrix::Arguments),
    /// Fetch the Go toolchains that the tests build their targets with
    Toolchains,
    /// Fetch programs that others built, for the tests to read
    Programs,
    /// Build an OpenTelemetry Collector and a Prometheus for the tests of --otlp: minutes of CPU time
    Receivers,
    /// Build for arm64 and run the tests that need no kernel under emulation
    CheckArm64,
    /// Run a smaller form of the live tests on other kernels, in virtual machines
    VmTest(vm::Arguments),
    /// Check format and lints of the kernel program
    LintKernel,
    /// Run a test binary, as root where it has to be (cargo calls this)
    #[command(hide = true)]
    Run {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().subcommand {
        Task::Setup => setup::run(setup::Scope::Everything),
        Task::Build => build::run().map(drop),
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Faults(arguments) => faults::run(&arguments),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Matrix(arguments) => matrix::run(&arguments),
        Task::Soak(arguments) => soak::run(&arguments),
        Task::Toolchains => toolchains::run(),
        Task::Programs => programs::run(),
        Task::Receivers => receivers::run(),
        Task::CheckArm64 => arm64::run(),
        Task::VmTest(arguments) => vm::run(&arguments),
        Task::LintKernel => lint_kernel::run(),
        Task::Run { command } => return runner::run(&command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why:#}");
            ExitCode::FAILURE
        }
    }
}
