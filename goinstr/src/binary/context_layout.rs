//! Where a `context.Context` keeps its deadline, by Go version.
//!
//! Go's `src/context/context.go`: `WithDeadline` makes a `*timerCtx`, and each context of the package that
//! hands its parent's deadline on has the parent as its first field. The binary's DWARF says where the
//! deadline is where there is some; else a table, which was read from the DWARF of a program built by each
//! version. 1.20 embedded a pointer, so that the parent is elsewhere; 1.17 and 1.18 were not looked at.

use super::dwarf::{self, StructFields};
use super::elf::Elf;

/// `timerCtx.deadline` can't be before the end of a `cancelCtx` and a pointer to a timer.
const LEAST: u64 = 72;
/// It is no larger structure.
const MOST: u64 = 4096;

/// The offset of `context.timerCtx.deadline`; `None` where it isn't known, or not all is as it should be.
pub(super) fn deadline(elf: &Elf, minor: Option<u32>) -> Option<u32> {
    if dwarf::present(elf) {
        let wanted = ["context.timerCtx", "context.cancelCtx", "context.valueCtx"];
        return from_fields(&dwarf::struct_fields(elf, &wanted)?);
    }
    from_table(minor?)
}

fn from_fields(fields: &StructFields) -> Option<u32> {
    let offset = |structure: &str, field: &str| fields.get(structure)?.get(field).copied();
    // A program that uses no values has no `valueCtx`.
    let values = !fields.contains_key("context.valueCtx")
        || offset("context.valueCtx", "Context") == Some(0);
    let first = offset("context.cancelCtx", "Context") == Some(0)
        && offset("context.timerCtx", "cancelCtx") == Some(0);
    let deadline = offset("context.timerCtx", "deadline")?;
    let inside = (LEAST..MOST).contains(&deadline) && values && first;
    u32::try_from(deadline).ok().filter(|_| inside)
}

fn from_table(minor: u32) -> Option<u32> {
    match minor {
        19 => Some(72),
        21..=27 => Some(88),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&str, &str, u64)]) -> StructFields {
        let mut fields = StructFields::new();
        for &(structure, field, offset) in list {
            let structure = fields.entry(structure.to_owned()).or_default();
            structure.insert(field.to_owned(), offset);
        }
        fields
    }

    #[test]
    fn a_deadline_is_known_only_where_the_parents_stand_first() {
        let cancel = ("context.cancelCtx", "Context", 0);
        let embedded = ("context.timerCtx", "cancelCtx", 0);
        let deadline = |at| ("context.timerCtx", "deadline", at);
        let of = |list: &[_]| from_fields(&fields(list));
        assert_eq!(of(&[cancel, embedded, deadline(88)]), Some(88));
        let value = |at| ("context.valueCtx", "Context", at);
        assert_eq!(of(&[cancel, embedded, deadline(88), value(0)]), Some(88));
        assert_eq!(of(&[cancel, embedded, deadline(88), value(8)]), None);
        // Go 1.20: a pointer to a cancelCtx.
        assert_eq!(of(&[cancel, embedded, deadline(16)]), None);
        assert_eq!(of(&[embedded, deadline(88)]), None);
        assert_eq!(of(&[cancel, embedded, deadline(u64::MAX)]), None);
        assert_eq!(of(&[cancel, embedded]), None);
    }
}
