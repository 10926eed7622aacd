//! The command line as users and their scripts meet it: exit codes, errors, `list`, `inspect`.
//! Nothing here needs root. What needs a Go toolchain says so when there is none.

#[path = "../src/target/started.rs"]
mod started;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use assert_cmd::assert::Assert;
use serde_json::Value;

fn goinstr(args: &[&str]) -> Assert {
    assert_cmd::Command::new(env!("CARGO_BIN_EXE_goinstr"))
        .args(args)
        .assert()
}

fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).expect("UTF-8")
}

fn stderr(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).expect("UTF-8")
}

/// Asserts the exit code, an empty stdout, and one line on stderr that holds all of `words`.
fn fails(args: &[&str], code: i32, words: &[&str]) {
    let assert = goinstr(args).code(code);
    let error = stderr(&assert);
    assert_eq!(stdout(&assert), "", "{args:?}");
    assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
    assert!(error.starts_with("goinstr: "), "{args:?}: {error}");
    for word in words {
        assert!(error.contains(word), "{args:?}: {word:?} is not in {error}");
    }
}

/// Asserts that the command line is refused as such.
fn is_wrong(args: &[&str], words: &[&str]) {
    let assert = goinstr(args).code(2);
    let error = stderr(&assert);
    assert_eq!(stdout(&assert), "", "{args:?}");
    for word in words {
        assert!(error.contains(word), "{args:?}: {word:?} is not in {error}");
    }
}

/// The lines of a run that succeeds with `--output json`.
fn json(args: &[&str]) -> Vec<Value> {
    let text = stdout(&goinstr(args).success());
    let parsed = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    parsed.collect()
}

/// The Go program testdata/targets/names, built once, or `None` (and why, on stderr) without Go.
fn names() -> Option<PathBuf> {
    static BUILT: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    let dir = BUILT.get_or_init(build);
    if dir.is_none() {
        eprintln!("SKIPPED: there is no go on PATH to build a target with");
    }
    dir.as_ref().map(|dir| dir.path().join("names"))
}

