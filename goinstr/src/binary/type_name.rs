//! Names of types as a running program describes them.
//!
//! Format: Go's `src/internal/abi/type.go` (`Type`, `Name`), the same from Go 1.17 to 1.27 as far as it
//! is used here.

use std::mem::size_of;

/// `abi.Type.TFlag`, and its bit that says that the name has a `*` in front that isn't the type's.
const TFLAG: usize = 20;
const EXTRA_STAR: u8 = 2;
/// `abi.Type.Str`: where the name is, from the beginning of the module's types.
const STR: usize = 40;
/// `abi.Type` up to the end of `Str`.
const DESCRIPTION: usize = STR + size_of::<i32>();
/// Longer names are cut.
const LONGEST: usize = 512;

/// The name of the type whose description is at `address`, in a module whose types begin at `types`.
///
/// `read` reads memory of the program: all of what is asked for, or `None`. Untrusted: whatever is no
/// name is none.
pub fn type_name(
    read: impl Fn(u64, &mut [u8]) -> Option<()>,
    types: u64,
    address: u64,
) -> Option<String> {
    let mut description = [0; DESCRIPTION];
    read(address, &mut description)?;
    let offset = i32::from_le_bytes(*description.get(STR..)?.first_chunk()?);
    let star = description.get(TFLAG)? & EXTRA_STAR != 0;
    let name = types.wrapping_add_signed(i64::from(offset));
    // Flags, then the length, 7 bits a byte.
    let mut head = [0; 3];
    read(name, &mut head)?;
    let (length, begin) = match head {
        [_, low, _] if low < 0x80 => (usize::from(low), 2),
        [_, low, high] => (usize::from(low & 0x7f) | usize::from(high & 0x7f) << 7, 3),
    };
    let mut text = vec![0; length.min(LONGEST)];
    read(name.wrapping_add(begin), &mut text)?;
    let text = match String::from_utf8(text) {
        Ok(text) => text,
        // Cut within a character.
        Err(error) if length > LONGEST => {
            let whole = error.utf8_error().valid_up_to();
            String::from_utf8_lossy(error.as_bytes().get(..whole)?).into_owned()
        }
        Err(_) => return None,
    };
    match text.strip_prefix('*') {
        Some(without) if star => Some(without.to_owned()),
        _ => (!text.is_empty()).then_some(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPES: u64 = 0x4000;
    const NAME: u64 = 0x40;

    /// Memory from [`TYPES`] on: a description, and a name at [`NAME`] from there.
    fn memory(tflag: u8, name: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; NAME as usize];
        bytes[TFLAG] = tflag;
        bytes[STR..STR + 4].copy_from_slice(&(NAME as i32).to_le_bytes());
        bytes.push(0);
        if name.len() < 0x80 {
            bytes.push(name.len() as u8);
        } else {
            bytes.extend([(name.len() & 0x7f) as u8 | 0x80, (name.len() >> 7) as u8]);
        }
        bytes.extend(name);
        // What comes after it: the head is read in one.
        bytes.push(0);
        bytes
    }

    fn named(memory: &[u8]) -> Option<String> {
        let read = |address: u64, bytes: &mut [u8]| {
            let from = usize::try_from(address.checked_sub(TYPES)?).ok()?;
            bytes.copy_from_slice(memory.get(from..from.checked_add(bytes.len())?)?);
            Some(())
        };
        type_name(read, TYPES, TYPES)
    }

    #[test]
    fn names_are_read_with_and_without_the_star_that_is_not_theirs() {
        assert_eq!(
            named(&memory(0, b"main.Order")).as_deref(),
            Some("main.Order")
        );
        assert_eq!(
            named(&memory(2, b"*main.Order")).as_deref(),
            Some("main.Order")
        );
        assert_eq!(
            named(&memory(0, b"*main.Order")).as_deref(),
            Some("*main.Order")
        );
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let name = "é".repeat(200);
        assert_eq!(named(&memory(0, name.as_bytes())), Some(name));
        let name = format!("x{}", "é".repeat(400));
        let cut = named(&memory(0, name.as_bytes())).expect("a name");
        assert!(cut.len() == LONGEST - 1 && name.starts_with(&cut), "{cut}");
    }

    #[test]
    fn what_is_no_name_is_none() {
        assert_eq!(named(&[]), None);
        assert_eq!(named(&memory(0, b"")), None);
        assert_eq!(named(&memory(0, b"\xff\xfe")), None);
        assert_eq!(named(&memory(0, b"main.Order")[..0x45]), None);
        let mut far = memory(0, b"main.Order");
        far[STR..STR + 4].copy_from_slice(&i32::MIN.to_le_bytes());
        assert_eq!(named(&far), None);
    }
}
