//! Offsets in the running kernel's own structures, from its BTF.
//!
//! In: `/sys/kernel/btf/vmlinux`. Out: a field's offset. Format: the kernel's
//! `Documentation/bpf/btf.rst`. aya-obj parses it too, and keeps a structure's fields to itself.

use std::path::Path;

const MAGIC: u16 = 0xeb9f;
const KIND_STRUCT: u32 = 4;
/// The set bit of a structure's `info` that makes the low 24 bits of a field's offset the offset.
const KIND_FLAG: u32 = 1 << 31;

/// The offset in bytes of a field of a structure of the running kernel, where its BTF tells.
pub(super) fn field_offset(structure: &str, field: &str) -> Option<u32> {
    let bytes = std::fs::read(Path::new("/sys/kernel/btf/vmlinux")).ok()?;
    find(&bytes, structure, field)
}

fn find(bytes: &[u8], structure: &str, field: &str) -> Option<u32> {
    let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?) != MAGIC {
        return None;
    }
    let header = word(4)? as usize;
    let (types, length) = (header.checked_add(word(8)? as usize)?, word(12)? as usize);
    let strings = header.checked_add(word(16)? as usize)?;
    let named = |offset: u32, name: &str| {
        let start = strings + offset as usize;
        let end = start + name.len();
        bytes.get(start..end) == Some(name.as_bytes()) && bytes.get(end) == Some(&0)
    };
    let mut at = types;
    while at < types.checked_add(length)? {
        let (name, info) = (word(at)?, word(at + 4)?);
        let (kind, count) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
        at += 12;
        if kind == KIND_STRUCT && named(name, structure) {
            return (0..count).find_map(|index| {
                let member = at + 12 * index;
                let bits = word(member + 8)?;
                let bits = if info & KIND_FLAG != 0 {
                    bits & 0xff_ffff
                } else {
                    bits
                };
                named(word(member)?, field).then_some(bits / 8)
            });
        }
        at += match kind {
            // INT, VAR, DECL_TAG; ARRAY; STRUCT, UNION, DATASEC, ENUM64; ENUM, FUNC_PROTO.
            1 | 14 | 17 => 4,
            3 => 12,
            4 | 5 | 15 | 19 => 12 * count,
            6 | 13 => 8 * count,
            _ => 0,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_bytes_tell_nothing() {
        assert_eq!(find(&[], "task_struct", "pid"), None);
        let mut bytes = vec![0u8; 64];
        bytes[..2].copy_from_slice(&MAGIC.to_ne_bytes());
        bytes[12..16].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(find(&bytes, "task_struct", "pid"), None);
    }

    #[test]
    fn this_kernels_threads_have_an_id() {
        if !Path::new("/sys/kernel/btf/vmlinux").exists() {
            eprintln!("skipped: a kernel without BTF");
            return;
        }
        let (pid, tgid) = (
            field_offset("task_struct", "pid"),
            field_offset("task_struct", "tgid"),
        );
        assert_eq!(pid.map(|pid| pid + 4), tgid);
        assert_eq!(field_offset("task_struct", "no such field"), None);
    }
}
