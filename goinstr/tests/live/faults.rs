//! What goes wrong around a measurement: kills at random moments, outputs that take nothing, files
//! that are replaced, tables that are full. After each: the target unharmed and its text its own,
//! the ledger balanced or the loss named. That nothing is left in the kernel is checked at the end
//! of all live tests.
//!
//! `GOINSTR_FAULTS` is how often each is tried that depends on chance.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Test,
    support::{
        build::{self, Build},
        case::{Case, Measured},
        dice::Dice,
        lines::Lines,
        measurement::{Measurement, goinstr},
        process::{Target, patience},
        text,
    },
    test,
};

pub fn tests() -> Vec<Test> {
    vec![
        test("faults::goinstr_killed_at_random_moments", goinstr_killed),
        test("faults::target_killed_at_random_moments", target_killed),
        test("faults::both_killed_at_random_moments", both_killed),
        test("faults::target_becomes_its_own_file_again", again),
        test(
            "faults::a_full_disk_ends_it_and_the_books_are_told",
            disk_full,
        ),
        test(
            "faults::a_reader_that_stops_reading_does_not_hold_it",
            reader_stops,
        ),
        test("faults::the_file_is_replaced_while_it_is_measured", || {
            replaced(When::Measured)
        }),
        test("faults::the_file_is_replaced_before", || {
            replaced(When::Before)
        }),
        test("faults::the_file_is_deleted_before", || {
            replaced(When::DeletedBefore)
        }),
        test("faults::many_short_lived_processes", short_lived),
        test("faults::more_goroutines_than_room", table_full),
        test("faults::sixty_four_megabytes_of_memory", little_memory).unless(no_memory_control()),
        test("faults::the_wall_clock_jumps", clock_jumps).unless(
            env::var_os("GOINSTR_LIVE_CLOCK")
                .is_none()
                .then_some("it sets the clock, so only where GOINSTR_LIVE_CLOCK allows it"),
        ),
    ]
}

/// How often what depends on chance is tried.
fn times() -> Result<u64> {
    Ok(env::var("GOINSTR_FAULTS").map_or(Ok(3), |text| text.parse())?)
}

/// A goinstr at some point of its life.
fn attaching(pid: u32, args: &[&str]) -> Result<Child> {
    Command::new(goinstr())
        .args(["attach", "--output", "json", "--no-guard", "--pid"])
        .arg(pid.to_string())
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("can't run goinstr")
}

fn signal(child: &Child, signal: Signal) -> Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.context("a pid that is none")?, signal).context("can't signal goinstr")
}

fn wait(child: &mut Child) -> Result<ExitStatus> {
    let deadline = Instant::now() + patience();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            bail!("waited {:?} in vain for goinstr to end", patience());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Some moment: while goinstr reads the file, calibrates, loads, arms or measures.
fn some_time(dice: &mut Dice) {
    thread::sleep(Duration::from_millis(dice.below(1500)));
}

fn goinstr_killed() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    target.go()?;
    target.wait_for("progress")?;
    let mut dice = Dice::new(1);
    for _ in 0..times()? {
        let mut goinstr = attaching(target.pid, &["main.*"])?;
        some_time(&mut dice);
        goinstr.kill()?;
        goinstr.wait()?;
        text::wait_until_original(target.pid, &exe)?;
        ensure!(target.alive()?, "the target did not survive");
    }
    // It counts on, and so does the next goinstr.
    let measurement = Measurement::start(target.pid, &["main.work"])?;
    thread::sleep(Duration::from_millis(200));
    target.go()?;
    target.truth()?;
    let report = measurement.interrupt()?;
    ensure!(report.function("main.work")?.calls > 0, "no load");
    ensure!(report.ledger.lost_in_all() == 0, "{:?}", report.ledger);
    target.release()
}