fn build() -> Option<tempfile::TempDir> {
    let go = Command::new("go").arg("version").output();
    go.ok().filter(|go| go.status.success())?;
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/targets");
    let dir = tempfile::tempdir().expect("tempdir");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(dir.path().join("names"))
        .arg(".")
        .current_dir(sources.join("names"))
        .env("CGO_ENABLED", "0")
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-buildvcs=false")
        .output()
        .expect("go runs");
    let told = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{told}");
    Some(dir)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A process that sleeps until it is dropped.
struct Sleeper(Child);

impl Sleeper {
    fn start(program: &Path) -> Self {
        Self(started::started(Command::new(program).arg("60")))
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    is_wrong(&[], &["Usage"]);
    is_wrong(&["dance"], &["dance"]);
    is_wrong(&["attach"], &["--pid", "--name", "--exe"]);
    let both = ["attach", "--pid", "1", "--name", "x"];
    is_wrong(&both, &["cannot be used with"]);
    is_wrong(&["attach", "--pid", "one"], &["one"]);
    is_wrong(&["attach", "--pid", "1", "--duration", "10"], &["10s"]);
    is_wrong(&["attach", "--pid", "1", "--duration", "0s"], &["Ctrl-C"]);
    is_wrong(&["attach", "--pid", "1", "--interval", "1ms"], &["50ms"]);
    for percent in ["0", "101", "nan", "inf", "much"] {
        for command in ["attach", "trace", "record"] {
            let args = [command, "--pid", "1", "--max-overhead", percent];
            let recording = (command == "record").then_some(["-o", "/dev/null"]);
            let args = [&args[..], recording.as_slice().as_flattened()].concat();
            is_wrong(&args, &["--max-overhead"]);
        }
    }
    is_wrong(
        &["attach", "--pid", "1", "--sort", "name"],
        &["total", "self"],
    );
    is_wrong(
        &["attach", "--pid", "1", "--output", "xml"],
        &["table", "json"],
    );
    is_wrong(&["attach", "--pid", "1", "/a(b/"], &["unclosed group"]);
    is_wrong(&["attach", "--pid", "1", ""], &["empty"]);
    is_wrong(&["list"], &["which binary"]);
    is_wrong(&["inspect"], &["which binary"]);
    is_wrong(
        &["inspect", "--pid", "1", "/bin/true"],
        &["give one of them"],
    );
}

/// Arguments are read at returns that are armed all the time; --where asks for them.
#[test]
fn durations_for_part_of_the_time_go_without_values() {
    let wanted = [
        "attach",
        "--pid",
        "1",
        "--slower-than",
        "1ms",
        "--duty",
        "10%",
    ];
    for values in [&["--args"][..], &["--returns"], &["--where", "n == 3"]] {
        is_wrong(
            &[&wanted[..], values].concat(),
            &["cannot be used with", "--duty"],
        );
    }
}

#[test]
fn help_and_version_are_exit_code_0() {
    for command in ["attach", "list", "inspect"] {
        let assert = goinstr(&[command, "--help"]).success();
        assert!(stdout(&assert).contains("Usage: goinstr"), "{command}");
        assert_eq!(stderr(&assert), "", "{command}");
    }
    assert!(stdout(&goinstr(&["--help"]).success()).contains("attach"));
    assert!(stdout(&goinstr(&["--version"]).success()).starts_with("goinstr 0."));
}

#[test]
fn a_process_that_is_not_there() {
    for command in ["attach", "list", "inspect"] {
        // Above the largest pid_max.
        let pid = [command, "--pid", "4194305"];
        fails(&pid, 1, &["no process has pid 4194305", "--name"]);
        let name = [command, "--name", "no-such-name-anywhere"];
        fails(&name, 1, &["no-such-name-anywhere", "--pid"]);
        let exe = [command, "--exe", "/no/such/file"];
        fails(&exe, 1, &["/no/such/file", "No such file"]);
    }
}

#[test]
fn a_kernel_thread_is_no_target() {
    let comm = std::fs::read_to_string("/proc/2/comm");
    if !comm.is_ok_and(|comm| comm.trim() == "kthreadd") {
        eprintln!("SKIPPED: process 2 is not kthreadd here (a pid namespace of our own)");
        return;
    }
    fails(&["attach", "--pid", "2"], 1, &["kernel thread"]);
}

#[test]
fn several_processes_of_a_name_are_listed() {
    let dir = tempfile::tempdir().expect("tempdir");
    let program = dir.path().join("goinstr-cli-twins");
    std::fs::copy("/bin/sleep", &program).expect("copy");
    let twins = [Sleeper::start(&program), Sleeper::start(&program)];
    let pids = twins.each_ref().map(Sleeper::pid);
    let args = ["attach", "--name", "goinstr-cli-twins"];
    fails(&args, 1, &[&pids[0], &pids[1], "--pid"]);
}

#[test]
fn what_is_no_go_program_is_refused() {
    let dir = tempfile::tempdir().expect("tempdir");
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("write");
        path
    };
    let script = file("script", b"#!/bin/sh\necho hello\n");
    let empty = file("empty", b"");
    let stub = file("stub", b"\x7fELF\x02\x01\x01");
    for command in ["list", "inspect"] {
        fails(&[command, "/bin/true"], 1, &["/bin/true", "Go"]);
        fails(&[command, text(&script)], 1, &["script", "ELF"]);
        fails(&[command, text(&empty)], 1, &["empty"]);
        fails(&[command, text(&stub)], 1, &["stub"]);
        fails(&[command, "/no/such/file"], 1, &["/no/such/file"]);
    }
}

#[test]
fn a_process_that_is_no_go_program_is_called_by_its_own_name() {
    let sleeper = Sleeper::start(Path::new("/bin/sleep"));
    let pid = sleeper.pid();
    for command in ["attach", "list", "inspect"] {
        fails(&[command, "--pid", &pid], 1, &[&pid, "sleep", "Go"]);
        let error = stderr(&goinstr(&[command, "--pid", &pid]).code(1));
        assert!(!error.contains("/proc/self/fd"), "{error}");
    }
}

/// The program that testdata/targets/cshared describes: C that computes for long in a Go library.
fn c_program(dir: &Path) -> Option<Sleeper> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/targets/cshared");
    let tool = |name: &str| Command::new(name).arg("--help").output().is_ok();
    if !tool("go") || !tool("cc") {
        eprintln!("SKIPPED: no go or no cc on PATH to build a C program with a Go library with");
        return None;
    }
    let library = dir.join("libfib.so");
    let host = dir.join("host");
    let built = Command::new("go")
        .args(["build", "-buildmode=c-shared", "-o"])
        .arg(&library)
        .arg(".")
        .current_dir(&source)
        .env("CGO_ENABLED", "1")
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-buildvcs=false")
        .status();
    assert!(built.expect("go runs").success());
    let cc = Command::new("cc")
        .arg(source.join("host/host.c"))
        .args(["-ldl", "-o"])
        .arg(&host)
        .status();
    assert!(cc.expect("cc runs").success());
    let child = Command::new(&host).arg(&library).arg("70").spawn();
    Some(Sleeper(child.expect("spawn")))
}

