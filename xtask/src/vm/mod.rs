//! `cargo xtask vm-test`: the live tests on other kernels and on arm64, in virtual machines.
//!
//! Kernels, emulator and busybox are Debian packages, kept in `~/.cache/goinstr/vm` and never
//! installed. goinstr and its live tests are built here, the Go programs too; the guest only runs
//! them. What it prints is one row for each kernel and architecture, as docs/reliability.md has it.

mod guest;
mod machine;
mod outcome;
mod suite;

use self::{
    guest::Built,
    machine::{Arch, Emulator, Kernel},
    outcome::Outcome,
};
use crate::{archive::Archive, arm64, command, go::Go, setup, workspace};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

#[derive(clap::Args)]
pub struct Arguments {
    /// Only these kernels
    #[arg(long, value_enum, value_delimiter = ',')]
    kernel: Vec<Kernel>,
    /// Only these architectures
    #[arg(long, value_enum, value_delimiter = ',')]
    arch: Vec<Arch>,
    /// Only these tests: beginnings of names, as `cargo test --test live` takes them
    #[arg(long, value_delimiter = ',')]
    test: Vec<String>,
    /// All live tests of programs that need no C compiler, which takes an hour of one architecture; what is not built
    /// is named and not counted
    #[arg(long, conflicts_with = "test")]
    whole: bool,
    /// Minutes after which a virtual machine is given up
    #[arg(long, default_value_t = 20)]
    patience: u64,
    /// Print all that the virtual machines print
    #[arg(long)]
    console: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    setup::run(setup::Scope::Everything)?;
    let cache = workspace::cache()?.join("vm");
    let archive = Archive::at(cache.join("apt"))?;
    let emulator = Emulator::find_or_fetch(&archive, &cache)?;
    let scratch = workspace::target_dir().join("vm");
    fs::create_dir_all(&scratch)?;

    let mut outcomes = Vec::new();
    for arch in chosen(&arguments.arch, &[Arch::X86_64, Arch::Arm64]) {
        let every = arguments.whole || !arguments.test.is_empty();
        let built = build(arch, &scratch, every)?;
        for kernel in chosen(&arguments.kernel, &Kernel::ALL) {
            // Too old is too old everywhere.
            if kernel.too_old() && arch != Arch::X86_64 && arguments.kernel.is_empty() {
                continue;
            }
            let image = kernel.image(arch, &archive, &cache)?;
            let initramfs = scratch.join(format!("{}-{}.cpio", kernel.name(), arch.name()));
            let tests = match arguments.test.as_slice() {
                _ if arguments.whole => suite::Tests::Whole,
                [] => suite::Tests::Named(suite::TESTS.map(str::to_owned).to_vec()),
                named => suite::Tests::Named(named.to_vec()),
            };
            let work = suite::script(kernel, &tests);
            guest::initramfs(arch, &work, &built, &archive, &cache, &initramfs)?;
            let mut outcome = Outcome::of(kernel, arch);
            let began = Instant::now();
            let log = scratch.join(format!("{}-{}.log", kernel.name(), arch.name()));
            let mut console = fs::File::create(&log)?;
            let patience = Duration::from_secs(arguments.patience * 60);
            let ended = emulator.boot(arch, &image, &initramfs, patience, |line| {
                // A log that can't be written is no reason to stop.
                let _ = writeln!(console, "{line}");
                if arguments.console {
                    eprintln!("{line}");
                }
                outcome.read(line);
            });
            let _ = fs::remove_file(&initramfs);
            outcome.ended(ended, began.elapsed());
            eprintln!("{}\n(all it printed: {})", outcome.row(), log.display());
            outcomes.push(outcome);
        }
    }

    println!("{}", outcome::HEAD);
    for outcome in &outcomes {
        println!("{}", outcome.row());
    }
    for outcome in &outcomes {
        outcome.explain();
    }
    if !outcomes.iter().all(Outcome::is_good) {
        bail!("not every virtual machine did what it should");
    }
    Ok(())
}

fn chosen<T: Copy>(asked: &[T], all: &[T]) -> Vec<T> {
    if asked.is_empty() { all } else { asked }.to_vec()
}

/// goinstr, its live tests, and the Go programs that they measure.
fn build(arch: Arch, scratch: &Path, every: bool) -> Result<Built> {
    let arguments = [
        "test",
        "--no-run",
        "--test",
        "live",
        "--message-format=json-render-diagnostics",
    ];
    let mut cargo = if arch == Arch::HOST {
        let mut cargo = workspace::cargo();
        cargo
            .args(arguments)
            .args(["--locked", "--package", "goinstr"]);
        cargo
    } else if arch == Arch::Arm64 {
        arm64::set_up()?;
        arm64::cargo(&arguments)
    } else {
        bail!("{} can't be built here", arch.name());
    };
    command::say(&cargo);
    let output = cargo
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("goinstr does not build for {}", arch.name());
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let go = Go::find_or_install(None)?;
    let go_version = go.release().context("`go env GOVERSION` says nothing")?;
    let targets = scratch.join(format!("targets-{}", arch.name()));
    let _ = fs::remove_dir_all(&targets);
    fs::create_dir_all(&targets)?;
    let env = [("GOARCH", arch.debian()), ("CGO_ENABLED", "0")];
    let folders = workspace::root().join("testdata/targets");
    let build = |target: &str, (form, flags): (&str, &[&str])| {
        let into = targets.join(format!("{target}-{go_version}{form}"));
        go.build_with(&folders.join(target), &into, flags, &env)
    };
    if every {
        for target in names(&folders)? {
            for form in suite::FORMS {
                // cgo, plugins, other forms: the tests of these say that they lack their program.
                if let Err(error) = build(&target, form) {
                    eprintln!("not built for a guest: {target}: {error:#}");
                    break;
                }
            }
        }
    } else {
        for target in suite::TARGETS {
            build(target, suite::FORMS[0])?;
        }
        for target in suite::UNOPTIMISED {
            build(target, suite::FORMS[1])?;
        }
    }
    Ok(Built {
        goinstr: executable(&messages, "goinstr", "bin")?,
        live: executable(&messages, "live", "test")?,
        targets,
        go_version,
    })
}

/// What is in a folder, in order.
fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The file of an executable, from cargo's messages: one JSON object a line.
fn executable(messages: &str, name: &str, kind: &str) -> Result<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name && message["target"]["kind"][0] == kind)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo built no {name}"))
}
