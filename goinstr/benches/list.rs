//! How long a large binary takes to list, beside `go tool nm` on the same file.
//!
//! The file is the Go toolchain's own compiler (28 MB, 20,000 functions), or what `GOINSTR_BENCH`
//! names. "open" reads the functions' table, "survey" decodes every function, "list" is the whole
//! command, process start and output included.

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

fn list(criterion: &mut Criterion) {
    let Some(file) = large_binary() else {
        eprintln!("SKIPPED: there is no go on PATH whose compiler could be listed");
        return;
    };
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
    group.bench_function("go tool nm", |b| {
        let nm = || {
            let nm = Command::new("go")
                .args(["tool", "nm"])
                .arg(&file)
                .stdout(Stdio::null())
                .status();
            assert!(nm.is_ok_and(|status| status.success()));
        };
        b.iter(nm);
    });
    group.finish();
}

criterion_group!(benches, list);
criterion_main!(benches);
