//! A process's machine code in memory against its file: the promise that nothing is left changed.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

/// How long the kernel may take, where others want the CPUs or these are emulated.
const PATIENCE: Duration = Duration::from_secs(300);

/// Waits until all executable mappings of `exe` in the process are byte for byte the file's.
/// The kernel takes probes out a little after the death of whoever put them in.
pub fn wait_until_original(pid: u32, exe: &Path) -> Result<()> {
    wait_until_original_as(pid, exe, &exe.canonicalize()?)
}

/// The same where the process has mapped the file under another path, as its mappings show it.
pub fn wait_until_original_as(pid: u32, exe: &Path, mapped: &Path) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let changed = changed_bytes_as(pid, exe, mapped)?;
        if changed == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{changed} bytes of the text of process {pid} are still changed");
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// How many bytes of the text differ from the file.
pub fn changed_bytes(pid: u32, exe: &Path) -> Result<usize> {
    changed_bytes_as(pid, exe, &exe.canonicalize()?)
}

fn changed_bytes_as(pid: u32, exe: &Path, mapped: &Path) -> Result<usize> {
    let file = fs::read(exe)?;
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let mut compared = 0;
    let mut changed = 0;
    for line in maps.lines() {
        // start-end perms offset dev inode path
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [range, permissions, offset, _, _, ref path @ ..] = fields[..] else {
            continue;
        };
        if !permissions.contains('x') || Path::new(&path.join(" ")) != mapped {
            continue;
        }
        let (start, end) = range.split_once('-').context("a mapping without a range")?;
        let start = u64::from_str_radix(start, 16)?;
        let length = usize::try_from(u64::from_str_radix(end, 16)? - start)?;
        let offset = usize::try_from(u64::from_str_radix(offset, 16)?)?;
        // The last page may reach past the end of the file.
        let expected = &file[offset.min(file.len())..(offset + length).min(file.len())];
        let mut actual = vec![0; expected.len()];
        memory.read_exact_at(&mut actual, start)?;
        compared += expected.len();
        changed += expected.iter().zip(&actual).filter(|(a, b)| a != b).count();
    }
    ensure!(
        compared > 0,
        "process {pid} maps no text of {}",
        exe.display()
    );
    Ok(changed)
}