#[test]
fn go_in_a_library_of_a_c_program_is_found() {
    let dir = tempfile::tempdir().expect("tempdir");
    let Some(program) = c_program(dir.path()) else {
        return;
    };
    let pid = program.pid();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    loop {
        // The library is loaded some time after the start.
        let list = goinstr(&["list", "--pid", &pid, "main.fib"]);
        let text = stdout(&list);
        if text.contains("main.fib") {
            break;
        }
        let late = std::time::Instant::now() > deadline;
        assert!(!late, "{text}{}", stderr(&list));
    }
    let lines = json(&["inspect", "--output", "json", "--pid", &pid]);
    let exe = lines[0]["exe"].as_str().expect("exe");
    assert!(exe.ends_with("libfib.so"), "{exe}");
}

#[test]
fn a_pattern_that_matches_nothing_names_the_nearest() {
    let Some(names) = names() else { return };
    let names = text(&names);
    fails(
        &["list", names, "main.outre"],
        1,
        &["main.outre", "main.outer"],
    );
    fails(&["list", names, "(*Node).decode"], 1, &["(*Node).Decode"]);
    let exception = ["list", names, "main.*", "!main.nothing*"];
    fails(&exception, 1, &["main.nothing*"]);
    fails(&["list", names, "main.*", "!*"], 1, &["take away"]);
}

/// Text symbols of `binary` by address, with names and sizes, as the Go toolchain reads them.
fn nm(binary: &Path) -> BTreeMap<u64, (String, u64)> {
    let nm = Command::new("go")
        .args(["tool", "nm", "-size"])
        .arg(binary)
        .output();
    let nm = nm.expect("go runs");
    assert!(nm.status.success());
    // "  4a1c20        112 T main.main"; names may hold blanks.
    let symbol = |line: &str| {
        let (address, rest) = line.trim_start().split_once(' ')?;
        let (size, rest) = rest.trim_start().split_once(' ')?;
        let (kind, name) = rest.trim_start().split_once(' ')?;
        let address = u64::from_str_radix(address, 16).ok()?;
        let size = size.parse().ok()?;
        // Without a size they are marks, such as runtime.text, at another's address.
        let code = matches!(kind, "T" | "t") && size > 0;
        code.then(|| (address, (name.to_owned(), size)))
    };
    let text = String::from_utf8(nm.stdout).expect("UTF-8");
    text.lines().filter_map(symbol).collect()
}

/// What Go's own `runtime.funcNameForPrint` makes of a symbol.
fn as_traces_print(symbol: &str) -> String {
    match (symbol.split_once('['), symbol.rsplit_once(']')) {
        (Some((before, _)), Some((_, after))) => format!("{before}[...]{after}"),
        _ => symbol.to_owned(),
    }
}

