//! `cargo xtask soak`: a Go server under load, attached to and detached from for as long as told,
//! by turns with its own functions and with every function that it has, without the guard and as users have it: with.
//!
//! What must hold: every attach ends well with balanced books, no request fails, the server's text
//! is the file's at the end, and nothing grows: goinstr's memory, the server's, what is in the kernel.

#[path = "../../goinstr/tests/support/objects.rs"]
mod objects;
#[path = "../../goinstr/tests/support/text.rs"]
#[expect(dead_code, reason = "the live tests use more of it")]
mod text;

use self::objects::Objects;
use crate::{build, command, demo::Running, go::Go, setup, workspace};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// One turn: what is measured, for how many seconds, and whether with the guard.
const TURNS: [(&str, u32, bool); 4] = [
    ("main.*", 5, false),
    ("*", 1, false),
    ("main.*", 5, true),
    ("*", 3, true),
];
/// KiB by which memory may be more in the last tenth than in the second.
const GROWTH_KIB: u64 = 8 << 10;
/// The customers stay so much longer than the last attach can begin: it would see no call.
const LONGER: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub struct Arguments {
    /// How long
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Customers of the server, some 40 requests a second each
    #[arg(long, default_value_t = 4)]
    customers: u32,
    /// This goinstr, instead of one that is built now
    #[arg(long)]
    goinstr: Option<PathBuf>,
    /// This server, instead of one that is built now: testdata/targets/demo
    #[arg(long)]
    server: Option<PathBuf>,
}

/// What one attach and detach came to.
struct Turn {
    entries: u64,
    lost: u64,
    /// KiB at the end of it.
    goinstr_kib: u64,
    server_kib: u64,
    objects: [usize; 3],
}

pub fn run(arguments: &Arguments) -> Result<()> {
    ensure!(
        command::is_root(),
        "the soak reads the server's memory: run it as root"
    );
    let goinstr = match &arguments.goinstr {
        Some(goinstr) => goinstr.clone(),
        None => build::run()?,
    };
    let shop = match &arguments.server {
        Some(server) => server.clone(),
        None => {
            setup::run(setup::Scope::Everything)?;
            let shop = workspace::target_dir().join("soak/shop");
            fs::create_dir_all(shop.parent().context("a file has a folder")?)?;
            let source = workspace::root().join("testdata/targets/demo");
            Go::find_or_install(None)?.build(&source, &shop)?;
            shop
        }
    };
    let before = Objects::now().context("the kernel refuses bpf()")?;
    let minutes = Duration::from_secs(arguments.minutes * 60);
    let longer = format!("{}s", minutes.as_secs() + 300);
    let mut server = Running::start(
        Command::new(&shop)
            .args(["-for", &longer])
            .stdout(Stdio::piped()),
    )?;
    let address = server.address()?;
    let mut customers = Running::start(
        Command::new(&shop)
            .args([
                "-for",
                &format!("{}s", (minutes + LONGER).as_secs()),
                "-load",
                &address,
            ])
            .args(["-customers", &arguments.customers.to_string()])
            .stdout(Stdio::piped()),
    )?;

    let began = Instant::now();
    let mut turns: Vec<Turn> = Vec::new();
    let mut told = 0;
    while began.elapsed() < minutes {
        let kind = TURNS[turns.len() % TURNS.len()];
        let turn = turn(&goinstr, server.0.id(), kind)
            .with_context(|| format!("attach {} ({})", turns.len() + 1, name(kind)))?;
        turns.push(turn);
        if began.elapsed().as_secs() / 60 > told {
            told = began.elapsed().as_secs() / 60;
            println!("{told} min: {}", summary(&turns));
        }
    }
    customers.0.wait()?;
    let mut answered = String::new();
    let stdout = customers
        .0
        .stdout
        .as_mut()
        .context("the customers' stdout")?;
    stdout.read_to_string(&mut answered)?;

    text::wait_until_original(server.0.id(), &shop)?;
    let left = Objects::left_since(&before, Duration::from_secs(120));
    println!(
        "{:.0} min, {} customers: {}",
        began.elapsed().as_secs_f64() / 60.0,
        arguments.customers,
        summary(&turns)
    );
    println!("requests: {}", answered.trim());
    println!("the server's text is its file's, byte for byte");
    println!("BPF objects made meanwhile that are still there: {left:?}");
    // By what is attached, since that is what goinstr's depends on.
    for (index, &kind) in TURNS.iter().enumerate() {
        let of_kind = turns.iter().skip(index).step_by(TURNS.len());
        let sizes: Vec<u64> = of_kind.map(|turn| turn.goinstr_kib).collect();
        flat(&format!("goinstr's memory ({})", name(kind)), &sizes)?;
    }
    let sizes: Vec<u64> = turns.iter().map(|turn| turn.server_kib).collect();
    flat("the server's memory", &sizes)?;
    ensure!(
        answered.contains("failed 0") && !answered.contains("answered 0"),
        "requests failed: {answered}"
    );
    ensure!(
        left == Some(Objects::default()),
        "left in the kernel: {left:?}"
    );
    println!("errors: 0");
    Ok(())
}

