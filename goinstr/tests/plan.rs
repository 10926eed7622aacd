//! A plan's sites, held against the file's own bytes and Go's disassembler. Needs no root.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use goinstr::binary::GoBinary;
use goinstr::plan::{Pattern, PlanError, ProbePlan, plan};

/// A Go program of testdata/targets, built with `flags`, or `None` (and why) without Go.
fn build(target: &str, dir: &Path, flags: &[&str]) -> Option<PathBuf> {
    build_with(target, dir, flags, "0")
}

/// The same of one with C in it: `None` without a C compiler too.
fn build_cgo(target: &str, dir: &Path, flags: &[&str]) -> Option<PathBuf> {
    if Command::new("cc").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no cc to build a target with");
        return None;
    }
    build_with(target, dir, flags, "1")
}

fn build_with(target: &str, dir: &Path, flags: &[&str], cgo: &str) -> Option<PathBuf> {
    let go = Command::new("go").arg("version").output();
    if !go.is_ok_and(|go| go.status.success()) {
        eprintln!("SKIPPED: there is no go on PATH to build a target with");
        return None;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/targets");
    let binary = dir.join(target);
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&binary)
        .args(flags)
        .current_dir(source.join(target))
        .env("CGO_ENABLED", cgo)
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-buildvcs=false")
        .output()
        .expect("go runs");
    let told = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{told}");
    Some(binary)
}

fn planned(binary: &Path, patterns: &[&str]) -> Result<ProbePlan, PlanError> {
    let binary = GoBinary::open(binary).expect("a Go program");
    let parse = |text: &&str| Pattern::parse(text).expect("a pattern");
    plan(&binary, &patterns.iter().map(parse).collect::<Vec<_>>())
}

/// Addresses of the RET instructions of each function of package main, by `go tool objdump`.
fn returns(binary: &Path) -> BTreeMap<String, Vec<u64>> {
    let objdump = Command::new("go")
        .args(["tool", "objdump", "-s", "^main\\."])
        .arg(binary)
        .output()
        .expect("go runs");
    let text = String::from_utf8(objdump.stdout).expect("UTF-8");
    let mut returns = BTreeMap::new();
    let mut function = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("TEXT ") {
            let (name, _) = rest.rsplit_once("(SB)").expect("a name");
            function = name.to_owned();
            returns.insert(function.clone(), Vec::new());
        } else if let [_, address, _, instruction, ..] =
            line.split_whitespace().collect::<Vec<_>>()[..]
            && instruction == "RET"
        {
            let address = address.strip_prefix("0x").expect("an address");
            let address = u64::from_str_radix(address, 16).expect("hex");
            returns.get_mut(&function).expect("begun").push(address);
        }
    }
    returns
}

#[test]
fn exits_are_the_returns_that_go_s_disassembler_sees_where_the_file_has_them() {
    for flags in [&[][..], &["-buildmode=pie"], &["-gcflags=all=-N -l"]] {
        let dir = tempfile::tempdir().expect("tempdir");
        let Some(binary) = build("names", dir.path(), flags) else {
            return;
        };
        let bytes = std::fs::read(&binary).expect("read");
        let truth = returns(&binary);
        let plan = planned(&binary, &["main.*"]).expect("a plan");
        assert!(plan.functions.len() > 10, "{flags:?}");
        for function in &plan.functions {
            let exits: Vec<u64> = function.exits.iter().map(|exit| exit.address.0).collect();
            let symbol = function.symbol.as_ref().unwrap_or(&function.name);
            let expected = truth.get(symbol);
            let expected = expected.unwrap_or_else(|| panic!("{flags:?}: {}", function.name));
            assert_eq!(&exits, expected, "{flags:?}: {}", function.name);
            if cfg!(target_arch = "x86_64") {
                for exit in &function.exits {
                    let at = usize::try_from(exit.offset.0).expect("fits");
                    assert_eq!(
                        bytes[at], 0xc3,
                        "{flags:?}: {} {}",
                        function.name, exit.offset
                    );
                }
            }
        }
    }
}

#[test]
fn what_was_chosen_is_either_planned_or_skipped_with_a_reason() {
    let dir = tempfile::tempdir().expect("tempdir");
    let Some(binary) = build("names", dir.path(), &[]) else {
        return;
    };
    let plan = planned(&binary, &["main.*", "internal/bytealg.Compare"]).expect("a plan");
    for name in returns(&binary).keys() {
        let planned = plan.functions.iter();
        let mut symbols =
            planned.map(|function| function.symbol.as_ref().unwrap_or(&function.name));
        let is_planned = symbols.any(|symbol| symbol == name);
        let is_skipped = plan.skipped.iter().any(|skipped| skipped.function == *name);
        assert!(
            is_planned != is_skipped,
            "{name}: {is_planned} {is_skipped}"
        );
    }
    let skipped = |name: &str| plan.skipped.iter().find(|skipped| skipped.function == name);
    let inlined = skipped("main.inlinable").expect("inlined");
    assert_eq!(inlined.reason, "inlined");
    let detail = &inlined.detail;
    assert!(
        detail.starts_with("inlined into ") && detail.contains(", try th"),
        "{detail}"
    );
    assert!(detail.contains("main.main"), "{detail}");
    assert_eq!(
        skipped("internal/bytealg.Compare").expect("skipped").reason,
        "tail_call"
    );
    let addresses: Vec<_> = plan
        .functions
        .iter()
        .map(|function| function.entry.address)
        .collect();
    assert!(addresses.is_sorted());
}