#[test]
fn list_agrees_with_go_tool_nm() {
    let Some(names) = names() else { return };
    let truth = nm(&names);
    let lines = json(&["list", "--output", "json", text(&names), "*"]);
    let mut listed = BTreeSet::new();
    for line in &lines {
        assert_eq!(line["type"], "listed");
        let printed = line["function"].as_str().expect("function");
        let name = line["symbol"].as_str().unwrap_or(printed);
        assert_eq!(printed, as_traces_print(name), "{line}");
        let measurable = line["measurable"].as_bool().expect("measurable");
        assert_eq!(measurable, line.get("reason").is_none(), "{line}");
        let Some(address) = line["address"].as_u64() else {
            assert_eq!(line["reason"], "inlined", "{line}");
            assert!(
                line["inlined_into"].as_u64().is_some_and(|n| n > 0),
                "{line}"
            );
            assert!(!truth.values().any(|(symbol, _)| symbol == name), "{line}");
            continue;
        };
        assert!(
            listed.last().is_none_or(|last| *last < address),
            "order: {line}"
        );
        listed.insert(address);
        if let Some((symbol, size)) = truth.get(&address) {
            // nm tells the calling conventions apart, pclntab doesn't; nm has no middle dot.
            assert_eq!(
                name.replace('·', "."),
                symbol.trim_end_matches(".abi0"),
                "{line}"
            );
            // The table knows where the next function begins, nm where the padding does.
            let listed = line["size"].as_u64().expect("size");
            assert!(
                listed >= *size && listed - size < 64,
                "{line}: nm says {size}"
            );
        }
    }
    let missing: Vec<_> = truth
        .iter()
        .filter(|(at, _)| !listed.contains(at))
        .collect();
    assert!(truth.len() > 1000);
    assert!(missing.is_empty(), "{missing:?}");
}

/// One call passes both the wrapper and the body: measured both, it would count twice.
#[test]
fn of_two_calling_conventions_of_a_function_only_the_body_is_measured() {
    let Some(names) = names() else { return };
    let lines = json(&["list", "--output", "json", text(&names), "*"]);
    let at = |address: u64| {
        lines
            .iter()
            .find(|line| line["address"] == address)
            .expect("listed")
    };
    let truth = nm(&names);
    let mut pairs = 0;
    for (abi0, (name, _)) in &truth {
        let Some(name) = name.strip_suffix(".abi0") else {
            continue;
        };
        let internal = truth.iter().find(|(_, (other, _))| other == name);
        let Some((internal, _)) = internal else {
            continue;
        };
        pairs += 1;
        let (made, body) = if at(*abi0)["file"] == "<autogenerated>" {
            (abi0, internal)
        } else {
            (internal, abi0)
        };
        assert_eq!(at(*made)["reason"], "abi_wrapper", "{name}");
        assert_eq!(at(*made)["file"], "<autogenerated>", "{name}");
        assert_ne!(at(*body)["reason"], "abi_wrapper", "{name}");
    }
    assert!(pairs > 10, "{pairs}");
}

#[test]
fn list_without_pattern_is_the_main_module() {
    let Some(names) = names() else { return };
    let lines = json(&["list", "--output", "json", text(&names)]);
    let package = |line: &Value| line["package"].as_str().expect("package").to_owned();
    let packages: BTreeSet<_> = lines.iter().map(package).collect();
    let packages: Vec<_> = packages.iter().map(String::as_str).collect();
    assert_eq!(packages, ["example.com/names/yaml.v3", "main"]);

    let main = lines
        .iter()
        .find(|line| line["function"] == "main.main")
        .expect("main.main");
    let file = main["file"].as_str().expect("file");
    assert!(file.ends_with("names/main.go"), "{file}");
    let source = std::fs::read_to_string(file).expect("source");
    let line = source
        .lines()
        .position(|line| line.starts_with("func main()"));
    assert_eq!(main["line"], line.expect("func main") + 1);
    assert_eq!(main["measurable"], true);
}