/// However far goinstr has come, it ends by itself: with a report whose books balance, or with one
/// line that says that the process has gone.
fn target_killed() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let mut dice = Dice::new(2);
    for _ in 0..times()? {
        let mut target = Target::start(&exe, &[""; 0])?;
        target.go()?;
        target.wait_for("progress")?;
        let mut goinstr = attaching(target.pid, &["main.*"])?;
        let mut lines = Lines::of("goinstr", goinstr.stdout.take().context("stdout")?);
        let mut errors = Lines::of("goinstr", goinstr.stderr.take().context("stderr")?);
        some_time(&mut dice);
        target.signal(Signal::KILL)?;
        target.exit()?;
        let status = wait(&mut goinstr)?;
        lines.wait_for_end(patience())?;
        errors.wait_for_end(patience())?;
        match status.code() {
            // Parsing checks the books.
            Some(0) => {
                let report = crate::support::report::Report::parse(&lines.seen)?;
                ensure!(
                    report.ledger.end == "target_exit",
                    "ended by {}",
                    report.ledger.end
                );
            }
            Some(1) => ensure!(
                errors.seen.len() == 1 && errors.seen[0].starts_with("goinstr: "),
                "not one line: {}",
                errors.seen.join("\n")
            ),
            _ => bail!("goinstr ended with {status}: {}", errors.tail()),
        }
    }
    Ok(())
}

fn both_killed() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let mut dice = Dice::new(3);
    // Shares the file's pages, and so would show what is left in them.
    let mut other = Target::start(&exe, &[""; 0])?;
    for _ in 0..times()? {
        let mut target = Target::start(&exe, &[""; 0])?;
        target.go()?;
        let mut goinstr = attaching(target.pid, &["main.*"])?;
        some_time(&mut dice);
        target.signal(Signal::KILL)?;
        goinstr.kill()?;
        goinstr.wait()?;
        target.exit()?;
    }
    text::wait_until_original(other.pid, &exe)?;
    other.go()?;
    other.wait_for("progress")?;
    other.go()?;
    other.truth()?;
    other.release()
}

/// The same file, executed anew by the same process, is another program: goinstr ends by itself,
/// with the counts of the first.
fn again() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let mut target = Target::start(&exe, &["again"])?;
    let functions = ["main.outer", "main.work", "main.fail", "main.ignore"];
    let measurement = Measurement::start(target.pid, &functions)?;
    target.go()?;
    target.wait_for("progress")?;
    target.go()?;
    let mut truth = target.truth()?;
    // It is the new image that says so.
    target.wait_for("ready ")?;
    let report = measurement.finish()?;
    ensure!(
        report.ledger.end == "target_exit",
        "ended by {}",
        report.ledger.end
    );
    text::wait_until_original(target.pid, &exe)?;
    ensure!(target.alive()?, "what the target became did not survive");
    truth
        .functions
        .retain(|name, _| functions.contains(&name.as_str()));
    Measured { report, truth }.agree(&[])
}

/// `/dev/full` takes nothing.
fn disk_full() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    target.go()?;
    let args = ["--output-file", "/dev/full", "--interval", "50ms", "main.*"];
    let mut goinstr = attaching(target.pid, &args)?;
    let mut errors = Lines::of("goinstr", goinstr.stderr.take().context("stderr")?);
    let status = wait(&mut goinstr)?;
    errors.wait_for_end(patience())?;
    let told = errors.seen.join("\n");
    ensure!(status.code() == Some(1), "ended with {status}: {told}");
    ensure!(
        told.contains("the disk is full") && told.contains("/dev/full"),
        "{told}"
    );
    balanced(&told)?;
    unharmed(target, &exe)
}

