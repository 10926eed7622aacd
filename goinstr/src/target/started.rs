//! For tests: processes that are the program by when they are looked at.

use std::fs;
use std::io::ErrorKind;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

/// Starts a command and waits until the process is that program.
///
/// `spawn` may return while the child's `execve` is under way; the arguments are the last that it
/// changes. And a file that a test has just written may be open in what another thread is about to
/// spawn: the kernel executes no file that somebody writes.
pub(super) fn started(command: &mut Command) -> Child {
    let child = loop {
        match command.spawn() {
            Err(busy) if busy.kind() == ErrorKind::ExecutableFileBusy => thread::yield_now(),
            spawned => break spawned.expect("spawn"),
        }
    };
    let arguments = format!("/proc/{}/cmdline", child.id());
    let name = command.get_program().as_encoded_bytes();
    let deadline = Instant::now() + Duration::from_secs(120);
    while !fs::read(&arguments).is_ok_and(|all| all.starts_with(name)) {
        assert!(Instant::now() < deadline, "{command:?} never starts");
        thread::yield_now();
    }
    child
}
