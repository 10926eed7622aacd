//! Control groups that give a process little.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{self, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use super::process::patience;

/// What there is little of: for version 1 of control groups and for version 2, as they are usually mounted,
/// the file that limits it and what is written there.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// 64 MB of memory.
    Memory,
    /// A hundredth of a CPU.
    Cpu,
    /// Processes and threads: as many as one likes, until [`Group::close`].
    Processes,
    /// One thread.
    OneProcess,
    /// Nothing, but it can be frozen.
    Freezing,
}

impl Limit {
    fn places(self) -> [(&'static str, &'static str, &'static str); 2] {
        match self {
            Self::Memory => [
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "67108864"),
                ("/sys/fs/cgroup", "memory.max", "67108864"),
            ],
            Self::Cpu => [
                ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "1000"),
                ("/sys/fs/cgroup", "cpu.max", "1000 100000"),
            ],
            Self::Processes => [
                ("/sys/fs/cgroup/pids", "pids.max", "max"),
                ("/sys/fs/cgroup", "pids.max", "max"),
            ],
            Self::OneProcess => [
                ("/sys/fs/cgroup/pids", "pids.max", "1"),
                ("/sys/fs/cgroup", "pids.max", "1"),
            ],
            Self::Freezing => [
                ("/sys/fs/cgroup/freezer", "freezer.state", "THAWED"),
                ("/sys/fs/cgroup", "cgroup.freeze", "0"),
            ],
        }
    }

    /// Why no control group can be made that limits it.
    pub fn obstacle(self) -> Option<String> {
        Group::limited(self, "goinstr-probe").is_err().then(|| {
            let what = format!("{self:?}").to_lowercase();
            format!("no control group can limit {what} here")
        })
    }
}

/// A control group; goes when it is dropped, as soon as nothing is in it.
#[derive(Debug)]
pub struct Group(PathBuf);

impl Group {
    /// Makes one.
    pub fn limited(limit: Limit, name: &str) -> Result<Self> {
        let made = limit.places().into_iter().find_map(|(root, file, value)| {
            let path = Path::new(root).join(format!("{name}-{}", process::id()));
            // Only where it is controlled does the new group have the file.
            fs::create_dir(&path).ok()?;
            let group = Self(path);
            fs::write(group.0.join(file), value)
                .is_ok()
                .then_some(group)
        });
        made.with_context(|| format!("no control group limits {limit:?}"))
    }

    /// No process or thread comes to those that are in it.
    pub fn close(&self) -> Result<()> {
        let now = fs::read_to_string(self.0.join("pids.current"))?;
        Ok(fs::write(self.0.join("pids.max"), now)?)
    }

    /// Freezes what is in it, as `docker pause` does, and waits for that.
    pub fn freeze(&self) -> Result<()> {
        self.be("FROZEN", ("1", "frozen 1"))
    }

    /// Lets it go on.
    pub fn thaw(&self) -> Result<()> {
        self.be("THAWED", ("0", "frozen 0"))
    }

    /// `state` of version 1 of control groups, or what version 2 is told and tells.
    fn be(&self, state: &str, (order, event): (&str, &str)) -> Result<()> {
        let (file, order, events, wanted) = match self.0.join("freezer.state") {
            file if file.exists() => (file.clone(), state, file, state),
            _ => {
                let [file, events] = ["cgroup.freeze", "cgroup.events"].map(|of| self.0.join(of));
                (file, order, events, event)
            }
        };
        fs::write(file, order)?;
        let deadline = Instant::now() + patience();
        while !fs::read_to_string(&events)?.contains(wanted) {
            ensure!(
                Instant::now() < deadline,
                "waited {:?} in vain for {wanted}",
                patience()
            );
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// What runs `program` in it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", r#"echo $$ > "$0" && exec "$@""#])
            .arg(self.processes())
            .arg(program);
        shell
    }

    /// Whoever is to be in it writes its process id there.
    pub fn processes(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What is frozen does not end.
        let _ = self.thaw();
        let deadline = Instant::now() + patience();
        while fs::remove_dir(&self.0).is_err() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(50));
        }
    }
}
