//! Targets as containers have them: in pid and mount namespaces of their own, on overlayfs, and with
//! an executable that was deleted or replaced since they began.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Test,
    support::{
        build::Build,
        case::Measured,
        measurement::{self, Measurement},
        process::Target,
        text, user,
    },
    test,
};

/// What the target's executable is called where only the target sees it.
const INSIDE: &str = "/mnt/app";

pub fn tests() -> Vec<Test> {
    let mut tests = vec![
        test("container::a_deleted_executable_is_measured", deleted),
        test(
            "container::a_replaced_executable_is_not_taken_for_the_new_one",
            replaced,
        ),
    ];
    if can_unshare() {
        tests.extend([
            test("container::a_target_in_namespaces_of_its_own", inside),
            test("container::goinstr_in_the_targets_namespaces", both_inside),
            test("container::an_executable_on_overlayfs", overlay),
        ]);
    } else {
        eprintln!("live tests of containers are ignored: unshare(1) makes no namespaces here");
    }
    tests
}

fn can_unshare() -> bool {
    let words = ["--pid", "--mount", "--fork", "--mount-proc", "true"];
    Command::new("unshare")
        .args(words)
        .status()
        .is_ok_and(|status| status.success())
}

/// A target in pid and mount namespaces of its own, its file on a file system that only it sees; and
/// its pid out here.
fn start(exe: &Path) -> Result<(Target, u32)> {
    let script = r#"mount -t tmpfs none /mnt && cp "$0" /mnt/app && exec /mnt/app"#;
    let words = [
        "--pid",
        "--mount",
        "--fork",
        "--mount-proc",
        "sh",
        "-c",
        script,
    ];
    let mut args: Vec<&Path> = words.iter().map(Path::new).collect();
    args.push(exe);
    let target = Target::start(Path::new("unshare"), &args)?;
    let parent = target.pid;
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    let pid = children.split_whitespace().next().context("no child")?;
    Ok((target, pid.parse()?))
}

fn inside() -> Result<()> {
    let exe = Build::of("panics").executable()?;
    let (mut target, pid) = start(&exe)?;
    ensure!(!Path::new(INSIDE).exists(), "{INSIDE} is here as well");
    let doctor = Command::new(measurement::goinstr())
        .args(["doctor", "--output", "json", "--pid", &pid.to_string()])
        .output()?;
    let said = String::from_utf8(doctor.stdout)?;
    ensure!(doctor.status.success(), "{said}");
    for part in ["where it is process 1", "not by its path"] {
        ensure!(said.contains(part), "no `{part}`: {said}");
    }
    let measurement = Measurement::start(pid, &["main.*"])?;
    target.go()?;
    let truth = target.truth()?;
    let report = measurement.interrupt()?;
    ensure!(report.session["exe"] == INSIDE, "{:?}", report.session);
    text::wait_until_original_as(pid, &exe, Path::new(INSIDE))?;
    target.release()?;
    Measured { report, truth }.agree(&[])
}

/// As in a container without the machine's pids: the kernel numbers processes otherwise than goinstr.
fn both_inside() -> Result<()> {
    let exe = Build::of("panics").executable()?;
    let (mut target, pid) = start(&exe)?;
    let mut goinstr = Command::new("nsenter");
    goinstr
        .args(["--pid", "--mount", "--target", &pid.to_string(), "--"])
        .arg(measurement::goinstr());
    let measurement = Measurement::start_by(goinstr, 1, &["--no-guard", "main.*"])?;
    target.go()?;
    let truth = target.truth()?;
    // nsenter passes no signal on to the goinstr that it waits for.
    let report = measurement.interrupt_child()?;
    target.release()?;
    Measured { report, truth }.agree(&[])
}

/// In a mount namespace of the target's own, so that nothing is left mounted.
fn overlay() -> Result<()> {
    let exe = Build::of("panics").executable()?;
    let script = r#"mount -t tmpfs none /mnt && cd /mnt && mkdir lower upper work merged &&
        cp "$0" lower/app && mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work merged &&
        exec /mnt/merged/app"#;
    let words = ["--mount", "sh", "-c", script];
    let mut args: Vec<&Path> = words.iter().map(Path::new).collect();
    args.push(&exe);
    let mut target = Target::start(Path::new("unshare"), &args)?;
    let pid = target.pid.to_string();
    let doctor = Command::new(measurement::goinstr())
        .args(["doctor", "--output", "json", "--pid", &pid])
        .output()?;
    let said = String::from_utf8(doctor.stdout)?;
    ensure!(
        doctor.status.success() && said.contains("on an overlay"),
        "{said}"
    );
    let measurement = Measurement::start(target.pid, &["main.*"])?;
    target.go()?;
    let mapped = Path::new("/mnt/merged/app");
    Measured::finish_as(target, measurement, &exe, mapped)?.agree(&[])
}

/// A copy of a target that may be deleted.
fn copy(folder: &Path) -> Result<PathBuf> {
    user::readable_copy(&Build::of("panics").executable()?, folder, 0o755)
}

fn deleted() -> Result<()> {
    let folder = user::open_folder()?;
    let exe = copy(folder.path())?;
    let mut target = Target::start(&exe, &[""; 0])?;
    fs::remove_file(&exe)?;
    exact(&mut target, &exe)?;
    target.release()
}

/// A deploy: the path leads to another program by now.
fn replaced() -> Result<()> {
    let folder = user::open_folder()?;
    let exe = copy(folder.path())?;
    let mut target = Target::start(&exe, &[""; 0])?;
    let other = Build::of("goexit").executable()?;
    let new = folder.path().join("new");
    fs::copy(&other, &new)?;
    fs::rename(&new, &exe)?;
    exact(&mut target, &exe)?;
    ensure!(
        fs::read(&exe)? == fs::read(&other)?,
        "the new file was changed"
    );
    target.release()
}

fn exact(target: &mut Target, path: &Path) -> Result<()> {
    let measurement = Measurement::start(target.pid, &["main.*"])?;
    target.go()?;
    let truth = target.truth()?;
    let report = measurement.interrupt()?;
    ensure!(
        report.session["exe"] == path.display().to_string(),
        "{:?}",
        report.session
    );
    let mapped = PathBuf::from(format!("{} (deleted)", path.display()));
    text::wait_until_original_as(target.pid, &Build::of("panics").executable()?, &mapped)?;
    Measured { report, truth }.agree(&[])
}
