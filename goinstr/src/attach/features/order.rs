//! Which of two links at one place runs first: what taking functions out of a measurement rests on.

use std::{io, os::fd::AsFd as _, sync::OnceLock};

use aya_obj::generated::bpf_map_type;

use super::attempt::{self, Attach};
use crate::attach::holder::Holder;

/// Whether the newer link's program runs before the older's. Tried once, on the process that holds the links.
///
/// # Errors
/// What the kernel says where that can't be tried.
pub(in crate::attach) fn newest_first(holder: &Holder) -> io::Result<bool> {
    static TRIED: OnceLock<Result<bool, i32>> = OnceLock::new();
    let tried = TRIED.get_or_init(|| attempt(holder).map_err(|e| e.raw_os_error().unwrap_or(0)));
    tried.map_err(io::Error::from_raw_os_error)
}

fn attempt(holder: &Holder) -> io::Result<bool> {
    const OLDER: u64 = 1;
    const NEWER: u64 = 2;
    let last = attempt::map(bpf_map_type::BPF_MAP_TYPE_ARRAY, 8, 1)?;
    let program = attempt::program(&attempt::store_cookie(&last), Attach::UprobeMulti)
        .map_err(|(error, _)| error)?;
    let arm = |cookie| holder.arm_itself(program.as_fd(), cookie);
    let _links = [arm(OLDER)?, arm(NEWER)?];
    holder.call_itself()?;
    match attempt::first_of(&last)? {
        OLDER => Ok(true),
        NEWER => Ok(false),
        _ => Err(io::Error::from_raw_os_error(libc::ENODATA)),
    }
}
