//! Go's version: its strings, of which only the minor number decides a layout, and where the
//! runtime keeps its own.

use super::build_info::string_at;
use super::elf::Elf;
use super::field::u64_at;
use super::moduledata::ModuleData;
use super::symtab::Symtab;

/// Bytes of variables that are searched: an initialised string variable lies in the data, of which
/// the largest programs have some ten megabytes.
const SEARCH_LIMIT: u64 = 64 << 20;

/// Longest version string; a development version has a commit and a date.
const LENGTH_LIMIT: u64 = 128;

/// The version that the runtime knows itself by (`runtime.buildVersion`), for a file without build
/// info: by its symbol, else the one string variable of the module that is a Go version. Two
/// different ones decide nothing.
pub(super) fn of_runtime(
    elf: &Elf,
    module: &ModuleData,
    symtab: Option<&Symtab>,
) -> Option<String> {
    if let Some(address) = symtab.and_then(|symtab| symtab.address_of("runtime.buildVersion"))
        && let Some(text) = string_at(elf, address)
        && let Ok(version) = String::from_utf8(text)
        && go_minor(&version).is_some()
    {
        return Some(version);
    }
    let mut found: Option<String> = None;
    for (start, end) in module.variables {
        let size = end.saturating_sub(start).min(SEARCH_LIMIT);
        let Ok(bytes) = elf.read_up_to(start, size) else {
            continue;
        };
        for header in bytes.windows(16).step_by(8) {
            let (Some(text), Some(length)) = (u64_at(header, 0), u64_at(header, 8)) else {
                continue;
            };
            // The shortest is `go1.17`.
            if !(6..=LENGTH_LIMIT).contains(&length) || length > elf.room_at(text) {
                continue;
            }
            let Some(version) = elf.read_raw(text, length).ok().and_then(plain_version) else {
                continue;
            };
            if found.as_ref().is_some_and(|other| *other != version) {
                return None;
            }
            found = Some(version);
        }
    }
    found
}

/// The text, if it is nothing but a version.
fn plain_version(text: Vec<u8>) -> Option<String> {
    let version = String::from_utf8(text).ok()?;
    let known = version.starts_with("go1.") || version.starts_with("devel go1.");
    (known
        && version.chars().all(|c| c.is_ascii_graphic() || c == ' ')
        && go_minor(&version).is_some())
    .then_some(version)
}

/// The minor version in a string such as `go1.26.6`, `go1.24.11 X:boringcrypto`, `go1.22rc1`,
/// `go1.21.0-fips` or `devel go1.27-5f3a…`. `None` for what names no version (`devel +5f3a…`).
pub fn go_minor(version: &str) -> Option<u32> {
    version.match_indices("go1.").find_map(|(at, prefix)| {
        let rest = &version[at + prefix.len()..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        // Three digits are more than Go will need while this table is kept.
        if digits == 0 || digits > 3 {
            None
        } else {
            rest[..digits].parse().ok()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::go_minor;

    #[test]
    fn odd_version_strings() {
        assert_eq!(go_minor("go1.26.6"), Some(26));
        assert_eq!(go_minor("go1.17"), Some(17));
        assert_eq!(go_minor("go1.24.11 X:boringcrypto"), Some(24));
        assert_eq!(go_minor("go1.22rc1"), Some(22));
        assert_eq!(go_minor("go1.21.0-fips"), Some(21));
        assert_eq!(go_minor("go1.19.8b4"), Some(19));
        assert_eq!(
            go_minor("devel go1.27-5f3a1b2c Mon Nov 23 15:46:56 2026 +0000"),
            Some(27)
        );
        assert_eq!(go_minor("devel +5f3a1b2c Mon Nov 23"), None);
        assert_eq!(go_minor("go1."), None);
        assert_eq!(go_minor("go1.99999999999"), None);
        assert_eq!(go_minor(""), None);
    }
}