#[test]
fn names_are_found_in_the_shapes_that_users_type() {
    let Some(names) = names() else { return };
    let listed = |pattern: &str| -> Vec<String> {
        let lines = json(&["list", "--output", "json", text(&names), pattern]);
        let name = |line: &Value| line["function"].as_str().expect("function").to_owned();
        lines.iter().map(name).collect()
    };
    let only = |pattern: &str, name: &str| assert_eq!(listed(pattern), [name]);
    let all = |pattern: &str, least: usize, good: &dyn Fn(&str) -> bool| {
        let found = listed(pattern);
        assert!(
            found.len() >= least && found.iter().all(|name| good(name)),
            "{found:?}"
        );
    };
    only("main.outer", "main.outer");
    let decode = "example.com/names/yaml%2ev3.(*Node).Decode";
    only("example.com/names/yaml.v3.(*Node).Decode", decode);
    only(decode, decode);
    all("main.(*T[...]).Put", 2, &|name| {
        name == "main.(*T[...]).Put"
    });
    all("main.(*T[...]).*", 3, &|name| {
        name.starts_with("main.(*T[...]).")
    });
    all(r"/^main\.outer\.func/", 1, &|name| {
        name.starts_with("main.outer.func")
    });
    all("*Node*", 1, &|name| name.contains("Node"));
}

/// As the source of the target has them.
#[test]
fn receivers_type_arguments_and_closures_are_told() {
    let Some(names) = names() else { return };
    let lines = json(&["list", "--output", "json", text(&names), "main.*"]);
    let told = |name: &str| {
        let line = lines.iter().find(|line| line["function"] == name);
        let line = line.unwrap_or_else(|| panic!("no {name}"));
        let receiver = line.get("receiver").and_then(Value::as_str);
        let flag = |name: &str| line.get(name).is_some_and(|told| *told == true);
        (receiver, flag("generic"), flag("closure"))
    };
    assert_eq!(told("main.(*T[...]).Put"), (Some("T"), true, false));
    assert_eq!(told("main.E.Val"), (Some("E"), false, false));
    assert_eq!(told("main.(*E).Val"), (Some("E"), false, false));
    assert_eq!(told("main.outer"), (None, false, false));
    assert_eq!(told("main.outer.func1"), (None, false, true));
    assert_eq!(told("main.(*T[...]).Each.func1"), (Some("T"), true, true));
}

#[test]
fn what_cannot_be_measured_is_listed_with_its_reason() {
    let Some(binary) = names() else { return };
    let all = json(&["list", "--output", "json", text(&binary), "*"]);
    let not = json(&[
        "list",
        "--output",
        "json",
        "--unmeasurable",
        text(&binary),
        "*",
    ]);
    let unmeasurable = all.iter().filter(|line| line["measurable"] == false);
    assert_eq!(not, unmeasurable.cloned().collect::<Vec<_>>());
    assert!(!not.is_empty() && not.len() < all.len());
    for line in &not {
        assert!(
            line["reason"].is_string() && line["detail"].is_string(),
            "{line}"
        );
    }
    // Assembly that ends in a jump to its body since Go 1.2, on every architecture.
    let compare = not
        .iter()
        .find(|line| line["function"] == "internal/bytealg.Compare");
    assert_eq!(compare.expect("listed")["reason"], "tail_call");
}

