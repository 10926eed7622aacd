//! The terminal UI in a real terminal: tmux types the keys and reads the screen.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    Test,
    support::{
        build::Build,
        cgroup::{Group, Limit},
        measurement::goinstr,
        process::{Target, patience},
        text,
    },
    test,
};

pub fn tests() -> Vec<Test> {
    vec![
        test("terminal::keys_do_what_the_help_says", keys).needing(&["tmux"]),
        test("terminal::is_as_it_was_after_a_signal", signals).needing(&["tmux"]),
        test("terminal::a_hangup_ends_it", hangup).needing(&["tmux"]),
        test("terminal::a_sign_of_life_where_it_takes_long", slow)
            .needing(&["tmux"])
            .unless(Limit::Cpu.obstacle()),
        test("terminal::plain_takes_no_screen_over", plain).needing(&["tmux"]),
    ]
}

/// A terminal of 80×24 with a shell in it; ends when dropped.
struct Tmux {
    socket: String,
}

impl Tmux {
    fn start(name: &str) -> Result<Self> {
        let socket = format!("goinstr-{name}-{}", std::process::id());
        let tmux = Self { socket };
        tmux.run(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            "env PS1='$ ' sh",
        ])?;
        tmux.wait_for("a prompt", |screen| screen.contains('$'))?;
        Ok(tmux)
    }

    fn run(&self, args: &[&str]) -> Result<String> {
        let output = Command::new("tmux")
            .args(["-L", &self.socket])
            .args(args)
            .output()?;
        ensure!(output.status.success(), "tmux {args:?}: {output:?}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn keys(&self, keys: &[&str]) -> Result<()> {
        self.run(&[&["send-keys"], keys].concat()).map(drop)
    }

    fn screen(&self) -> Result<String> {
        self.run(&["capture-pane", "-p"])
    }

    /// Whether a program has the terminal's other screen.
    fn taken_over(&self) -> Result<bool> {
        let flag = self.run(&["display-message", "-p", "#{alternate_on}"])?;
        Ok(flag.trim() == "1")
    }

    fn wait_for(&self, what: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + patience();
        loop {
            let screen = self.screen()?;
            if wanted(&screen) {
                return Ok(screen);
            }
            if Instant::now() > deadline {
                bail!("waited in vain for {what}; the screen:\n{screen}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The only process that the shell has started.
    fn child(&self) -> Result<String> {
        let shell = self.run(&["display-message", "-p", "#{pane_pid}"])?;
        let shell = shell.trim();
        let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"))?;
        Ok(children.trim().to_owned())
    }

    fn attach(&self, pid: u32, options: &str) -> Result<()> {
        let goinstr = goinstr().display().to_string();
        let line =
            format!("clear; {goinstr} attach --pid {pid} --interval 200ms {options} 'main.*'");
        self.keys(&[&line, "Enter"])
    }

    /// The prompt is back, on the first screen, and what is typed shows.
    fn is_as_it_was(&self) -> Result<()> {
        ensure!(!self.taken_over()?, "the other screen is still there");
        self.keys(&["clear; echo so$((40 + 2)); stty -a", "Enter"])?;
        let screen = self.wait_for("stty", |screen| {
            screen.contains("so42") && screen.contains("echoke")
        })?;
        for mode in ["icanon", "isig", "icrnl", "opost"] {
            ensure!(
                screen.split_whitespace().any(|word| word == mode),
                "{mode} is off:\n{screen}"
            );
        }
        ensure!(
            screen.split([' ', '\n']).any(|word| word == "echo"),
            "no echo:\n{screen}"
        );
        Ok(())
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.run(&["kill-server"]);
    }
}

fn target() -> Result<Target> {
    let exe = Build::of("nesting").executable()?;
    Target::start(&exe, &[""; 0])
}

fn keys() -> Result<()> {
    let mut target = target()?;
    let tmux = Tmux::start("keys")?;
    tmux.attach(target.pid, "--slower-than 1ns")?;
    tmux.wait_for("the table", |screen| {
        screen.contains("0 called") && screen.contains("▼total")
    })?;
    ensure!(tmux.taken_over()?, "no other screen");
    target.go()?;
    target.truth()?;
    // 100 calls of each, but 400 of the leaf: the target's own count, see nesting.
    let screen = tmux.wait_for("all calls", |screen| {
        row(screen, "main.leaf").is_some_and(|row| row.starts_with("400 "))
    })?;
    for name in ["main.top", "main.left", "main.right"] {
        let row = row(&screen, name).with_context(|| format!("no {name}:\n{screen}"))?;
        ensure!(row.starts_with("100 "), "{row}");
    }
    // To the left of total, in a row that is 80 columns wide.
    tmux.keys(&["f"])?;
    tmux.keys(&["-l", "ea"])?;
    let screen = tmux.wait_for("the filter", |screen| screen.contains("filter: ea"))?;
    ensure!(
        row(&screen, "main.leaf").is_some() && row(&screen, "main.top").is_none(),
        "{screen}"
    );
    tmux.keys(&["Enter", "Down", "Enter"])?;
    // The target's own pairs: 100 from left, 300 from right. All at once: a screen may be half drawn.
    let of = |screen: &str, caller: &str, calls: &str| {
        let calls = format!("in     {calls} ");
        let mut lines = screen.lines();
        lines.any(|line| line.contains(caller) && line.contains(&calls))
    };
    tmux.wait_for("the page of main.leaf", |screen| {
        ["main.leaf", "latency", "main.go:", "goroutine"]
            .iter()
            .all(|word| screen.contains(word))
            && of(screen, "main.left", "100")
            && of(screen, "main.right", "300")
    })?;
    // Two at once would be another key.
    tmux.keys(&["Escape"])?;
    tmux.wait_for("the table again", |screen| screen.contains("(Esc: all)"))?;
    tmux.keys(&["Escape"])?;
    tmux.wait_for("all rows", |screen| row(screen, "main.top").is_some())?;
    tmux.keys(&["?"])?;
    tmux.wait_for("the keys", |screen| screen.contains("the other way round"))?;
    tmux.keys(&["x"])?;
    tmux.run(&["resize-window", "-x", "40", "-y", "12"])?;
    tmux.wait_for("a small table", |screen| {
        screen.lines().count() <= 12 && row(screen, "main.leaf").is_some()
    })?;
    tmux.run(&["resize-window", "-x", "100", "-y", "40"])?;
    tmux.keys(&["q"])?;
    let screen = tmux.wait_for("the final table", |screen| screen.contains("probe hits"))?;
    ensure!(
        row(&screen, "main.leaf").is_some_and(|row| row.starts_with("400 ")),
        "{screen}"
    );
    tmux.is_as_it_was()?;
    target.release()
}

/// The line of a function in a table, from its first figure on.
fn row<'s>(screen: &'s str, name: &str) -> Option<&'s str> {
    let line = screen.lines().find(|line| line.ends_with(name))?;
    Some(line.trim_start())
}

fn signals() -> Result<()> {
    let mut target = target()?;
    target.go()?;
    target.truth()?;
    for signal in ["TERM", "INT", "HUP"] {
        let tmux = Tmux::start(signal)?;
        tmux.attach(target.pid, "")?;
        tmux.wait_for("the table", |screen| screen.contains("0 called"))?;
        let killed = Command::new("kill")
            .args([format!("-{signal}"), tmux.child()?])
            .status()?;
        ensure!(killed.success(), "no goinstr to signal");
        tmux.wait_for("the end", |screen| screen.contains("probe hits"))?;
        tmux.is_as_it_was()?;
    }
    target.release()
}

fn plain() -> Result<()> {
    let mut target = target()?;
    let tmux = Tmux::start("plain")?;
    tmux.attach(target.pid, "--plain")?;
    tmux.wait_for("the table", |screen| screen.contains("Ctrl-C ends"))?;
    ensure!(!tmux.taken_over()?, "another screen");
    target.go()?;
    target.truth()?;
    tmux.keys(&["C-c"])?;
    tmux.wait_for("the end", |screen| screen.contains("probe hits"))?;
    tmux.is_as_it_was()?;
    target.release()
}

/// The window is closed, or ssh is gone: goinstr ends, and doesn't look for keys for ever.
fn hangup() -> Result<()> {
    let mut target = target()?;
    let exe = Build::of("nesting").executable()?;
    let tmux = Tmux::start("hangup")?;
    tmux.attach(target.pid, "")?;
    tmux.wait_for("the table", |screen| screen.contains("▼total"))?;
    ensure!(tmux.taken_over()?, "no other screen");
    let goinstr = tmux.child()?;
    ensure!(!goinstr.is_empty(), "no goinstr");
    drop(tmux);
    let deadline = Instant::now() + patience();
    while Path::new(&format!("/proc/{goinstr}")).exists() {
        if Instant::now() > deadline {
            let _ = Command::new("kill").args(["-9", &goinstr]).status();
            bail!("goinstr goes on without a terminal");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    text::wait_until_original(target.pid, &exe)?;
    target.go()?;
    target.truth()?;
    target.release()
}

/// What takes longer than a second says what it does, and leaves nothing of it on the screen.
fn slow() -> Result<()> {
    let exe = Build::of("nesting").executable()?;
    let group = Group::limited(Limit::Cpu, "goinstr-slow")?;
    let tmux = Tmux::start("slow")?;
    let seen = tmux
        .keys(&[
            &format!(
                "clear; sh -c 'echo $$ > {}; exec {} list {} \"*\"' | grep -w main.leaf; echo done$((1))",
                group.processes().display(),
                goinstr().display(),
                exe.display()
            ),
            "Enter",
        ])
        .and_then(|()| tmux.wait_for("a sign of life", |screen| screen.contains("the binary") || screen.contains("the functions")))
        .and_then(|_| tmux.wait_for("the end", |screen| screen.contains("done1")));
    drop(tmux);
    drop(group);
    let screen = seen?;
    ensure!(
        screen.contains("yes") && !screen.contains("reading") && !screen.contains("decoding"),
        "{screen}"
    );
    Ok(())
}
