//! DWARF: offsets of the fields of named Go structures.
//!
//! In: the `.debug_*` sections, compressed or not, DWARF 4 (Go ≤ 1.24) or 5. Out: [`StructFields`].
//! Parsed by `gimli`; only what a lookup of types needs is loaded.

use std::collections::HashMap;

use gimli::{DwarfSections, EndianSlice, LittleEndian, SectionId};
use object::elf::{ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD};
use object::read::{CompressedData, CompressionFormat};

use super::dwarf_units::Units;
use super::elf::Elf;
use super::field::{u32_at, u64_at};

/// Largest section after decompression. Kubernetes' `.debug_info` is 70 MB.
const SECTION_LIMIT: u64 = 512 << 20;

/// zlib's best ratio is about 1030; a section that claims more is lying.
const RATIO_LIMIT: u64 = 1100;

/// Structure name → field name → offset in bytes.
pub(super) type StructFields = HashMap<String, HashMap<String, u64>>;

/// The sections that tell of functions and types; `None`: no DWARF.
pub(super) fn sections(elf: &Elf) -> Option<DwarfSections<Vec<u8>>> {
    if !present(elf) {
        return None;
    }
    DwarfSections::load(|id| Ok::<_, ()>(load(elf, id))).ok()
}

/// Whether the file has DWARF at all.
pub(super) fn present(elf: &Elf) -> bool {
    elf.section(".debug_info")
        .or_else(|| elf.section(".zdebug_info"))
        .is_some()
}

/// The fields of the named structures; those not found are absent. `None`: no DWARF that can be read.
pub(super) fn struct_fields(elf: &Elf, wanted: &[&str]) -> Option<StructFields> {
    if !present(elf) {
        return None;
    }
    let sections = DwarfSections::load(|id| Ok::<_, ()>(load_for_layout(elf, id))).ok()?;
    let dwarf = sections.borrow(|bytes| EndianSlice::new(bytes, LittleEndian));
    let mut found = StructFields::new();
    let units = Units::of(&dwarf);
    for header in &units.headers {
        let Some(abbreviations) = units.abbreviations(header) else {
            continue;
        };
        // A unit of C code that gimli can't read must not hide the Go units after it.
        let _ = search_unit(&dwarf, header, &abbreviations, wanted, &mut found);
        if found.len() == wanted.len() {
            break;
        }
    }
    (!found.is_empty()).then_some(found)
}

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Go's linker puts all types as children of a unit's root.
fn search_unit<'a>(
    dwarf: &gimli::Dwarf<Slice<'a>>,
    header: &gimli::UnitHeader<Slice<'a>>,
    abbreviations: &gimli::Abbreviations,
    wanted: &[&str],
    found: &mut StructFields,
) -> gimli::Result<()> {
    let name_of = |entry: &gimli::DebuggingInformationEntry<Slice<'a>>| {
        // The forms that Go writes; an index into string offsets would need a whole unit.
        match entry.attr_value(gimli::DW_AT_name)? {
            gimli::AttributeValue::String(name) => Some(name),
            gimli::AttributeValue::DebugStrRef(at) => dwarf.debug_str.get_str(at).ok(),
            _ => None,
        }
    };
    let mut cursor = header.entries(abbreviations);
    // The structure whose members are being read, and its depth.
    let mut inside: Option<(&str, isize)> = None;
    while let Some(entry) = cursor.next_dfs()? {
        if entry.depth() == 0 {
            if let Some(gimli::AttributeValue::Language(language)) =
                entry.attr_value(gimli::DW_AT_language)
                && language != gimli::DW_LANG_Go
            {
                return Ok(());
            }
            continue;
        }
        if let Some((structure, depth)) = inside {
            if entry.depth() == depth + 1 && entry.tag() == gimli::DW_TAG_member {
                let offset = entry
                    .attr_value(gimli::DW_AT_data_member_location)
                    .and_then(|value| value.udata_value());
                if let (Some(name), Some(offset)) = (name_of(entry), offset) {
                    let fields = found.entry(structure.to_owned()).or_default();
                    fields.insert(name.to_string_lossy().into_owned(), offset);
                }
                continue;
            }
            if entry.depth() <= depth {
                inside = None;
                if found.len() == wanted.len() {
                    return Ok(());
                }
            }
        }
        if entry.tag() == gimli::DW_TAG_structure_type
            && let Some(name) = name_of(entry)
            && let Some(name) = wanted
                .iter()
                .find(|wanted| wanted.as_bytes() == name.slice())
        {
            inside = Some((name, entry.depth()));
        }
    }
    Ok(())
}

/// The bytes of a section; empty also if it isn't needed for the layout of structures.
fn load_for_layout(elf: &Elf, id: SectionId) -> Vec<u8> {
    use SectionId::{DebugAbbrev, DebugInfo, DebugStr};
    if matches!(id, DebugAbbrev | DebugInfo | DebugStr) {
        load(elf, id)
    } else {
        Vec::new()
    }
}

/// The bytes of a section, decompressed; empty if missing, unreadable or of no use here.
fn load(elf: &Elf, id: SectionId) -> Vec<u8> {
    use SectionId::{DebugAranges, DebugFrame, DebugMacinfo, DebugMacro};
    // Of `.debug_line` only the headers are looked at, but without them gimli takes no unit.
    if matches!(id, DebugFrame | DebugAranges | DebugMacinfo | DebugMacro) {
        return Vec::new();
    }
    if let Some(section) = elf.section(id.name()) {
        let Ok(bytes) = elf.section_bytes(section) else {
            return Vec::new();
        };
        if !section.compressed {
            return bytes;
        }
        // Elf64_Chdr: type, reserved, size, alignment.
        let format = match u32_at(&bytes, 0) {
            Some(kind) if kind == ELFCOMPRESS_ZLIB.0 => CompressionFormat::Zlib,
            Some(kind) if kind == ELFCOMPRESS_ZSTD.0 => CompressionFormat::Zstandard,
            _ => return Vec::new(),
        };
        return decompress(format, bytes.get(24..), u64_at(&bytes, 8));
    }
    // The older way, which Go's linker used up to 1.18 or so: "ZLIB", the size in big endian, the data.
    let old = id.name().replacen(".debug", ".zdebug", 1);
    let Some(Ok(bytes)) = elf.section(&old).map(|section| elf.section_bytes(section)) else {
        return Vec::new();
    };
    if !bytes.starts_with(b"ZLIB") {
        return Vec::new();
    }
    decompress(
        CompressionFormat::Zlib,
        bytes.get(12..),
        u64_at(&bytes, 4).map(u64::swap_bytes),
    )
}

fn decompress(format: CompressionFormat, data: Option<&[u8]>, size: Option<u64>) -> Vec<u8> {
    let (Some(data), Some(uncompressed_size)) = (data, size) else {
        return Vec::new();
    };
    let most = (data.len() as u64)
        .saturating_mul(RATIO_LIMIT)
        .min(SECTION_LIMIT);
    if uncompressed_size > most {
        return Vec::new();
    }
    let data = CompressedData {
        format,
        data,
        uncompressed_size,
    };
    data.decompress()
        .map_or(Vec::new(), |bytes| bytes.into_owned())
}
