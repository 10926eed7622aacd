//! A `context.Context` and its parents → its deadline.

use super::{Bytes, Missing, NOT_READ};
use crate::aggregate::value::{Content, Deadline};
use crate::plan::{Chunk, ContextStep, Word};

/// `time.Time.wall`: a monotonic time is there too, and the seconds are in `wall` (Go's `src/time/time.go`).
const HAS_MONOTONIC: u64 = 1 << 63;
/// Bits of the nanoseconds in `wall`; 33 of seconds since 1885 above.
const NANOSECOND_BITS: u32 = 30;
/// Seconds from 1885 to 1970, and from the year 1 to 1970.
const FROM_1885: u64 = 2_682_288_000;
const FROM_YEAR_1: i64 = 62_135_596_800;

impl Bytes<'_> {
    pub(super) fn context(
        &self,
        first: Word,
        chain: &[ContextStep],
        known: bool,
    ) -> Result<Content, Missing> {
        if self.word(first, 8)? == 0 {
            return Ok(Content::Nil);
        }
        let top = self.described(chain.first().ok_or(NOT_READ)?.table)?;
        let dynamic = self.names.name(top);
        let deadline = match known {
            true => self.deadline(chain).unwrap_or_else(unknown),
            false => unknown("where this Go keeps it is not known"),
        };
        Ok(Content::Context {
            dynamic: dynamic.unwrap_or_else(|| format!("type at {top:#x}")),
            deadline,
        })
    }

    /// The address of a type.
    pub(super) fn described(&self, table: Chunk) -> Result<u64, Missing> {
        let bytes = self.copied(table)?.first_chunk().ok_or(NOT_READ)?;
        Ok(u64::from_le_bytes(*bytes))
    }

    fn deadline(&self, chain: &[ContextStep]) -> Result<Deadline, Missing> {
        for step in chain {
            let described = self.described(step.table)?;
            match self.standard(described).as_deref() {
                Some("*context.timerCtx") => {
                    return self.at(step.deadline.ok_or(NO_ROOM)?);
                }
                // What their parents say holds for them.
                Some(
                    "*context.cancelCtx"
                    | "*context.valueCtx"
                    | "*context.afterFuncCtx"
                    | "*context.stopCtx"
                    | "*signal.signalCtx",
                ) => {
                    let parent = self.copied(step.parent.ok_or(NO_ROOM)?)?;
                    if parent.iter().all(|&byte| byte == 0) {
                        return Err("a context without a parent");
                    }
                }
                Some(
                    "context.backgroundCtx"
                    | "context.todoCtx"
                    | "*context.emptyCtx"
                    | "context.withoutCancelCtx",
                ) => return Ok(Deadline::None),
                _ => {
                    let name = self.names.name(described);
                    let name = name.ok_or("a parent's type can't be read")?;
                    return Ok(Deadline::Unknown(format!("{name} has its own way")));
                }
            }
        }
        Err("it has more parents than are looked at")
    }

    /// From a `time.Time`.
    fn at(&self, deadline: Chunk) -> Result<Deadline, Missing> {
        let (wall, ext) = (Word::Data(deadline.at), Word::Data(deadline.at + 8));
        self.copied(deadline)?;
        let (wall, ext) = (self.word(wall, 8)?, self.signed(ext, 8)?);
        let nanoseconds = wall & ((1 << NANOSECOND_BITS) - 1);
        let seconds = match wall & HAS_MONOTONIC {
            0 => ext.checked_sub(FROM_YEAR_1),
            _ => ((wall & !HAS_MONOTONIC) >> NANOSECOND_BITS).checked_signed_diff(FROM_1885),
        };
        let unix_ns = seconds
            .and_then(|seconds| seconds.checked_mul(1_000_000_000))
            .and_then(|unix| unix.checked_add_unsigned(nanoseconds))
            .ok_or("its deadline is no time")?;
        let now = i64::try_from(self.unix_ns).unwrap_or(i64::MAX);
        Ok(Deadline::At {
            unix_ns,
            left_ns: unix_ns.saturating_sub(now),
        })
    }
}

const NO_ROOM: Missing = "one call has no room for all its parents";

fn unknown(why: Missing) -> Deadline {
    Deadline::Unknown(why.to_owned())
}