#[test]
fn the_runtime_s_own_ends_of_calls_are_planned() {
    let dir = tempfile::tempdir().expect("tempdir");
    let Some(binary) = build("goexit", dir.path(), &[]) else {
        return;
    };
    let unwind = planned(&binary, &["main.main"]).expect("a plan").unwind;
    assert!(
        unwind.recovery.is_some() && unwind.goexit.is_some(),
        "{unwind:?}"
    );
    // The linker leaves out what nothing calls.
    let Some(binary) = build("names", dir.path(), &[]) else {
        return;
    };
    let unwind = planned(&binary, &["main.main"]).expect("a plan").unwind;
    assert!(
        unwind.recovery.is_some() && unwind.goexit.is_none(),
        "{unwind:?}"
    );
}

#[test]
fn nothing_measurable_is_an_error_of_its_own() {
    let dir = tempfile::tempdir().expect("tempdir");
    let Some(binary) = build("names", dir.path(), &[]) else {
        return;
    };
    for pattern in ["main.inlinable", "internal/bytealg.Compare"] {
        let error = planned(&binary, &[pattern]).expect_err("nothing");
        let PlanError::NothingMeasurable { skipped } = &error else {
            panic!("{error}");
        };
        assert_eq!(skipped.len(), 1);
        assert!(error.to_string().contains(pattern), "{error}");
    }
}

/// Addresses and file offsets of the loaded segments, as their headers have them (`elf(5)`).
fn segments(elf: &[u8]) -> Vec<(u64, u64)> {
    let word = |at: usize| u64::from_le_bytes(elf[at..at + 8].try_into().expect("eight bytes"));
    let headers = (0..usize::from(elf[56])).map(|index| word(32) as usize + 56 * index);
    let loaded = headers.filter(|at| elf[*at] == 1);
    loaded.map(|at| (word(at + 16), word(at + 8))).collect()
}

/// What is added to an offset to get an address differs from segment to segment: by that of the first, a
/// probe would be on anything.
#[test]
fn offsets_are_by_the_segment_that_holds_the_address() {
    let dir = tempfile::tempdir().expect("tempdir");
    let moved = "-ldflags=-linkmode=external '-extldflags=-Wl,--section-start=.text=0x4000000'";
    let Some(binary) = build_cgo("cgo", dir.path(), &[moved]) else {
        return;
    };
    let bytes = std::fs::read(&binary).expect("read");
    let plan = planned(&binary, &["main.*"]).expect("a plan");
    let truth = returns(&binary);
    let (address, offset) = segments(&bytes)[0];
    let mut checked = 0;
    for function in &plan.functions {
        let exits: Vec<u64> = function.exits.iter().map(|exit| exit.address.0).collect();
        // The symbol table tells the calling conventions apart.
        let names = [function.name.clone(), format!("{}.abi0", function.name)];
        let mut expected = names.iter().filter_map(|name| truth.get(name));
        assert!(
            expected.any(|returns| *returns == exits),
            "{}: {exits:x?}",
            function.name
        );
        for exit in &function.exits {
            assert_ne!(
                exit.address.0 - exit.offset.0,
                address - offset,
                "the linker has put it where it is always"
            );
            if cfg!(target_arch = "x86_64") {
                let at = usize::try_from(exit.offset.0).expect("fits");
                assert_eq!(bytes[at], 0xc3, "{} {}", function.name, exit.offset);
            }
            checked += 1;
        }
    }
    assert!(checked > 0);
}

/// C functions that Go's own linker has linked stand in its tables like Go's, with no flag to tell them.
#[test]
fn c_that_go_s_linker_has_linked_is_not_measured() {
    let dir = tempfile::tempdir().expect("tempdir");
    let Some(whole) = build_cgo("cgoint", dir.path(), &["-ldflags=-linkmode=internal"]) else {
        return;
    };
    let nm = Command::new("go").args(["tool", "nm"]).arg(&whole).output();
    let nm = String::from_utf8(nm.expect("go runs").stdout).expect("UTF-8");
    // The names that runtime/cgo's C files give their functions.
    let is_c = |name: &str| name.starts_with("x_cgo_") || name.starts_with("_cgo_sys_");
    let symbol = |line: &str| -> Option<(u64, String)> {
        let [address, kind, name] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            return None;
        };
        let address = u64::from_str_radix(address, 16).ok()?;
        (matches!(kind, "T" | "t") && is_c(name)).then(|| (address, name.to_owned()))
    };
    let truth: BTreeMap<u64, String> = nm.lines().filter_map(symbol).collect();
    assert!(truth.len() > 5, "{truth:?}");
    let stripped = dir.path().join("stripped");
    let strip = Command::new("strip")
        .arg("-o")
        .arg(&stripped)
        .arg(&whole)
        .status();
    assert!(strip.is_ok_and(|done| done.success()));
    for binary in [&whole, &stripped] {
        let read = GoBinary::open(binary).expect("a Go program");
        let mut found = 0;
        for (address, name) in &truth {
            let function = read.functions().iter().find(|f| f.entry.0 == *address);
            if let Some(function) = function {
                found += 1;
                assert!(function.is_not_go(), "{name} is taken for Go");
                assert!(read.call_sites(function).is_err(), "{name}");
            }
        }
        assert!(found > 5, "only {found} of {truth:?} stand in a table");
    }
    let error = planned(&whole, &["x_cgo_*"]).expect_err("nothing to measure");
    let PlanError::NothingMeasurable { skipped } = &error else {
        panic!("{error}");
    };
    assert!(skipped.iter().all(|skipped| skipped.reason == "not_go"));
}