/// What a kind of turn is called.
fn name((pattern, _, guard): (&str, u32, bool)) -> String {
    let guard = if guard { "with" } else { "without" };
    format!("{pattern}, {guard} the guard")
}

/// Attaches, and reads the books.
fn turn(goinstr: &Path, pid: u32, (pattern, seconds, guard): (&str, u32, bool)) -> Result<Turn> {
    let without_guard = (!guard).then_some("--no-guard");
    let mut running = Running(
        Command::new(goinstr)
            .args(["attach", "--output", "json"])
            .args(without_guard)
            .args(["--pid", &pid.to_string()])
            .args(["--duration", &format!("{seconds}s"), pattern])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run goinstr")?,
    );
    let mut stdout = running.0.stdout.take().context("goinstr's stdout")?;
    let mut stderr = running.0.stderr.take().context("goinstr's stderr")?;
    let reader = thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let own = running.0.id();
    let mut goinstr_kib = 0;
    let status = loop {
        // The peak so far; unreadable once it has ended.
        goinstr_kib = goinstr_kib.max(kib(own, "VmHWM:").unwrap_or(0));
        if let Some(status) = running.0.try_wait()? {
            break status;
        }
        thread::sleep(Duration::from_millis(100));
    };
    let mut errors = String::new();
    stderr.read_to_string(&mut errors)?;
    let text = reader.join().ok().context("the reader died")??;
    ensure!(status.success(), "ended with {status}: {errors}");
    ensure!(!errors.contains("balance"), "{errors}");
    let ledger: serde_json::Value = serde_json::from_str(text.lines().last().unwrap_or_default())
        .with_context(|| format!("no ledger; stderr: {errors}"))?;
    let number = |field: &str| ledger[field].as_u64().context(field.to_owned());
    let lost: u64 = ledger["lost"]
        .as_object()
        .context("lost")?
        .values()
        .filter_map(serde_json::Value::as_u64)
        .sum();
    let entries = number("entries")?;
    let objects = Objects::now().unwrap_or_default();
    let closed = number("returned")? + number("unwound")? + number("in_flight")? + lost;
    ensure!(entries == closed, "the ledger does not balance: {ledger}");
    ensure!(entries != 0, "no call was seen: {ledger}");
    Ok(Turn {
        entries,
        lost,
        goinstr_kib,
        server_kib: kib(pid, "VmRSS:")?,
        objects: [objects.programs, objects.maps, objects.links].map(|ids| ids.len()),
    })
}

/// A size from `/proc/PID/status`.
fn kib(pid: u32, field: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.trim().parse().ok())
        .with_context(|| format!("no {field} in /proc/{pid}/status"))
}

fn summary(turns: &[Turn]) -> String {
    let calls: u64 = turns.iter().map(|turn| turn.entries).sum();
    let lost: u64 = turns.iter().map(|turn| turn.lost).sum();
    let last = turns.last();
    format!(
        "{} attaches, {calls} calls ({lost} of them lost by name), goinstr {} KiB, server {} KiB, BPF \
         programs, maps and links on this machine {:?}",
        turns.len(),
        last.map_or(0, |turn| turn.goinstr_kib),
        last.map_or(0, |turn| turn.server_kib),
        last.map_or([0; 3], |turn| turn.objects),
    )
}

/// The median of the last tenth against that of the second: the first has caches to fill.
fn flat(what: &str, sizes: &[u64]) -> Result<()> {
    let tenth = (sizes.len() / 10).max(1);
    let median = |sizes: &[u64]| {
        let mut sizes = sizes.to_vec();
        sizes.sort_unstable();
        sizes.get(sizes.len() / 2).copied().unwrap_or(0)
    };
    let early = median(sizes.get(tenth..2 * tenth).unwrap_or(sizes));
    let late = median(
        sizes
            .get(sizes.len() - tenth.min(sizes.len())..)
            .unwrap_or(sizes),
    );
    println!("{what}: {early} KiB in the second tenth, {late} KiB in the last");
    ensure!(
        late <= early + GROWTH_KIB,
        "{what} grew from {early} to {late} KiB"
    );
    Ok(())
}
