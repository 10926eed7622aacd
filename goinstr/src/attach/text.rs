//! The code of the file that is armed.

use std::{fs::File, os::unix::fs::FileExt as _, path::Path};

use goinstr_common::cookie;

use super::AttachError;
use crate::{
    binary::{Arch, code},
    plan::Site,
};

/// The longest instruction, in bytes.
const LONGEST: usize = 15;

/// The code of the file that is armed.
pub(super) struct Text(File);

impl Text {
    /// Opens the file.
    pub fn open(exe: &Path) -> Result<Self, AttachError> {
        File::open(exe)
            .map(Self)
            .map_err(|source| AttachError::Gone {
                exe: exe.to_owned(),
                source,
            })
    }

    /// Whether a return takes the return address off the stack and nothing else, where the kernel
    /// can't do without a single step for it: amd64's C3.
    pub fn returns_plainly(&self, site: Site) -> bool {
        let mut byte = [0];
        Arch::HOST == Arch::X86_64
            && self.0.read_exact_at(&mut byte, site.offset.0).is_ok()
            && byte == [0xc3]
            && site.address.0 >> cookie::SITE_BITS == 0
    }

    /// Whether the kernel single-steps a site's instruction, instead of emulating it.
    ///
    /// Reading it also brings its page into the page cache: the kernel would read a cold one within
    /// the registration, one after the other.
    pub fn single_steps(&self, site: Site) -> bool {
        let mut bytes = [0; LONGEST];
        // Where it can't be read, arming it fails and says so.
        let read = self.0.read_at(&mut bytes, site.offset.0).unwrap_or(0);
        !code::emulated(Arch::HOST, &bytes[..read])
    }
}