/// A sparse file may be as large as it likes, and a segment may claim all of it: it is not gone through.
#[test]
fn a_file_of_a_terabyte_is_refused() {
    const TERABYTE: u64 = 1 << 40;
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("sparse");
    // An ELF header and a segment (`elf(5)`), as of an x86_64 program without sections.
    let mut elf = [0; 120];
    elf[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    for (at, value) in [
        (16, 2),
        (18, 62),
        (20, 1),
        (52, 64),
        (54, 56),
        (56, 1),
        (64, 1),
        (68, 5),
    ] {
        elf[at] = value;
    }
    for (at, value) in [(32, 64), (80, 0x40_0000), (96, TERABYTE), (104, TERABYTE)] {
        elf[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
    }
    std::fs::write(&path, elf).expect("write");
    let file = std::fs::OpenOptions::new().write(true).open(&path);
    if let Err(why) = file.expect("open").set_len(TERABYTE) {
        eprintln!("SKIPPED: this file system has no files of a terabyte: {why}");
        return;
    }
    fails(&["list", text(&path)], 1, &["no Go function table"]);
}

#[test]
fn a_reader_that_closes_early_is_no_error() {
    let Some(names) = names() else { return };
    for format in ["table", "json"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_goinstr"))
            .args(["list", "--output", format, text(&names), "*"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("spawn");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("wait");
        assert_eq!(output.status.code(), Some(0), "{format}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{format}");
    }
}

#[test]
fn a_full_disk_and_a_path_that_cannot_be_written_are_errors() {
    let Some(names) = names() else { return };
    for format in ["table", "json"] {
        for (path, why) in [
            ("/dev/full", "disk is full"),
            ("/no/such/dir/file", "No such file"),
        ] {
            let args = [
                "list",
                "--output",
                format,
                "--output-file",
                path,
                text(&names),
                "*",
            ];
            fails(&args, 1, &[path, why]);
        }
    }
}

#[test]
fn an_output_file_holds_what_stdout_would() {
    let Some(names) = names() else { return };
    let dir = tempfile::tempdir().expect("tempdir");
    let file = dir.path().join("list");
    let to_file = goinstr(&["list", "--output-file", text(&file), text(&names)]).success();
    assert_eq!(stdout(&to_file), "");
    let to_stdout = stdout(&goinstr(&["list", text(&names)]).success());
    assert_eq!(std::fs::read_to_string(&file).expect("read"), to_stdout);
    assert!(to_stdout.contains("main.outer"), "{to_stdout}");
}

/// Runs a list on a terminal of its own, and gives what came on it; `None` (and why, on stderr) without one.
fn on_a_terminal(pager: &str, arguments: &str) -> Option<String> {
    let command = format!("'{}' list {arguments}", env!("CARGO_BIN_EXE_goinstr"));
    let terminal = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env("PAGER", pager)
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::null())
        .output();
    let Ok(output) = terminal else {
        eprintln!("SKIPPED: there is no script(1) to have a terminal by");
        return None;
    };
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{shown}");
    Some(shown)
}

#[test]
fn a_list_on_a_terminal_is_paged_by_the_user_s_pager() {
    let Some(names) = names() else { return };
    let dir = tempfile::tempdir().expect("tempdir");
    let paged = dir.path().join("what is paged");
    let names = text(&names);
    let list = stdout(&goinstr(&["list", names, "main.*"]).success());
    let arguments = format!("'{names}' 'main.*'");
    // With arguments, as PAGER may have, quoted.
    let pager = format!("dd status=none 'of={}'", text(&paged));
    let Some(shown) = on_a_terminal(&pager, &arguments) else {
        return;
    };
    assert!(!shown.contains("main.outer"), "{shown}");
    assert_eq!(std::fs::read_to_string(&paged).expect("paged"), list);

    // A reader who has seen enough is no error.
    on_a_terminal("true", &arguments);
    // No shell is asked: this is the name of a program, and there is none.
    let marked = dir.path().join("marked");
    for pager in [
        "true;touch $MARKED",
        "true|touch $MARKED",
        "`touch $MARKED`",
    ] {
        let pager = pager
            .replace("$MARKED", text(&marked))
            .replace(' ', "${IFS}");
        let shown = on_a_terminal(&pager, &arguments).expect("a terminal");
        assert!(shown.contains("main.outer"), "{shown}");
        assert!(!marked.exists(), "{pager} was run by a shell");
    }
    let shown = on_a_terminal("cat", &arguments).expect("a terminal");
    assert!(shown.contains("main.outer"), "{shown}");
    // JSON is for scripts, and a file or a pipe is no terminal.
    std::fs::remove_file(&paged).expect("removed");
    let json = format!("--output json {arguments}");
    let shown = on_a_terminal(&pager, &json).expect("a terminal");
    assert!(shown.contains(r#""type":"listed""#), "{shown}");
    let mut piped = Command::new(env!("CARGO_BIN_EXE_goinstr"));
    let piped = piped.args(["list", names, "main.*"]).env("PAGER", &pager);
    assert_eq!(piped.output().expect("runs").stdout, list.as_bytes());
    assert!(!paged.exists(), "paged what nobody reads on a terminal");
}

#[test]
fn inspect_agrees_with_go_version() {
    let Some(names) = names() else { return };
    let lines = json(&["inspect", "--output", "json", text(&names)]);
    let [binary] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    let truth = Command::new("go")
        .args(["version", "-m"])
        .arg(&names)
        .output();
    let truth = String::from_utf8(truth.expect("go runs").stdout).expect("UTF-8");
    let version = truth
        .lines()
        .next()
        .and_then(|line| line.rsplit(": ").next());
    let version = version.expect("version");
    let setting = |line: &&str| line.trim_start().starts_with("build\t");
    let settings = truth.lines().filter(setting).count();

    assert_eq!(binary["type"], "binary");
    assert_eq!(binary["go_version"], version);
    assert_eq!(binary["module"], "example.com/names");
    assert!(settings > 0);
    assert_eq!(
        binary["settings"].as_object().expect("settings").len(),
        settings
    );
    assert_eq!(binary["facts"]["linking"], "static");
    let table = stdout(&goinstr(&["inspect", text(&names)]).success());
    assert!(
        table.contains(version) && table.contains("example.com/names"),
        "{table}"
    );
}

#[test]
fn shells_and_man_get_what_they_read() {
    let commands: Vec<String> = stdout(&goinstr(&["--help"]).success())
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            line.strip_prefix("  ")?
                .split(' ')
                .next()
                .map(str::to_owned)
        })
        .filter(|command| !command.is_empty() && command != "help")
        .collect();
    assert!(
        commands.iter().any(|command| command == "record"),
        "{commands:?}"
    );
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&goinstr(&["completions", shell]).success());
        for command in &commands {
            assert!(script.contains(command.as_str()), "{shell}: {command}");
        }
    }
    // The shell itself takes it, and offers the commands.
    let script = stdout(&goinstr(&["completions", "bash"]).success());
    let asked = "\nCOMP_WORDS=(goinstr rep); COMP_CWORD=1; _goinstr goinstr rep goinstr; echo \"${COMPREPLY[@]}\"";
    let offered = Command::new("bash").arg("-c").arg(script + asked).output();
    let offered = String::from_utf8(offered.expect("bash runs").stdout).expect("UTF-8");
    assert_eq!(offered.trim(), "report");

    let page = stdout(&goinstr(&["man"]).success());
    assert!(page.contains(".TH goinstr 1"), "{page}");
    let folder = tempfile::tempdir().expect("a folder");
    goinstr(&["man", "--all-to", text(folder.path())]).success();
    for command in &commands {
        let page = folder.path().join(format!("goinstr-{command}.1"));
        assert!(page.is_file(), "{}", page.display());
    }
}

#[test]
fn what_is_no_recording_is_refused() {
    let file = text(Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/Cargo.toml"
    )));
    fails(&["report", file], 1, &["Cargo.toml", "not a recording"]);
    fails(&["diff", file, file], 1, &["Cargo.toml", "not a recording"]);
    fails(
        &["report", "/nonexistent"],
        1,
        &["can't open the recording /nonexistent"],
    );
    is_wrong(&["report", file, "--html", "--csv"], &["--html", "--csv"]);
    is_wrong(
        &["diff", file, file, "--fail-if", "p98>+1%"],
        &["p98", "p99"],
    );
}
