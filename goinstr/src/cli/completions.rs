//! `goinstr completions` and `goinstr man`: what shells and `man` read, made from the command line's
//! own definition.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::CommandFactory;

use super::args::Args;
use super::failure::Failure;

/// What can be typed after `completions`.
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// For this shell
    shell: clap_complete::Shell,
}

/// What can be typed after `man`.
#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// Write a page for each command into this folder, instead of goinstr(1) to stdout
    #[arg(long, value_name = "FOLDER")]
    all_to: Option<PathBuf>,
}

/// Prints the completions.
pub(super) fn completions(typed: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(typed.shell, &mut Args::command(), "goinstr", &mut script);
    print(&script)
}

/// Prints a manual page, or writes all.
pub(super) fn man(typed: &Man) -> Result<(), Failure> {
    match &typed.all_to {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Args::command())
                .render(&mut page)
                .map_err(Failure::failed)?;
            print(&page)
        }
        Some(folder) => pages(folder).map_err(|error| {
            Failure::failed(format_args!(
                "can't write the manual pages to {}: {error}; give a folder that can be written",
                folder.display()
            ))
        }),
    }
}

fn pages(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Args::command(), folder)
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::writing("stdout", &error))
}
