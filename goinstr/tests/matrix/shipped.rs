//! The programs that come with a Go toolchain: real ones, as Go's authors built and linked them, which still
//! have their symbols.

use std::{fmt, path::PathBuf};

use goinstr::binary::Arch;

use crate::{form::goarch, table::Form, toolchain::Toolchain};

/// Looked at, of each toolchain: the largest one and one that everybody has.
const PROGRAMS: [&str; 2] = match HOST {
    Arch::X86_64 => ["bin/go", "pkg/tool/linux_amd64/compile"],
    Arch::Aarch64 => ["bin/go", "pkg/tool/linux_arm64/compile"],
};

/// The architecture that they are of.
pub const HOST: Arch = match cfg!(target_arch = "aarch64") {
    true => Arch::Aarch64,
    false => Arch::X86_64,
};

/// One program.
pub struct Shipped {
    version: String,
    name: &'static str,
    pub path: PathBuf,
}

impl Shipped {
    /// As the table tells of it.
    pub fn form(&self) -> Form {
        Form {
            version: self.version.clone(),
            arch: HOST,
            build: self.name.to_owned(),
            stripped: "as shipped".to_owned(),
        }
    }
}

impl fmt::Display for Shipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arch = goarch(HOST);
        write!(f, "{} {arch} {} as shipped", self.version, self.name)
    }
}

/// Those of a toolchain that are there; none of one on PATH, which may be anywhere.
pub fn programs(toolchain: &Toolchain) -> Vec<Shipped> {
    let Some(goroot) = toolchain.go.parent().and_then(|bin| bin.parent()) else {
        return Vec::new();
    };
    PROGRAMS
        .iter()
        .map(|place| Shipped {
            version: toolchain.version.clone(),
            name: place.rsplit('/').next().unwrap_or(place),
            path: goroot.join(place),
        })
        .filter(|program| program.path.is_file())
        .collect()
}
