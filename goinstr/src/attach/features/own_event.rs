//! A perf event at a place of goinstr's own: the other way to arm sites, tried.

use std::{fmt, hint::black_box, io, path::Path, process};

use aya_obj::generated::bpf_map_type;

use super::attempt::{self, Attach};
use crate::attach::{own_text, perf_event};

/// Of the site; any but zero, which is what nothing leaves.
const COOKIE: u64 = 7;

/// Why the place is not armed.
#[derive(Debug)]
pub(super) enum Unarmed {
    /// The kernel's number for such events can't be read for want of `/sys`.
    NoSysfs,
    /// It has no number for them.
    NoType(io::Error),
    /// It refuses one.
    Refused(io::Error),
    /// It takes one, and the program does not run.
    Silent,
}

impl fmt::Display for Unarmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSysfs => f.write_str("not known: /sys is not mounted"),
            Self::NoType(error) => {
                write!(
                    f,
                    "this kernel has no perf events that are uprobes: {error}"
                )
            }
            Self::Refused(error) => write!(f, "the kernel refuses one that is a uprobe: {error}"),
            Self::Silent => f.write_str("the kernel takes one, but its program does not run"),
        }
    }
}

/// A place of goinstr's own to probe.
#[inline(never)]
extern "C" fn probed(n: u64) -> u64 {
    black_box(n).wrapping_mul(5)
}

/// Arms the place, calls it, and sees whether the program has its cookie.
pub(super) fn attempt() -> Result<(), Unarmed> {
    let event_type =
        perf_event::event_type().map_err(|error| match Path::new("/sys/bus").is_dir() {
            true => Unarmed::NoType(error),
            false => Unarmed::NoSysfs,
        })?;
    let seen = armed(event_type).map_err(Unarmed::Refused)?;
    match seen {
        COOKIE => Ok(()),
        _ => Err(Unarmed::Silent),
    }
}

fn armed(event_type: u32) -> io::Result<u64> {
    let seen = attempt::map(bpf_map_type::BPF_MAP_TYPE_ARRAY, 8, 1)?;
    let program =
        attempt::program(&attempt::store_cookie(&seen), Attach::Any).map_err(|(error, _)| error)?;
    let place = own_text::file_offset(probed as extern "C" fn(u64) -> u64 as usize as u64)?;
    let own = i32::try_from(process::id()).unwrap_or(i32::MAX);
    let path = c"/proc/self/exe";
    let _link = perf_event::link(&program, path, place.0, COOKIE, own, event_type)?;
    black_box(probed(1));
    attempt::first_of(&seen)
}
