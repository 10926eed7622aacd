//! The reader against real programs, built by the Go on `PATH` in the forms that production has.
//!
//! What is expected comes from Go's own tools on the program before it was stripped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use proptest::prelude::*;

use super::layout::{LayoutSource, RuntimeLayout};
use super::*;

/// Go's own list of the text symbols: address → names.
fn nm(program: &Path) -> BTreeMap<u64, BTreeSet<String>> {
    let output = run(Command::new("go").args(["tool", "nm"]).arg(program));
    let mut symbols: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for line in output.lines() {
        let mut fields = line.trim_start().splitn(3, ' ');
        let (Some(address), Some(kind), Some(name)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if let (Ok(address), "T" | "t") = (u64::from_str_radix(address, 16), kind) {
            let name = name.trim_end_matches(".abi0").to_owned();
            // The symbol table writes the middle dot of a local type's name as a dot.
            symbols.entry(address).or_default().insert(name);
        }
    }
    symbols
}

/// Holds the functions of a form against the text symbols of its unstripped twin.
fn assert_functions(form: &GoBinary, truth: &BTreeMap<u64, BTreeSet<String>>) {
    let found: BTreeMap<u64, &str> = form
        .functions()
        .iter()
        .filter(|function| !function.is_not_go())
        .map(|function| (function.entry.0, form.name(function)))
        .collect();
    assert!(found.len() > 1000, "only {} functions", found.len());
    for (address, name) in &found {
        let names = truth.get(address);
        assert!(
            names.is_some_and(|names| names.contains(&name.replace('·', "."))),
            "{name} at {address:#x}, nm has {names:?}"
        );
    }
    // What nm has and pclntab hasn't are the linker's markers, which have no code.
    for (address, names) in truth {
        let known = form
            .functions()
            .binary_search_by_key(address, |f| f.entry.0)
            .is_ok();
        let marker = names.iter().all(|name| {
            ["runtime.text", "runtime.etext", "go:", "masks", "_"]
                .iter()
                .any(|m| name.starts_with(m))
        });
        assert!(known || marker, "{names:?} at {address:#x} is missing");
    }
}

#[test]
fn functions_equal_go_tool_nm_in_every_form() {
    let plain = build("names", &[]);
    let truth = nm(&plain.path);
    assert_functions(&plain.open(), &truth);

    let stripped = build("names", &["-ldflags=-s -w"]);
    assert_functions(&stripped.open(), &nm_of_text(&stripped, &plain, &truth));
    assert!(stripped.open().symbol_sources().stripped());

    let headless = plain.without_section_headers();
    let binary = headless.open();
    assert_eq!(binary.symbol_sources().pclntab, PclntabSource::Scan);
    assert_functions(&binary, &truth);

    let pie = build("names", &["-buildmode=pie"]);
    let truth = nm(&pie.path);
    assert!(pie.open().symbol_sources().position_independent);
    assert_functions(&pie.open(), &truth);
    assert_functions(&pie.without_section_headers().open(), &truth);
}

/// `-s -w` moves nothing in the text: the unstripped twin's symbols are the stripped one's.
fn nm_of_text(
    stripped: &Built,
    plain: &Built,
    truth: &BTreeMap<u64, BTreeSet<String>>,
) -> BTreeMap<u64, BTreeSet<String>> {
    let entries = |built: &Built| -> Vec<u64> {
        built
            .open()
            .functions()
            .iter()
            .map(|function| function.entry.0)
            .collect()
    };
    assert_eq!(entries(stripped), entries(plain));
    truth.clone()
}

#[test]
fn lines_equal_go_tool_addr2line() {
    let built = build("names", &[]);
    let binary = built.open();
    let mut addresses = Vec::new();
    for function in binary
        .functions()
        .iter()
        .filter(|f| !f.is_not_go())
        .step_by(3)
    {
        addresses.push(function.entry.0);
        addresses.push(function.entry.0 + function.size() / 2);
    }
    let mut child = Command::new("go")
        .args(["tool", "addr2line"])
        .arg(&built.path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let asked = addresses.clone();
    let writer = std::thread::spawn(move || {
        for address in asked {
            writeln!(input, "{address:#x}").unwrap();
        }
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = output.lines().skip(1).step_by(2).collect();
    assert_eq!(lines.len(), addresses.len());
    let mut known = 0;
    for (address, line) in addresses.iter().zip(lines) {
        let location = binary.location_at(Vaddr(*address));
        match location {
            Some(location) => {
                assert_eq!(
                    format!("{}:{}", location.file, location.line),
                    line,
                    "at {address:#x}"
                );
                known += 1;
            }
            // Padding behind a function's last instruction.
            None => assert!(line == ":-1" || line == "?:0", "{line} at {address:#x}"),
        }
    }
    assert!(
        known * 10 > addresses.len() * 9,
        "only {known} of {} lines",
        addresses.len()
    );
}

#[test]
fn dwarf_and_table_agree_on_the_runtime() {
    let plain = build("names", &[]).open();
    let dwarf = plain.runtime_layout().unwrap();
    assert_eq!(dwarf.source, LayoutSource::Dwarf);
    let table = RuntimeLayout::from_table(plain.go_minor().unwrap()).unwrap();
    assert_eq!(
        RuntimeLayout {
            source: LayoutSource::Table,
            ..dwarf
        },
        table
    );
    assert_eq!(
        build("names", &["-ldflags=-s -w"])
            .open()
            .runtime_layout()
            .unwrap(),
        table
    );
}

#[test]
fn the_runtime_s_own_exits_are_found() {
    // Linked with `runtime.Goexit`, which most programs don't call and so don't have.
    let binary = build("goexit", &[]).open();
    let at = binary.recovery_entry().unwrap();
    assert_eq!(
        binary.name(binary.function_at(at).unwrap()),
        "runtime.recovery"
    );
    let at = binary.goexit_call().unwrap();
    assert_eq!(
        binary.name(binary.function_at(at).unwrap()),
        "runtime.Goexit"
    );
}

#[test]
fn build_info_equals_go_version_m() {
    let built = build("names", &["-trimpath"]);
    let binary = built.open();
    let info = binary.build_info().unwrap();
    let output = run(Command::new("go").args(["version", "-m"]).arg(&built.path));
    let mut lines = output.lines();
    assert!(
        lines
            .next()
            .unwrap()
            .ends_with(&format!(": {}", info.go_version))
    );
    let mut settings = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.trim_start().split('\t').collect();
        match fields[..] {
            ["path", path] => assert_eq!(info.path.as_deref(), Some(path)),
            ["mod", path, ..] => assert_eq!(info.main.as_ref().unwrap().path, path),
            ["build", setting] => settings.push(setting.to_owned()),
            _ => panic!("unexpected {line:?}"),
        }
    }
    let ours: Vec<String> = info
        .settings
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(ours, settings);
}

#[test]
fn what_is_no_go_program_is_refused_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let refused = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        GoBinary::open(&path).unwrap_err().to_string()
    };
    assert!(refused("script", b"#!/bin/sh\n").contains("not an ELF file"));
    assert!(refused("empty", b"").contains("not an ELF file"));
    let mut header = [0; 64];
    header[..6].copy_from_slice(b"\x7fELF\x01\x01");
    assert!(refused("small", &header).contains("32-bit"));
    header[4..6].copy_from_slice(&[2, 2]);
    assert!(refused("big", &header).contains("big-endian"));
    header[4..6].copy_from_slice(&[2, 1]);
    header[18] = 8;
    assert!(refused("mips", &header).contains("machine 8"));
    assert!(
        GoBinary::open(Path::new("/nowhere"))
            .unwrap_err()
            .to_string()
            .contains("cannot open")
    );
    assert!(GoBinary::open(directory.path()).is_err());
    // This test itself is an ELF file without Go.
    let own = std::env::current_exe().unwrap();
    assert!(matches!(
        GoBinary::open(&own),
        Err(BinaryError::NotGo { .. })
    ));
}

/// As a Go to come may write it, or one before 1.16 wrote it.
#[test]
fn a_function_table_of_another_form_is_refused_by_the_go_that_wrote_it() {
    let built = build("basic", &[]);
    let binary = built.open();
    let version = binary.go_version().unwrap();
    let mut bytes = fs::read(&built.path).unwrap();
    let magics = [[0xf0, 0xff, 0xff, 0xff], [0xf1, 0xff, 0xff, 0xff]];
    for magic in magics {
        let places: Vec<usize> = memchr::memmem::find_iter(&bytes, &magic).collect();
        for at in places {
            bytes[at] = 0xe1;
        }
    }
    let changed = tempfile::NamedTempFile::new().unwrap();
    fs::write(changed.path(), &bytes).unwrap();
    let error = GoBinary::open(changed.path()).unwrap_err();
    assert!(
        matches!(&error, BinaryError::UnknownTable { version: told, .. } if told == version),
        "{error}"
    );
    assert!(error.to_string().contains(version), "{error}");
}

/// The runtime's own variable says the version where the linker wrote no build info.
#[test]
fn without_build_info_the_version_is_found_and_all_else_works() {
    let built = build("basic", &["-ldflags=-s -w"]);
    let whole = built.open();
    let mut bytes = fs::read(&built.path).unwrap();
    let magic = b"\xff Go buildinf:";
    let places: Vec<usize> = memchr::memmem::find_iter(&bytes, magic).collect();
    for at in places {
        bytes[at..at + magic.len()].fill(0);
    }
    let path = built.path.with_file_name("bare");
    fs::write(&path, bytes).unwrap();
    let bare = GoBinary::open(&path).unwrap();
    assert!(bare.build_info().is_none());
    assert_eq!(bare.go_version(), whole.go_version());
    assert_eq!(bare.functions(), whole.functions());
    assert_eq!(
        bare.runtime_layout().unwrap(),
        whole.runtime_layout().unwrap()
    );
}

/// A build with an experiment has it in its version: `go1.26.8 X:boringcrypto`.
#[test]
fn a_version_with_an_experiment_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/targets/basic");
    let output = Command::new("go")
        .args(["build", "-buildvcs=false", "-ldflags=-s -w", "-o"])
        .arg(&path)
        .arg(".")
        .current_dir(source)
        .env("GOEXPERIMENT", "boringcrypto")
        .env("CGO_ENABLED", "1")
        .output()
        .unwrap();
    if !output.status.success() {
        // Its C library is for few systems.
        eprintln!("SKIPPED: {}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let binary = GoBinary::open(&path).unwrap();
    let plain = build("basic", &["-ldflags=-s -w"]).open();
    let version = binary.go_version().unwrap();
    assert!(version.contains("X:boringcrypto"), "{version}");
    assert_eq!(binary.go_minor(), plain.go_minor());
    assert_eq!(
        binary.runtime_layout().unwrap(),
        plain.runtime_layout().unwrap()
    );
    assert!(binary.named("main.main").next().is_some());
}

/// Go's linker splits the text of other architectures than ours: the table is made here.
#[test]
fn a_split_text_is_refused() {
    let built = build("basic", &[]);
    let binary = built.open();
    let module = &binary.module;
    let mut bytes = fs::read(&built.path).unwrap();
    let words = |words: [u64; 2]| words.map(u64::to_le_bytes).concat();
    let data = binary.elf.segments().iter().find(|s| s.writable).unwrap();
    let found: Vec<usize> = bytes
        .windows(24)
        .enumerate()
        .skip(data.offset as usize)
        .filter(|(_, window)| {
            // One entry, in a slice of its own, as the linker writes it.
            window[8..] == words([1, 1])
                && binary
                    .elf
                    .read(u64::from_le_bytes(window[..8].try_into().unwrap()), 24)
                    .is_ok_and(|entry| entry[16..] == module.text.to_le_bytes())
        })
        .map(|(at, _)| at)
        .collect();
    assert_eq!(found.len(), 1, "textsectmap");
    bytes[found[0] + 8..found[0] + 24].copy_from_slice(&words([2, 2]));
    let path = built.path.with_file_name("split");
    fs::write(&path, bytes).unwrap();
    let error = GoBinary::open(&path).unwrap_err().to_string();
    assert!(error.contains("several text sections"), "{error}");
}

#[test]
fn half_a_program_is_called_damaged() {
    let bytes = intact();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("half");
    fs::write(&path, &bytes[..bytes.len() / 3]).unwrap();
    let error = GoBinary::open(&path).unwrap_err().to_string();
    assert!(error.contains("ends before its segments"), "{error}");
}

/// Everything that can be asked, of a program that may be damaged.
pub(super) fn ask_everything(path: &Path) {
    let Ok(binary) = GoBinary::open(path) else {
        return;
    };
    let _ = (
        binary.runtime_layout(),
        binary.symbol_sources(),
        binary.inlined_only(),
    );
    for function in binary.functions() {
        let _ = (
            binary.name(function).len(),
            binary.location(function),
            binary.deferreturn(function),
        );
    }
}

/// A program to damage, its bytes read once.
fn intact() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| fs::read(build("names", &["-buildmode=pie"]).path).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_program_cut_short_is_no_panic(part in 0.0f64..1.0) {
        let bytes = intact();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cut");
        fs::write(&path, &bytes[..(bytes.len() as f64 * part) as usize]).unwrap();
        ask_everything(&path);
    }

    #[test]
    fn a_damaged_program_is_no_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        places in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let mut bytes = intact().to_vec();
        // Where the tables begin, so that counts and offsets are hit and not only their contents.
        let magic = [0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8];
        let table = memchr::memmem::find_iter(&bytes, &magic).next().unwrap_or(0);
        for (i, (at, value)) in changes.iter().enumerate() {
            let at = match i % 3 {
                0 => at.index(4096),
                1 => table + at.index(4096),
                _ => at.index(bytes.len()),
            };
            bytes[at] = *value;
        }
        for place in places {
            let at = table + place.index(9) * 8;
            bytes[at + 4..at + 8].fill(0xff);
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("damaged");
        fs::write(&path, bytes).unwrap();
        ask_everything(&path);
    }
}

/// A program built for one test.
pub(super) struct Built {
    _directory: tempfile::TempDir,
    pub path: PathBuf,
}

pub(super) fn build(target: &str, arguments: &[&str]) -> Built {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program");
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata/targets")
        .join(target);
    let mut command = Command::new("go");
    command
        .args(["build", "-o"])
        .arg(&path)
        .args(arguments)
        .arg(".")
        .current_dir(source);
    run(&mut command);
    Built {
        _directory: directory,
        path,
    }
}

impl Built {
    pub fn open(&self) -> GoBinary {
        GoBinary::open(&self.path).unwrap()
    }

    /// A copy whose ELF header says that there are no section headers.
    fn without_section_headers(&self) -> Built {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("program");
        let mut bytes = fs::read(&self.path).unwrap();
        // e_shoff; then e_shentsize, e_shnum and e_shstrndx.
        bytes[40..48].fill(0);
        bytes[58..64].fill(0);
        fs::write(&path, bytes).unwrap();
        Built {
            _directory: directory,
            path,
        }
    }
}

pub(super) fn run(command: &mut Command) -> String {
    let output = command.output().expect("go is on PATH");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
