//! The `goinstr` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    goinstr::cli::run()
}