/// A pipe that stays open and is never read.
fn reader_stops() -> Result<()> {
    let exe = Build::of("steady").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    target.go()?;
    let mut goinstr = attaching(target.pid, &["--interval", "50ms", "main.*"])?;
    let unread = goinstr.stdout.take().context("stdout")?;
    rustix::pipe::fcntl_setpipe_size(&unread, 4096)?;
    let mut errors = Lines::of("goinstr", goinstr.stderr.take().context("stderr")?);
    let deadline = Instant::now() + patience();
    while text::changed_bytes(target.pid, &exe)? == 0 {
        ensure!(Instant::now() < deadline, "never armed");
        thread::sleep(Duration::from_millis(20));
    }
    // A page has room for some lines; at the next interval there is more to write than that.
    while rustix::io::ioctl_fionread(&unread)? < 1000 {
        ensure!(Instant::now() < deadline, "the pipe is never full");
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_secs(1));
    signal(&goinstr, Signal::INT)?;
    // Whatever nobody reads: the probes go at once.
    text::wait_until_original(target.pid, &exe)?;
    let status = wait(&mut goinstr)?;
    errors.wait_for_end(patience())?;
    let told = errors.seen.join("\n");
    ensure!(status.code() == Some(1), "ended with {status}: {told}");
    ensure!(told.contains("stopped reading"), "{told}");
    let ledger = told
        .lines()
        .filter_map(|line| line.split_once("not read: ").map(|(_, line)| line))
        .find(|line| line.contains(r#""type":"ledger""#))
        .with_context(|| format!("no ledger: {told}"))?;
    let ledger: crate::support::report::Ledger = serde_json::from_str(ledger)?;
    ensure!(
        ledger.entries
            == ledger.returned + ledger.unwound + ledger.in_flight + ledger.lost_in_all(),
        "{ledger:?}"
    );
    drop(unread);
    unharmed(target, &exe)
}

/// `the books: N calls began = A returned + B unwound + C in flight + D lost`.
fn balanced(told: &str) -> Result<()> {
    let books = told
        .lines()
        .find_map(|line| line.split_once("the books: ").map(|(_, books)| books))
        .with_context(|| format!("no books: {told}"))?;
    let numbers: Vec<u64> = books
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [entries, parts @ ..] = &numbers[..] else {
        bail!("no numbers: {books}");
    };
    ensure!(
        parts.len() >= 4 && *entries == parts[..4].iter().sum::<u64>(),
        "{books}"
    );
    Ok(())
}

fn unharmed(mut target: Target, exe: &Path) -> Result<()> {
    text::wait_until_original(target.pid, exe)?;
    ensure!(target.alive()?, "the target did not survive");
    target.go()?;
    target.truth()?;
    target.release()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Measured,
    Before,
    DeletedBefore,
}

/// A deploy: another file is renamed over the executable, or it is deleted. What runs is measured.
fn replaced(when: When) -> Result<()> {
    let original = Build::of("panics").executable()?;
    let folder = tempfile::tempdir_in(build::scratch().canonicalize()?)?;
    let exe: PathBuf = folder.path().join("server");
    let next = folder.path().join("next");
    fs::copy(&original, &exe)?;
    fs::copy(Build::of("steady").executable()?, &next)?;
    let mut target = Target::start(&exe, &[""; 0])?;
    match when {
        When::Before => fs::rename(&next, &exe)?,
        When::DeletedBefore => fs::remove_file(&exe)?,
        When::Measured => {}
    }
    let measurement = Measurement::start(target.pid, &["main.*"])?;
    if when == When::Measured {
        fs::rename(&next, &exe)?;
    }
    target.go()?;
    let truth = target.truth()?;
    let report = measurement.interrupt()?;
    // As the kernel names a mapping whose file is gone.
    let mapped = format!("{} (deleted)", exe.display());
    text::wait_until_original_as(target.pid, &original, Path::new(&mapped))?;
    target.release()?;
    Measured { report, truth }.agree(&[])
}

/// Every call of every process that runs the file, however short it lives.
fn short_lived() -> Result<()> {
    // Each child of steady: a load of a thousand rounds, as its source says.
    const ROUNDS: u64 = 1000;
    let processes = 20 * times()?;
    // A file of its own: other tests run steady too.
    let folder = tempfile::tempdir_in(build::scratch())?;
    let exe = folder.path().join("short-lived");
    fs::copy(Build::of("steady").executable()?, &exe)?;
    let functions = [
        "main.load",
        "main.outer",
        "main.work",
        "main.fail",
        "main.ignore",
    ];
    let measurement = Measurement::start_file(&exe, &functions)?;
    for _ in 0..processes {
        let mut children = Vec::new();
        for _ in 0..2 {
            let mut child = Command::new(&exe);
            children.push(child.arg("child").stdin(Stdio::null()).spawn()?);
        }
        for mut child in children {
            ensure!(child.wait()?.success(), "a child was harmed");
        }
    }
    let report = measurement.interrupt()?;
    ensure!(report.ledger.lost_in_all() == 0, "{:?}", report.ledger);
    for function in functions {
        let loads = 2 * processes;
        let calls = report.function(function)?.calls;
        let expected = if function == "main.load" {
            loads
        } else {
            loads * ROUNDS
        };
        ensure!(
            calls == expected,
            "{function}: counted {calls}, true {expected}: {:?}",
            report.ledger
        );
    }
    Ok(())
}

/// More goroutines than a small program at its start makes room for: what does not fit is counted.
fn table_full() -> Result<()> {
    let measured = Case::of(Build::of("manyg"))
        .args(&["150000", "after"])
        .patterns(&["main.life", "main.hold", "main.step"])
        .may_lose()
        .run()?;
    let ledger = &measured.report.ledger;
    let full = ledger.lost.get("table_full").copied().unwrap_or(0);
    ensure!(
        full > 0,
        "it was not full, so this proves nothing: {ledger:?}"
    );
    ensure!(full == ledger.lost_in_all(), "lost otherwise: {ledger:?}");
    let truth: u64 = measured
        .truth
        .functions
        .values()
        .map(|counts| counts.calls)
        .sum();
    ensure!(ledger.entries == truth, "{truth} calls, {ledger:?}");
    Ok(())
}

/// Why no control group can be made that limits memory.
fn no_memory_control() -> Option<&'static str> {
    match limited_group("goinstr-probe") {
        Some(group) => {
            let _ = fs::remove_dir(group);
            None
        }
        None => Some("no control group can limit memory here"),
    }
}

/// Makes a control group of 64 MB of memory.
fn limited_group(name: &str) -> Option<PathBuf> {
    const LIMIT: &str = "67108864";
    // Version 1 of control groups and version 2, where they are usually mounted.
    let places = [
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        ("/sys/fs/cgroup", "memory.max"),
    ];
    places.iter().find_map(|(root, file)| {
        let group = Path::new(root).join(format!("{name}-{}", std::process::id()));
        // Only where memory is controlled does the new group have the file.
        fs::create_dir(&group).ok()?;
        match fs::write(group.join(file), LIMIT) {
            Ok(()) => Some(group),
            Err(_) => {
                let _ = fs::remove_dir(&group);
                None
            }
        }
    })
}

/// goinstr in a control group of its own.
fn little_memory() -> Result<()> {
    let group = limited_group("goinstr-test").context("no control group, though there was one")?;
    let measured = within(&group);
    let deadline = Instant::now() + Duration::from_secs(20);
    while fs::remove_dir(&group).is_err() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(50));
    }
    measured
}

