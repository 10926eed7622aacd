//! How a function stands: an element of the map `STANDING`, changed by userspace alone.
//!
//! Sites can't be taken out of a `uprobe.multi` link. To take some functions out, userspace arms the
//! others once more in links of the next *generation*, then raises the generation of each of these
//! functions here, then drops the old links. While both are armed, each hit runs a program for
//! either: the kernel runs the newer link's first (`consumer_add` of kernel/events/uprobes.c puts
//! it at the head of the list, in every version that has such links).

/// Set: the function is no longer measured. Its hits do nothing, its open calls are lost.
pub const SHED: u32 = 1 << 31;

/// What a hit is worth, by the generation of the link that it came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It counts.
    Current,
    /// The link is not in use yet, or the function is no longer measured: another program counts the
    /// hit, or none.
    Idle,
    /// The link is about to go: the newer link's program has counted the hit just before, unless it
    /// came there before the generation was raised.
    Superseded,
}

/// The standing of a hit through a link of `generation`, where the map says `element`.
#[must_use]
#[inline(always)]
pub const fn of(element: u32, generation: u8) -> Standing {
    if element & SHED != 0 {
        return Standing::Idle;
    }
    // Generations wrap around; no more than two are ever armed at once.
    match generation.wrapping_sub(element as u8) {
        0 => Standing::Current,
        1..=127 => Standing::Idle,
        _ => Standing::Superseded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_generations_one_is_current_also_where_they_wrap_around() {
        for old in 0..=255u8 {
            let new = old.wrapping_add(1);
            assert_eq!(of(u32::from(old), old), Standing::Current);
            assert_eq!(of(u32::from(old), new), Standing::Idle);
            assert_eq!(of(u32::from(new), old), Standing::Superseded);
            assert_eq!(of(u32::from(new), new), Standing::Current);
            assert_eq!(of(u32::from(new) | SHED, new), Standing::Idle);
        }
    }
}
