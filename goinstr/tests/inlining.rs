//! Which functions were inlined, and into which: by every Go toolchain of this machine, held against what the compiler itself says (`-gcflags=-m`) and the source.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use goinstr::{
    binary::GoBinary,
    plan::{Pattern, survey},
};

#[path = "support/toolchain.rs"]
mod toolchain;

/// What the source says: the functions that hold a copy, by what was inlined.
const TRUTH: [(&str, &[&str]); 5] = [
    ("main.(*Box).Get", &["main.three"]),
    ("main.nested", &["main.two"]),
    ("main.partly", &["main.three"]),
    ("main.pick[...]", &["main.one"]),
    ("main.tiny", &["main.one", "main.three", "main.two"]),
];

/// Has a body beside its copy.
const WITH_BODY: &str = "main.partly";

/// The target by one toolchain, and what its compiler says that it inlined.
fn build(go: &toolchain::Toolchain, arch: &str, to: &Path) -> (PathBuf, BTreeSet<String>) {
    let binary = to.join(format!("inlined-{}-{arch}", go.version.replace(' ', "-")));
    let mut build = Command::new(&go.go);
    if let (Some(home), "arm64") = (std::env::var_os("HOME"), arch) {
        // The matrix has built the standard library for it there.
        build.env("GOCACHE", Path::new(&home).join(".cache/goinstr/gocache"));
    }
    let output = build
        .args([
            "build",
            "-buildvcs=false",
            "-ldflags=-s -w",
            "-gcflags=-m",
            "-o",
        ])
        .arg(&binary)
        .arg(".")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/targets/inlined"))
        .env("GOARCH", arch)
        .env("CGO_ENABLED", "0")
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "")
        .env_remove("GOROOT")
        .output()
        .expect("go runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // `./main.go:30:35: inlining call to tiny`
    let calls = said
        .lines()
        .filter_map(|line| line.split_once(": inlining call to "));
    // Go 1.21 and later print the type arguments: `pick[go.shape.int]`.
    let name = |name: &str| match name.split_once('[') {
        Some((generic, _)) => format!("main.{generic}[...]"),
        None => format!("main.{name}"),
    };
    (binary, calls.map(|(_, called)| name(called)).collect())
}

#[test]
fn inlined_functions_are_those_that_the_compiler_tells_of_with_their_callers() {
    let toolchains = toolchain::all();
    if toolchains.is_empty() {
        eprintln!("SKIPPED: no Go on PATH nor in ~/.cache/goinstr/go");
        return;
    }
    let folder = tempfile::tempdir().expect("tempdir");
    for go in toolchains {
        // A standard library takes a while to build: for arm64 that of the usual Go alone.
        let arches = if toolchain::usual() == Some(go) {
            &["amd64", "arm64"][..]
        } else {
            &["amd64"]
        };
        for &arch in arches {
            let on = format!("{} {arch}", go.version);
            let (path, said) = build(go, arch, folder.path());
            // Go 1.19 inlines no generic function.
            let there = |name: &str| go.at_least(20) || name != "main.pick[...]";
            let truth = TRUTH.iter().filter(|(name, _)| there(name));
            let truth: Vec<_> = truth.copied().collect();
            let expected: BTreeSet<_> = truth.iter().map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(
                said, expected,
                "{on}: the compiler made something else of it"
            );

            let binary = GoBinary::open(&path).expect("a Go program");
            let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for (name, callers) in binary.inlined() {
                if name.starts_with("main.") {
                    let printed = goinstr::binary::names::printed(name).into_owned();
                    let callers = callers.iter().map(|f| binary.printed_name(f).into_owned());
                    found.entry(printed).or_default().extend(callers);
                }
            }
            for (name, callers) in &truth {
                let callers: BTreeSet<String> = callers.iter().map(|c| (*c).to_owned()).collect();
                assert_eq!(found.get(*name), Some(&callers), "{on}: {name}");
            }
            assert_eq!(found.len(), truth.len(), "{on}: {found:?}");
            explained(&binary, &truth, &on);
        }
    }
}

/// Typed as users type it, each is explained by its callers.
fn explained(binary: &GoBinary, truth: &[(&str, &[&str])], on: &str) {
    for &(name, callers) in truth {
        let patterns = [Pattern::parse(name).expect("a pattern")];
        let surveyed =
            survey(binary, &patterns).unwrap_or_else(|why| panic!("{on}: {name}: {why}"));
        let [function] = surveyed.as_slice() else {
            panic!("{on}: {name} is {} functions", surveyed.len());
        };
        assert_eq!(
            function.inlined_into as usize,
            callers.len(),
            "{on}: {name}"
        );
        if name == WITH_BODY {
            assert!(
                function.verdict.is_ok(),
                "{on}: {name}: {:?}",
                function.verdict
            );
            continue;
        }
        let obstacle = function.verdict.as_ref().expect_err("inlined");
        assert_eq!(obstacle.reason(), "inlined", "{on}: {name}");
        let detail = obstacle.detail();
        let count = match callers.len() {
            1 => "inlined into 1 function, try this caller: ".to_owned(),
            more => format!("inlined into {more} functions, try these callers: "),
        };
        assert!(detail.starts_with(&count), "{on}: {name}: {detail}");
        for caller in callers {
            assert!(detail.contains(caller), "{on}: {name}: {detail}");
        }
    }
}
