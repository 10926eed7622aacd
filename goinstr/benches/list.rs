//! How long a large binary takes to list, beside `go tool nm` on the same file.
//!
//! The file is the Go toolchain's own compiler (28 MB, 20,000 functions), or what `GOINSTR_BENCH`
//! names. "open" reads the functions' table, "survey" decodes every function, "list" is the whole
//! command, process start and output included. Peaks of memory are printed first: while this process is
//! small, since a child's peak begins with its parent's.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use criterion::{Criterion, criterion_group, criterion_main};
use goinstr::binary::GoBinary;
use goinstr::plan::{Pattern, survey};

fn large_binary() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("GOINSTR_BENCH") {
        return Some(path.into());
    }
    let go = Command::new("go")
        .args(["tool", "-n", "compile"])
        .output()
        .ok()?;
    let path = PathBuf::from(String::from_utf8(go.stdout).ok()?.trim());
    path.is_file().then_some(path)
}

fn quietly(command: &mut Command, file: &Path) {
    let status = command.arg(file).arg("*").stdout(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "{command:?}");
}

/// The most memory that a command had resident, in bytes.
fn peak(command: &mut Command) -> io::Result<u64> {
    let child = command.stdout(Stdio::null()).spawn()?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    let mut status = 0;
    // SAFETY: the child is ours and nobody else waits for it; both places are there to be written to, and
    // zeros are a `rusage`.
    let (waited, usage) = unsafe {
        let waited = libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr());
        (waited, usage.assume_init())
    };
    match (waited == pid, status) {
        (true, 0) => Ok(u64::try_from(usage.ru_maxrss).unwrap_or(0) << 10),
        (true, _) => Err(io::Error::other(format!("{command:?} failed"))),
        (false, _) => Err(io::Error::last_os_error()),
    }
}

fn peaks(file: &Path) {
    let mut goinstr = Command::new(env!("CARGO_BIN_EXE_goinstr"));
    let mut nm = Command::new("go");
    let commands = [
        ("list", goinstr.arg("list").arg(file).arg("*")),
        ("go tool nm", nm.args(["tool", "nm"]).arg(file)),
    ];
    println!("memory on {}:", file.display());
    for (name, command) in commands {
        match peak(command) {
            Ok(bytes) => println!("{name:>12}  {} MB at most", bytes / 1_000_000),
            Err(why) => println!("{name:>12}  not measured: {why}"),
        }
    }
}

fn list(criterion: &mut Criterion) {
    let Some(file) = large_binary() else {
        eprintln!("SKIPPED: there is no go on PATH whose compiler could be listed");
        return;
    };
    peaks(&file);
    let everything = [Pattern::parse("*").expect("a pattern")];
    let mut group = criterion.benchmark_group("list");
    group.sample_size(10);
    group.bench_function("open", |b| {
        b.iter(|| GoBinary::open(&file).expect("a Go program"));
    });
    group.bench_function("survey", |b| {
        let binary = GoBinary::open(&file).expect("a Go program");
        b.iter(|| survey(&binary, &everything).expect("functions").len());
    });
    group.bench_function("list", |b| {
        b.iter(|| {
            quietly(
                Command::new(env!("CARGO_BIN_EXE_goinstr")).arg("list"),
                &file,
            )
        });
    });
    let nm = || {
        let nm = Command::new("go")
            .args(["tool", "nm"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        nm.is_ok_and(|status| status.success())
    };
    // It has nothing to read in a stripped file.
    if nm() {
        group.bench_function("go tool nm", |b| b.iter(nm));
    } else {
        println!("go tool nm can't read {}", file.display());
    }
    group.finish();
}

criterion_group!(benches, list);
criterion_main!(benches);
