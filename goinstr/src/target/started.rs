//! For tests: processes of executables that they have written themselves.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

/// Starts `program 60` and waits until it is that program.
///
/// `spawn` may return while the child's `execve` is under way; the arguments are the last that it
/// changes. And a file that a test has just written may be open in what another thread is about to
/// spawn: the kernel executes no file that somebody writes.
pub(super) fn started(program: &Path) -> Child {
    let child = loop {
        match Command::new(program).arg("60").spawn() {
            Err(busy) if busy.kind() == ErrorKind::ExecutableFileBusy => thread::yield_now(),
            spawned => break spawned.expect("spawn"),
        }
    };
    let arguments = format!("/proc/{}/cmdline", child.id());
    let name = program.as_os_str().as_encoded_bytes();
    let deadline = Instant::now() + Duration::from_secs(120);
    while !fs::read(&arguments).is_ok_and(|all| all.starts_with(name)) {
        assert!(
            Instant::now() < deadline,
            "{} never starts",
            program.display()
        );
        thread::yield_now();
    }
    child
}
