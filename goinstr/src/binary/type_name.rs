//! Names of types as a running program describes them.
//!
//! Format: Go's `src/internal/abi/type.go` (`Type`, `Name`), the same from Go 1.17 to 1.27 as far as it
//! is used here.

use std::mem::size_of;

/// `abi.Type.TFlag`, and its bit that says that the name has a `*` in front that isn't the type's.
const TFLAG: usize = 20;
const EXTRA_STAR: u8 = 2;
/// Its bit that says that an `abi.UncommonType` is behind, whose first field is the package's path.
const UNCOMMON: u8 = 1;
/// `abi.Type.Str`: where the name is, from the beginning of the module's types.
const STR: usize = 40;
/// `abi.Type` up to the end of `Str`.
const DESCRIPTION: usize = STR + size_of::<i32>();
/// `abi.Type.Kind_`, whose low bits are a `reflect.Kind`.
const KIND: u64 = 23;
const KIND_MASK: u8 = 31;
const BOOL_KIND: u8 = 1;
const COMPLEX128_KIND: u8 = 16;
const POINTER_KIND: u8 = 22;
const STRING_KIND: u8 = 24;
const STRUCT_KIND: u8 = 25;
/// `abi.PtrType.Elem`, `abi.StructType.PkgPath`: what is behind `abi.Type`.
const BEHIND: u64 = 48;
/// `abi.StructType.Fields`, a slice of `abi.StructField`: name, type, offset.
const FIELDS: u64 = BEHIND + 8;
const FIELD_SIZE: u64 = 24;
/// Where strings may begin that are looked for, and fields that are looked at.
const WITHIN: u64 = 16;
const MOST_FIELDS: u64 = 16;
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
    let text = text(&read, types.wrapping_add_signed(i64::from(offset)))?;
    let name = match text.strip_prefix('*') {
        Some(without) if star => without.to_owned(),
        _ => text,
    };
    (!name.is_empty()).then_some(name)
}

/// The strings that begin in the first [`WITHIN`] bytes of the structure that a value of the type at `address` is,
/// or points to, with their offsets; of a string one without a name. `None`: it is neither.
///
/// As [`type_name`]; `minor`: of the program's Go, up to 1.18 of which offsets of fields had another form
/// (`offsetEmbed`): nothing is said of these.
pub fn type_strings(
    read: impl Fn(u64, &mut [u8]) -> Option<()>,
    address: u64,
    minor: u32,
) -> Option<Vec<(String, u32)>> {
    if minor < 19 {
        return None;
    }
    let word = |at: u64| {
        let mut bytes = [0; 8];
        read(at, &mut bytes)?;
        Some(u64::from_le_bytes(bytes))
    };
    let kind = |at: u64| {
        let mut kind = [0];
        read(at.wrapping_add(KIND), &mut kind)?;
        Some(kind[0] & KIND_MASK)
    };
    let mut structure = address;
    match kind(address)? {
        STRING_KIND => return Some(vec![(String::new(), 0)]),
        POINTER_KIND => structure = word(address.wrapping_add(BEHIND))?,
        _ => {}
    }
    if kind(structure)? != STRUCT_KIND {
        return None;
    }
    let fields = word(structure.wrapping_add(FIELDS))?;
    let count = word(structure.wrapping_add(FIELDS + 8))?;
    let mut found = Vec::new();
    for index in 0..count.min(MOST_FIELDS) {
        let field = fields.wrapping_add(index * FIELD_SIZE);
        let offset = word(field.wrapping_add(16))?;
        if offset > WITHIN {
            break;
        }
        if kind(word(field.wrapping_add(8))?)? == STRING_KIND {
            found.push((text(&read, word(field)?)?, u32::try_from(offset).ok()?));
        }
    }
    Some(found)
}