fn within(group: &Path) -> Result<()> {
    let exe = Build::of("panics").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let mut shell = Command::new("sh");
    shell
        .args(["-c", r#"echo $$ > "$0/cgroup.procs" && exec "$@""#])
        .arg(group)
        .arg(goinstr());
    let measurement = Measurement::start_by(shell, target.pid, &["--no-guard", "main.*"])?;
    target.go()?;
    let truth = target.truth()?;
    let report = measurement.interrupt()?;
    text::wait_until_original(target.pid, &exe)?;
    target.release()?;
    Measured { report, truth }.agree(&[])
}

/// The wall clock is set a day ahead and back. Only where that harms nobody: in a virtual machine.
fn clock_jumps() -> Result<()> {
    const DAY: i64 = 24 * 60 * 60;
    let exe = Build::of("steady").executable()?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let measurement = Measurement::start(target.pid, &["main.*", "--slower-than", "10ms"])?;
    target.go()?;
    target.wait_for("progress")?;
    set_clock_by(DAY)?;
    thread::sleep(Duration::from_millis(500));
    set_clock_by(-2 * DAY)?;
    thread::sleep(Duration::from_millis(500));
    set_clock_by(DAY)?;
    target.go()?;
    let truth = target.truth()?;
    let report = measurement.interrupt()?;
    text::wait_until_original(target.pid, &exe)?;
    target.release()?;
    for function in &report.functions {
        ensure!(
            function.max_ns.unwrap_or(0) < 60 * 60 * 1_000_000_000,
            "{function:?}"
        );
    }
    Measured { report, truth }.agree(&[])
}

fn set_clock_by(seconds: i64) -> Result<()> {
    use rustix::time::{ClockId, clock_gettime, clock_settime};
    let mut now = clock_gettime(ClockId::Realtime);
    now.tv_sec += seconds;
    clock_settime(ClockId::Realtime, now).context("can't set the clock")
}
