//! Build info: the Go version, the modules and the build settings that the linker writes down.
//!
//! In: the ELF file. Out: [`BuildInfo`], or nothing: some builds have none, and everything else
//! works without. Format: `debug/buildinfo/buildinfo.go` and `runtime/debug/mod.go` of Go 1.18;
//! pointers instead of inline strings up to Go 1.17.

use super::elf::Elf;
use super::field::{u8_at, u64_at};

const MAGIC: &[u8] = b"\xff Go buildinf:";

/// The blob's alignment, and the size of its header, which inline strings follow.
const ALIGN: usize = 16;
const HEADER: usize = 32;

/// How far into the writable segment a blob without a section is looked for. As much as Go's own reader.
const SEARCH: u64 = 1 << 20;

/// More than any version or module list: hugo's is 12 KB, kubelet's 30 KB.
const STRING_LIMIT: u64 = 4 << 20;

/// Sentinels around the module text, so that it can be found in a core file.
const SENTINEL: usize = 16;

/// One module of the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    pub path: String,
    /// `v1.2.3`, `(devel)`, or empty where the line has none.
    pub version: String,
}

/// What `go version -m` prints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildInfo {
    /// As the toolchain calls itself: `go1.26.6`, `go1.24.11 X:boringcrypto`, `devel go1.27-…`.
    pub go_version: String,
    /// Import path of the main package: `command-line-arguments` for files named on the command line.
    pub path: Option<String>,
    /// The main module; absent in `GOPATH` builds and in some build systems.
    pub main: Option<Module>,
    /// The modules it was linked with; a replaced one is named by its replacement's version.
    pub deps: Vec<Module>,
    /// `-ldflags`, `CGO_ENABLED`, `vcs.revision` and the like, in the file's order. Since Go 1.18.
    pub settings: Vec<(String, String)>,
}

impl BuildInfo {
    /// The value of a build setting.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn of(elf: &Elf) -> Option<Self> {
        let (address, bytes) = blob(elf)?;
        let (version, modules) = if u8_at(&bytes, 15)? & 2 != 0 {
            let (version, next) = inline_string(&bytes, HEADER)?;
            let modules = inline_string(&bytes, next).map_or(Vec::new(), |(text, _)| text);
            (version, modules)
        } else {
            // Up to Go 1.17: addresses of two string headers. Big-endian and 32-bit were refused before.
            let place = |at| u64_at(&elf.read(address + at, 8).ok()?, 0);
            (
                string_at(elf, place(16)?)?,
                string_at(elf, place(24)?).unwrap_or_default(),
            )
        };
        let go_version = String::from_utf8(version).ok().filter(|v| !v.is_empty())?;
        let mut info = Self {
            go_version,
            ..Self::default()
        };
        info.parse_modules(&modules);
        Some(info)
    }

    /// Takes the module text apart: lines of tab-separated fields, a sentinel at each end.
    fn parse_modules(&mut self, text: &[u8]) {
        let inner = text
            .len()
            .checked_sub(SENTINEL)
            .and_then(|end| text.get(SENTINEL..end));
        let Some(inner) = inner else { return };
        for line in String::from_utf8_lossy(inner).lines() {
            let mut fields = line.split('\t');
            let kind = fields.next().unwrap_or_default();
            let first = fields.next().unwrap_or_default();
            let module = || Module {
                path: first.to_owned(),
                version: fields.clone().next().unwrap_or_default().to_owned(),
            };
            match kind {
                "path" => self.path = Some(first.to_owned()),
                "mod" => self.main = Some(module()),
                "dep" => self.deps.push(module()),
                "=>" => {
                    // The line above was replaced by this one; its import paths stay.
                    let replaced = self.deps.last_mut().or(self.main.as_mut());
                    if let Some(replaced) = replaced {
                        replaced.version = module().version;
                    }
                }
                "build" => {
                    if let Some((key, value)) = line["build".len()..].trim_start().split_once('=') {
                        self.settings.push((key.to_owned(), unquote(value)));
                    }
                }
                _ => {}
            }
        }
    }
}

/// Values with spaces or quotes are written as Go string literals.
fn unquote(value: &str) -> String {
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    match inner {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => value.trim_matches('`').to_owned(),
    }
}

/// The blob's address and its bytes up to the end of what may belong to it.
fn blob(elf: &Elf) -> Option<(u64, Vec<u8>)> {
    let section = elf.section(".go.buildinfo").map(|s| (s.address, s.size));
    let writable = elf
        .segments()
        .iter()
        .filter(|s| s.writable)
        .map(|s| (s.address, SEARCH));
    section
        .into_iter()
        .chain(writable)
        .find_map(|(start, size)| {
            let bytes = elf.read_up_to(start, size.clamp(1, SEARCH)).ok()?;
            let at = memchr::memmem::find_iter(&bytes, MAGIC)
                .find(|at| (start as usize).wrapping_add(*at).is_multiple_of(ALIGN))?;
            let address = start + at as u64;
            Some((address, elf.read_up_to(address, STRING_LIMIT).ok()?))
        })
}

/// A string with its length before it as a varint, and where it ends.
fn inline_string(bytes: &[u8], at: usize) -> Option<(Vec<u8>, usize)> {
    let (length, start) = super::pcvalue::varint(bytes, at)?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    Some((bytes.get(start..end)?.to_vec(), end))
}

/// The text of the Go string whose header is at this address.
pub(super) fn string_at(elf: &Elf, header: u64) -> Option<Vec<u8>> {
    let bytes = elf.read(header, 16).ok()?;
    let (text, length) = (u64_at(&bytes, 0)?, u64_at(&bytes, 8)?);
    if length > STRING_LIMIT {
        return None;
    }
    elf.read_raw(text, length).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(lines: &str) -> BuildInfo {
        let mut info = BuildInfo::default();
        info.parse_modules(format!("{:16}{lines}{:16}", "", "").as_bytes());
        info
    }

    #[test]
    fn modules_and_settings() {
        let info = parsed(
            "path\texample.com/app/cmd\nmod\texample.com/app\t(devel)\t\n\
             dep\tgolang.org/x/a\tv1.0.0\th1:xx\ndep\texample.com/b\tv1.0.0\n=>\t./b\tv2.0.0\t\n\
             build\t-ldflags=\"-s -w -X \\\"a=b\\\"\"\nbuild\tCGO_ENABLED=0\nbuild\tvcs.time=\n",
        );
        let module = |path: &str, version: &str| Module {
            path: path.into(),
            version: version.into(),
        };
        assert_eq!(info.path.as_deref(), Some("example.com/app/cmd"));
        assert_eq!(info.main, Some(module("example.com/app", "(devel)")));
        assert_eq!(
            info.deps,
            [
                module("golang.org/x/a", "v1.0.0"),
                module("example.com/b", "v2.0.0")
            ]
        );
        assert_eq!(info.setting("-ldflags"), Some("-s -w -X \"a=b\""));
        assert_eq!(info.setting("CGO_ENABLED"), Some("0"));
        assert_eq!(info.setting("vcs.time"), Some(""));
        assert_eq!(info.setting("GOOS"), None);
    }

    #[test]
    fn nonsense_is_no_information() {
        assert_eq!(parsed("=>\tx\nwhat\never"), BuildInfo::default());
        let mut info = BuildInfo::default();
        info.parse_modules(b"short");
        info.parse_modules(&[0xff; 64]);
        assert_eq!(info, BuildInfo::default());
    }
}