/// The import path of the package of the type whose description is at `address`, or of what it points to;
/// `None`: it has no name or no methods, or is of a kind that is not looked at.
///
/// As [`type_name`].
pub fn type_package(
    read: impl Fn(u64, &mut [u8]) -> Option<()>,
    types: u64,
    address: u64,
) -> Option<String> {
    let mut description = [0; DESCRIPTION];
    read(address, &mut description)?;
    if description.get(TFLAG)? & UNCOMMON == 0 {
        return None;
    }
    let behind = match description.get(usize::try_from(KIND).ok()?)? & KIND_MASK {
        POINTER_KIND => 8,
        STRUCT_KIND => 32,
        BOOL_KIND..=COMPLEX128_KIND | STRING_KIND => 0,
        _ => return None,
    };
    let mut offset = [0; 4];
    read(address.wrapping_add(BEHIND + behind), &mut offset)?;
    let name = types.wrapping_add_signed(i64::from(i32::from_le_bytes(offset)));
    text(&read, name).filter(|path| !path.is_empty())
}

/// The text of the `abi.Name` at an address.
fn text(read: &impl Fn(u64, &mut [u8]) -> Option<()>, name: u64) -> Option<String> {
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
    Some(text)
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
        assert_eq!(named(&memory(2, b"*")), None);
        assert_eq!(named(&memory(0, b"\xff\xfe")), None);
        assert_eq!(named(&memory(0, b"main.Order")[..0x45]), None);
        let mut far = memory(0, b"main.Order");
        far[STR..STR + 4].copy_from_slice(&i32::MIN.to_le_bytes());
        assert_eq!(named(&far), None);
    }

    /// Memory from [`TYPES`] on, as words.
    fn words(list: &[u64]) -> impl Fn(u64, &mut [u8]) -> Option<()> {
        let bytes: Vec<u8> = list.iter().flat_map(|word| word.to_le_bytes()).collect();
        move |address, to| {
            let from = usize::try_from(address.checked_sub(TYPES)?).ok()?;
            to.copy_from_slice(bytes.get(from..from.checked_add(to.len())?)?);
            Some(())
        }
    }

    /// A kind in its place in the third word.
    const fn kind(kind: u8) -> u64 {
        (kind as u64) << 56
    }

    #[test]
    fn a_structures_first_strings_are_found_behind_a_pointer() {
        let mut all = vec![0; 40];
        // A pointer to the structure at word 8, whose fields are at word 17.
        all[2] = kind(POINTER_KIND);
        all[6] = TYPES + 8 * 8;
        all[8 + 2] = kind(STRUCT_KIND);
        all[8 + 7] = TYPES + 17 * 8;
        all[8 + 8] = 2;
        // `No int`, whose type is what is at word 24, and `A string` behind it.
        all[17..20].copy_from_slice(&[TYPES + 30 * 8, TYPES + 24 * 8, 0]);
        all[20..23].copy_from_slice(&[TYPES + 31 * 8, TYPES + 25 * 8, 8]);
        all[24 + 2] = kind(2);
        all[25 + 2] = kind(STRING_KIND);
        all[30] = u64::from_le_bytes([0, 2, b'N', b'o', 0, 0, 0, 0]);
        all[31] = u64::from_le_bytes([0, 1, b'A', 0, 0, 0, 0, 0]);
        let found = vec![("A".to_owned(), 8)];
        assert_eq!(type_strings(words(&all), TYPES, 19), Some(found));
        assert_eq!(type_strings(words(&all), TYPES, 18), None);
        // Fields without end, and some that can't be read.
        all[8 + 8] = u64::MAX;
        assert_eq!(type_strings(words(&all), TYPES, 27), None);
        all[8 + 7] = u64::MAX;
        assert_eq!(type_strings(words(&all), TYPES, 27), None);
        // A pointer to itself.
        all[6] = TYPES;
        assert_eq!(type_strings(words(&all), TYPES, 27), None);
    }

    #[test]
    fn a_package_is_behind_the_description() {
        let mut all = vec![0; 16];
        all[2] = kind(POINTER_KIND) | (1 << 32);
        // The name is at word 12.
        all[7] = 12 * 8;
        all[12] = u64::from_le_bytes([0, 5, b'i', b'o', b'/', b'f', b's', 0]);
        let package = |all: &[u64]| type_package(words(all), TYPES, TYPES);
        assert_eq!(package(&all).as_deref(), Some("io/fs"));
        all[7] = u64::from(i32::MIN.cast_unsigned());
        assert_eq!(package(&all), None);
        all[7] = 13 * 8;
        assert_eq!(package(&all), None);
        all[2] = kind(POINTER_KIND);
        assert_eq!(package(&all), None);
        assert_eq!(package(&all[..3]), None);
    }
}
