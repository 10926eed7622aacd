//! The programs that come with a Go toolchain: real ones, most of them as Go's authors built and linked them,
//! which still have their symbols. Debian's are stripped.

use std::{fmt, path::PathBuf};

use goinstr::binary::{Arch, GoBinary};

use crate::{
    compare::{self, Score},
    form::goarch,
    prebuilt,
    table::Form,
    toolchain::Toolchain,
    truth,
};

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
    /// Against Go's disassembler where there are symbols for it, else as any program without.
    pub fn score(&self, newest: &Toolchain) -> Result<Score, String> {
        let read = GoBinary::open(&self.path).map_err(|why| why.to_string())?;
        if !read.symbol_sources().symbol_table {
            return Ok(prebuilt::check(&self.path, newest)?.1);
        }
        let truth = truth::read(&newest.go, &self.path)?;
        let returns = truth::returns_by_binutils(&self.path, HOST);
        compare::compare(&self.path, &truth, returns.as_ref())
    }

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
