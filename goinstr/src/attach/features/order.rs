//! Which of two links at one place runs first: what taking functions out of a measurement rests on.

use std::{hint::black_box, io, process, sync::OnceLock};

use aya_obj::generated::bpf_map_type;

use super::attempt::{self, Attach};
use crate::attach::{multi, own_text};

/// A place of goinstr's own to probe.
#[inline(never)]
extern "C" fn probed(n: u64) -> u64 {
    black_box(n).wrapping_mul(3)
}

/// Whether the newer link's program runs before the older's. Tried on goinstr itself, once.
///
/// # Errors
/// What the kernel says where that can't be tried.
pub fn newest_first() -> io::Result<bool> {
    static TRIED: OnceLock<Result<bool, i32>> = OnceLock::new();
    let tried = TRIED.get_or_init(|| attempt().map_err(|e| e.raw_os_error().unwrap_or(0)));
    tried.map_err(io::Error::from_raw_os_error)
}

fn attempt() -> io::Result<bool> {
    const OLDER: u64 = 1;
    const NEWER: u64 = 2;
    let last = attempt::map(bpf_map_type::BPF_MAP_TYPE_ARRAY, 8, 1)?;
    let program = attempt::program(&attempt::store_cookie(&last), Attach::UprobeMulti)
        .map_err(|(error, _)| error)?;
    let place = own_text::file_offset(probed as extern "C" fn(u64) -> u64 as usize as u64)?;
    let own = i32::try_from(process::id()).unwrap_or(i32::MAX);
    let arm = |cookie| multi::link(&program, c"/proc/self/exe", &[place.0], &[cookie], own);
    let _links = [arm(OLDER)?, arm(NEWER)?];
    black_box(probed(1));
    match attempt::first_of(&last)? {
        OLDER => Ok(true),
        NEWER => Ok(false),
        _ => Err(io::Error::from_raw_os_error(libc::ENODATA)),
    }
}
