//! Time and memory to read a binary, by its size.

use std::{
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    many,
    rounds::{median, print_ratio},
    target,
};

const ROUNDS: usize = 9;

/// Lists all functions of some binaries, in turn with `go tool nm`.
pub fn run() -> Result<()> {
    println!("{ROUNDS} rounds, interleaved; goinstr list --output json '*', medians\n");
    println!("      MB  wall ms   CPU ms   peak MB  CPU ÷ go tool nm's");
    for exe in binaries()? {
        let size = std::fs::metadata(&exe)?.len() as f64 / 1e6;
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let mut list = Command::new(env!("CARGO_BIN_EXE_goinstr"));
            list.args(["list", "--output", "json"]).arg(&exe).arg("*");
            let mut nm = Command::new("go");
            nm.args(["tool", "nm", "-size"]).arg(&exe);
            rounds.push((used(&mut list)?, used(&mut nm)?));
        }
        let of = |part: fn(&Used) -> f64| median(rounds.iter().map(|(list, _)| part(list)));
        print!(
            "{size:>8.1} {:>8.0} {:>8.0} {:>9.1}",
            of(|used| used.wall_ms),
            of(|used| used.cpu_ms),
            of(|used| used.peak_mb)
        );
        let name = exe.file_name().unwrap_or_default().to_string_lossy();
        let ratio = median(rounds.iter().map(|(list, nm)| list.cpu_ms / nm.cpu_ms));
        print_ratio(ratio, &name, None);
    }
    Ok(())
}

/// Programs of the toolchain and of this benchmark, from small to large; and those that
/// `GOINSTR_BENCH_BINARIES` names, with colons between them.
fn binaries() -> Result<Vec<PathBuf>> {
    let go = |what: &str| -> Result<PathBuf> {
        let out = Command::new("go").args(["env", what]).output()?;
        Ok(PathBuf::from(String::from_utf8(out.stdout)?.trim()))
    };
    let tools = go("GOTOOLDIR")?;
    let root = go("GOROOT")?;
    let mut all = vec![target::build("calls")?, many::build()?];
    all.extend(
        [root.join("bin/go"), tools.join("compile")]
            .into_iter()
            .filter(|path| path.exists()),
    );
    if let Some(more) = std::env::var_os("GOINSTR_BENCH_BINARIES") {
        all.extend(std::env::split_paths(&more));
    }
    all.sort_by_key(|path: &PathBuf| std::fs::metadata(Path::new(path)).map_or(0, |m| m.len()));
    Ok(all)
}

/// What a process used.
struct Used {
    wall_ms: f64,
    cpu_ms: f64,
    peak_mb: f64,
}

fn used(command: &mut Command) -> Result<Used> {
    let start = Instant::now();
    let child = command
        .stdout(Stdio::null())
        .spawn()
        .context("can't start it")?;
    let (status, usage) = wait(child.id())?;
    ensure!(status.success(), "{command:?} failed");
    let ms = |time: libc::timeval| time.tv_sec as f64 * 1e3 + time.tv_usec as f64 / 1e3;
    Ok(Used {
        wall_ms: start.elapsed().as_secs_f64() * 1e3,
        cpu_ms: ms(usage.ru_utime) + ms(usage.ru_stime),
        // In KiB (`getrusage(2)`).
        peak_mb: usage.ru_maxrss as f64 * 1024.0 / 1e6,
    })
}

/// Waits for a child of ours; how it ended and what it used.
pub fn wait(pid: u32) -> Result<(ExitStatus, libc::rusage)> {
    let mut status = 0;
    // SAFETY: all fields are integers, for which zero is a value.
    let mut usage = unsafe { std::mem::zeroed::<libc::rusage>() };
    // SAFETY: valid pointers, and a child that nobody else waits for.
    let waited = unsafe { libc::wait4(pid.cast_signed(), &raw mut status, 0, &raw mut usage) };
    ensure!(waited >= 0, "wait4: {}", std::io::Error::last_os_error());
    Ok((ExitStatus::from_raw(status), usage))
}
