//! How soon a busy server that is covered runs at its own speed again:
//! `cargo bench --bench cover_settles`, as root.
//!
//! Two servers: a small one that serves itself, and Prometheus (50 MB, 52,000 functions) where
//! `cargo xtask programs` has fetched it. What is compared is requests by CPU second, so that what else
//! the machine does matters little: that while the probes are put in, and that of each second from then
//! on, with that of the seconds before and after, round by round.

#[path = "../tests/support/build.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod build;
#[path = "../tests/support/toolchain.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod toolchain;

use std::{
    fs,
    io::{BufRead as _, BufReader, Lines, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

/// Pairs of an uncovered and a covered time.
const ROUNDS: usize = 5;
/// Seconds before each covering, and after the last.
const QUIET: usize = 3;
/// Seconds of covering that are looked at, once the probes are in place.
const COVERED: usize = 10;
/// The last of them that count as settled.
const SETTLED: usize = 4;

/// The large server, among the programs that `cargo xtask programs` fetches.
const LARGE: &str = "prometheus-2.42.0";
/// What it is asked for, by so many customers at once.
const PAGES: [&str; 4] = [
    "/metrics",
    "/api/v1/targets",
    "/api/v1/labels",
    "/api/v1/status/runtimeinfo",
];
const CUSTOMERS: usize = 4;
/// CPU time in `/proc/PID/stat` is counted in these.
const TICK_NS: f64 = 1e7;

/// What is covered, and how it is called.
const WAYS: [(&str, &[&str]); 3] = [
    ("every function", &["*"]),
    ("the functions of the main module", &[]),
    ("the lines of the main module", &["--lines"]),
];

fn main() -> ExitCode {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let small = build::Build::of("busy").executable()?;
    for (name, args) in WAYS {
        settle(name, args, Server::start(&small)?)?;
    }
    let home = std::env::var_os("HOME").context("no HOME")?;
    let large = PathBuf::from(home)
        .join(".cache/goinstr/programs")
        .join(LARGE);
    if large.exists() {
        let (name, args) = WAYS[0];
        settle(
            &format!("{LARGE}, {name}"),
            args,
            Server::start_large(&large)?,
        )?;
    } else {
        println!("{LARGE} is left out: `cargo xtask programs` fetches it");
    }
    Ok(())
}

/// Covers a server some times, and prints how soon it was itself again.
fn settle(name: &str, args: &[&str], mut server: Server) -> Result<()> {
    let mut rounds: Vec<Vec<f64>> = Vec::new();
    let (mut placing, mut took) = (Vec::new(), Vec::new());
    let mut before = server.rate(QUIET)?;
    let mut armed = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut covering = Command::new(env!("CARGO_BIN_EXE_goinstr"))
            .args(["cover", "--output", "json", "--pid"])
            .arg(server.child.id().to_string())
            .args(args)
            .stdout(Stdio::piped())
            .spawn()?;
        let out = covering.stdout.take().context("no stdout")?;
        let (session, placed) = mpsc::channel();
        // Read beside, so that goinstr never waits.
        let lines = thread::spawn(move || {
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            lines
                .inspect(|_| {
                    // Only the first is waited for.
                    let _ = session.send(());
                })
                .last()
        });
        let first = server.last;
        while placed.try_recv().is_err() {
            server.next()?;
            ensure!(covering.try_wait()?.is_none(), "goinstr ended early");
        }
        placing.push(server.since(first));
        took.push(start.elapsed().as_secs_f64());
        let seconds: Vec<f64> = (0..COVERED)
            .map(|_| server.rate(1))
            .collect::<Result<_>>()?;
        ensure!(covering.try_wait()?.is_none(), "goinstr ended early");
        Command::new("kill")
            .args(["-INT", &covering.id().to_string()])
            .status()?;
        covering.wait()?;
        armed.push(lines.join().ok().flatten().unwrap_or_default());
        // Until its own end has passed.
        thread::sleep(Duration::from_millis(500));
        server.drain();
        let after = server.rate(QUIET)?;
        let own = f64::midpoint(before, after);
        rounds.push(seconds.iter().map(|rate| rate / own).collect());
        if let Some(placing) = placing.last_mut() {
            *placing /= own;
        }
        before = after;
    }
    println!("{name}, {ROUNDS} rounds:");
    println!(
        "  until the probes are in place, {:.1} s: {:.3} of its own speed",
        median(took.into_iter()),
        median(placing.into_iter())
    );
    for second in 0..COVERED {
        let of = rounds.iter().map(|round| round[second]);
        println!(
            "  second {:>2}: {:.3} of its own speed",
            second + 1,
            median(of)
        );
    }
    let settled = rounds
        .iter()
        .map(|round| round[COVERED - SETTLED..].iter().sum::<f64>() / SETTLED as f64);
    println!(
        "  settled (the last {SETTLED} seconds): {:.3} of its own speed (goal: at least 0.97)",
        median(settled)
    );
    println!("  {}\n", armed.last().map_or("", String::as_str));
    Ok(())
}

/// A busy server.
struct Server {
    child: Child,
    source: Source,
    /// Requests served and ns of CPU time so far.
    last: (f64, f64),
}

/// Who knows what it has served.
enum Source {
    /// It says so itself, and what CPU time that took, ten times a second.
    Itself(Lines<BufReader<ChildStdout>>),
    /// Its customers do.
    Customers {
        served: Arc<AtomicU64>,
        closed: Arc<AtomicBool>,
    },
}

impl Server {
    fn start(exe: &Path) -> Result<Self> {
        let mut child = Command::new(exe).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().context("no stdout")?;
        let mut lines = BufReader::new(out).lines();
        lines.next().context("no `ready`")??;
        let mut server = Self {
            child,
            source: Source::Itself(lines),
            last: (0.0, 0.0),
        };
        // Its caches and heap get warm.
        server.rate(QUIET)?;
        Ok(server)
    }

    /// Prometheus and its customers.
    fn start_large(exe: &Path) -> Result<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("large-server");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        fs::write(
            folder.join("config.yml"),
            "global:\n  scrape_interval: 15s\n",
        )?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let child = Command::new(exe)
            .arg("--config.file=config.yml")
            .arg(format!("--web.listen-address={address}"))
            .current_dir(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let served = Arc::new(AtomicU64::new(0));
        let closed = Arc::new(AtomicBool::new(false));
        for customer in 0..CUSTOMERS {
            let (served, closed) = (Arc::clone(&served), Arc::clone(&closed));
            thread::spawn(move || {
                for page in PAGES.iter().cycle().skip(customer) {
                    if closed.load(Ordering::Relaxed) {
                        return;
                    }
                    match ask(address, page) {
                        Ok(()) => {
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                        // It is not there yet, or any more.
                        Err(_) => thread::sleep(Duration::from_millis(50)),
                    }
                }
            });
        }
        let mut server = Self {
            child,
            source: Source::Customers { served, closed },
            last: (0.0, 0.0),
        };
        server.rate(3 * QUIET)?;
        ensure!(server.last.0 > 0.0, "{} serves nobody", exe.display());
        Ok(server)
    }

    /// Requests by CPU second, over so many seconds from now.
    fn rate(&mut self, seconds: usize) -> Result<f64> {
        let first = self.last;
        for _ in 0..seconds * 10 {
            self.next()?;
        }
        Ok(self.since(first))
    }

    /// Requests by CPU second since then.
    fn since(&self, first: (f64, f64)) -> f64 {
        let (requests, cpu_ns) = (self.last.0 - first.0, self.last.1 - first.1);
        requests / cpu_ns.max(1.0)
    }

    /// A tenth of a second.
    fn next(&mut self) -> Result<()> {
        self.last = match &mut self.source {
            Source::Itself(lines) => {
                let line = lines.next().context("the server has ended")??;
                let mut words = line.split(' ').map(str::parse::<f64>);
                let mut word = || words.next().and_then(Result::ok).context("no figure");
                (word()?, word()?)
            }
            Source::Customers { served, .. } => {
                thread::sleep(Duration::from_millis(100));
                let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
                let after = stat.rsplit_once(") ").context("no stat")?.1;
                // `utime` and `stime` (proc_pid_stat(5)).
                let mut ticks = after.split(' ').skip(11).map(str::parse::<f64>);
                let mut tick = || ticks.next().and_then(Result::ok).context("no figure");
                let cpu_ns = (tick()? + tick()?) * TICK_NS;
                #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 requests")]
                let served = served.load(Ordering::Relaxed) as f64;
                (served, cpu_ns)
            }
        };
        Ok(())
    }

    /// What it has said while nobody listened.
    fn drain(&mut self) {
        for _ in 0..4 {
            let _ = self.next();
        }
    }
}

/// One request, to its end.
fn ask(address: SocketAddr, page: &str) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET {page} HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "{page} was refused");
    Ok(())
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Source::Customers { closed, .. } = &self.source {
            closed.store(true, Ordering::Relaxed);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
